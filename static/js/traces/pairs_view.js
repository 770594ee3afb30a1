// The list of pairs, the totals of two runs, and two steps in full beside each other.

import { element } from "../chat/dom.js";
import { say } from "../chat/page.js";
import { detailOf } from "./detail.js";
import { isFailed } from "./forest.js";
import { RowsInSight } from "./rows_in_sight.js";
import { cost, count, statusOf, took } from "./words.js";

const INDENT_PX = 14;

export function pairRows(grid, place, choose) {
  return new RowsInSight(grid, place, {
    idOf: ({ id }) => id,
    make: newRow,
    fill,
    chosen: choose,
  });
}

function newRow({ id, one, other }) {
  const span = one ?? other;
  const kind = element("span", { className: `kind ${span.kind}` }, say(`kind_${span.kind}`));
  const label = element("span", { className: "span-name" }, span.name || "–");
  const cell = (className) => element("span", { role: "gridcell", className });
  return element(
    "div",
    { id: `pair-${id}`, role: "row", className: "span-row" },
    element("span", { role: "gridcell", className: "span-words" }, kind, label),
    cell("number"),
    cell("number"),
    cell("number change"),
    cell("differs"),
  );
}

function fill(row, pair) {
  const { one, other, depth, isKept, differences } = pair;
  const [name, first, second, change, marks] = row.children;
  name.style.paddingInlineStart = `${Math.min(depth, 12) * INDENT_PX}px`;
  row.setAttribute("aria-level", depth + 1);
  row.classList.toggle("alone", !one || !other);
  first.replaceChildren(...figureOf(one));
  second.replaceChildren(...figureOf(other));
  const by = (other?.duration_ms ?? NaN) - (one?.duration_ms ?? NaN);
  change.textContent = Number.isFinite(by) ? signed(by, took) : "";
  change.dataset.sign = by > 0 ? "more" : by < 0 ? "less" : "";
  const only = one ? "only_first" : "only_second";
  const words = differences.map((each) => say(each === "missing" ? only : `differs_${each}`));
  marks.textContent = isKept ? say("kept") : words.join(" · ");
  marks.classList.toggle("kept", isKept);
  marks.title = marks.textContent;
}

function figureOf(span) {
  if (!span) return [element("span", { className: "none" }, "–")];
  const length = element("span", { className: isFailed(span) ? "bad" : "" }, took(span.duration_ms ?? NaN));
  const { prompt_tokens: given, completion_tokens: made } = span.usage ?? {};
  const tokens = span.usage ? element("small", {}, say("in_tokens", { count: count(given + made) })) : null;
  return [length, tokens].filter(Boolean);
}

const signed = (by, write) => (by === 0 ? "=" : `${by > 0 ? "+" : "−"}${write(Math.abs(by))}`);

/** A table of what both runs took. */
export function totalsOf(one, other, links) {
  const tokens = ({ usage }) => usage.prompt_tokens + usage.completion_tokens;
  const money = (amount) => cost(amount, one.currency);
  const rows = [
    ["status", one.status, other.status, statusOf],
    ["model", one.model || "–", other.model || "–", String],
    ["duration", one.duration_ms, other.duration_ms, took],
    ["steps", one.steps, other.steps, count],
    ["tokens", tokens(one), tokens(other), count],
    ["cost", one.cost, other.cost, money],
    ["errors", one.errors, other.errors, count],
  ];
  const head = ["", ...links, say("difference")].map((each) => element("th", { scope: "col" }, each));
  return [
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows.map(([name, ...values]) => totalRow(name, ...values))),
  ];
}

function totalRow(name, one, other, write) {
  const isNumber = Number.isFinite(one) && Number.isFinite(other);
  const isText = typeof one === "string" && typeof other === "string";
  const change = isNumber ? signed(other - one, write) : isText && one !== other ? say("differs") : "";
  const cells = [write(one ?? NaN), write(other ?? NaN), change];
  if (one === null) cells[0] = "–";
  if (other === null) cells[1] = "–";
  const made = element("tr", {}, element("th", { scope: "row" }, say(name)));
  made.append(...cells.map((words) => element("td", { className: "number" }, words)));
  made.classList.toggle("changed", change !== "" && change !== "=");
  return made;
}

/** Both steps in full; what is not the same in both is marked. `names`: of the runs. */
export function bothInFull({ one, other, isKept }, names, currency) {
  const sides = [one, other].map((span, place) => {
    const side = element("section", { className: "side" }, element("p", { className: "side-name" }, names[place]));
    if (span) side.append(...detailOf(span, currency));
    else side.append(element("p", { className: "hint" }, say(isKept ? "kept_in_the_log" : "not_in_this_run")));
    return side;
  });
  if (one && other) markDifferences(...sides.map(partsOf));
  return sides;
}

const LEFT_OUT = ["started"]; // Always another one.

/** Figures and texts by what they are called. */
function partsOf(side) {
  const found = new Map();
  for (const figure of side.querySelectorAll("dl > div")) {
    found.set(`figure ${figure.firstChild.textContent}`, figure);
  }
  for (const part of side.querySelectorAll("section > section")) {
    found.set(`part ${part.firstChild.textContent}`, part);
  }
  for (const name of LEFT_OUT) found.delete(`figure ${say(name)}`);
  return found;
}

function markDifferences(ones, others) {
  for (const [name, part] of [...ones, ...others]) {
    const isSame = ones.get(name)?.textContent === others.get(name)?.textContent;
    if (!isSame) part.classList.add("is-other");
  }
}
