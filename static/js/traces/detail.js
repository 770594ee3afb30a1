// All that is known of one step.

import { element } from "../chat/dom.js";
import { fullMoment, say } from "../chat/page.js";
import { readable } from "../console/readable.js";
import { cost, count, statusOf, took } from "./words.js";

const inFull = (value) => JSON.stringify(value, null, 2);
const wordsOf = (value) => (typeof value === "string" ? value : inFull(value));

/** Its elements. `currency`: of the trace. */
export function detailOf(span, currency) {
  const { inputs, outputs } = span;
  // A part of a tool's work has neither, and what did not come to its end may have none.
  const isHidden = span.kind !== "work" && span.status === "success" && !inputs && !outputs;
  return [
    element("h2", {}, span.name || "–"),
    figuresOf(span, currency),
    span.error ? part("error", text(span.error, "error-text")) : null,
    isHidden ? element("p", { className: "notice" }, say("contents_hidden")) : null,
    span.kind === "tool" ? leftOutOf(span) : null,
    ...(span.kind === "think" ? replyOf(span) : workOf(span)),
    element("details", {}, element("summary", {}, say("raw")), text(inFull(span))),
  ].filter((each) => each !== null);
}

/** How many parts of a tool's work were not kept, if any. */
function leftOutOf({ attributes }) {
  const parts = attributes?.["myagent.parts_left_out"];
  if (!parts) return null;
  return element("p", { className: "notice" }, say("parts_left_out", { count: count(parts) }));
}

function figuresOf(span, currency) {
  const { usage, first_token_ms: first } = span;
  const given = [
    ["status", statusOf(span.status)],
    ["duration", took(span.duration_ms ?? NaN)],
    ["started", fullMoment(new Date(span.started_at))],
    ["step", String(span.step)],
    ["attempt", String(span.attempt)],
  ];
  if (first !== null) given.push(["first_token", took(first)]);
  if (usage) given.push(...tokensOf(usage), ["cost", cost(span.cost, currency)]);
  return figureList(given);
}

function tokensOf(usage) {
  const of = (name, all, part) =>
    part ? say(name, { count: count(all), part: count(part) }) : count(all);
  return [
    ["prompt_tokens", of("of_them_cached", usage.prompt_tokens, usage.cached_tokens)],
    ["completion_tokens", of("of_them_reasoning", usage.completion_tokens, usage.reasoning_tokens)],
  ];
}

/** Pairs of the name of a text and what it is. */
export function figureList(pairs) {
  const all = pairs.map(([name, value]) =>
    element("div", {}, element("dt", {}, say(name)), element("dd", {}, value)),
  );
  return element("dl", { className: "figures" }, ...all);
}

/** Of a tool, or of a part of its work. */
function workOf({ kind, inputs, outputs, attributes }) {
  return [
    attributes && kind === "work" ? part("attributes", text(inFull(attributes))) : null,
    inputs ? part("arguments", text(inFull(inputs.args))) : null,
    outputs ? part("result", text(wordsOf(outputs.result))) : null,
  ];
}

function replyOf({ inputs, outputs }) {
  const said = outputs?.message;
  return [
    inputs?.messages?.length ? part("was_given", ...inputs.messages.map(messageOf)) : null,
    outputs?.reasoning ? part("reasoning", text(outputs.reasoning)) : null,
    said?.content ? part("answer", text(wordsOf(said.content))) : null,
    said?.tool_calls?.length ? part("calls", text(callsOf(said))) : null,
  ];
}

/** A message of the conversation with the model. */
function messageOf(message) {
  const calls = message.tool_calls?.length ? text(callsOf(message)) : null;
  const content = message.content ? text(wordsOf(message.content)) : null;
  const made = element("div", { className: "said" }, element("h4", {}, message.role), content, calls);
  made.dataset.role = message.role;
  return made;
}

/** A line for each tool that a message calls. */
function callsOf({ tool_calls: calls }) {
  const lines = calls.map((call) => {
    const { name, arguments: given } = call.function ?? call;
    return `${name}(${given ?? ""})`;
  });
  return lines.join("\n");
}

function part(name, ...children) {
  return element("section", {}, element("h3", {}, say(name)), ...children);
}

const text = (words, className = "") => element("pre", { className }, readable(words));
