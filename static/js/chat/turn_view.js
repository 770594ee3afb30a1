// One turn: what the person said, what the agent did, and how it ended.

import { arrange, element, icon } from "./dom.js";
import { MarkdownView } from "./markdown.js";
import { BASE, duration, fullMoment, moment, page, say } from "./page.js";
import { RatingView } from "./rating_view.js";
import { ToolView } from "./tool_view.js";
import { isAsking } from "./turns.js";

/** Why an answer was cut, by `stop_reason`. */
const STOPPED = new Set(["max_steps", "length", "content_filter"]);

/** The last lines of an answer that is no answer. */
function endNote({ event, content, metadata }) {
  if (event === "agent.final_answer") {
    if (metadata.truncated) return say("cut_answer", { length: metadata.truncated });
    return STOPPED.has(metadata.stop_reason) ? say(metadata.stop_reason) : "";
  }
  const effects = metadata.effects ?? [];
  return effects.length ? `${content} ${say("effects", { tools: effects.join(", ") })}` : content;
}

export class TurnView {
  #turn;
  #actions;
  #views = new Map();
  #time = element("time");
  #bubble = element("div", { className: "bubble" });
  #blocks = element("div", { className: "blocks" });
  #thinking = element("p", { className: "thinking" }, element("span", { className: "dots" }));
  #end = element("div", { className: "end" });
  #answered;
  #rating = null;
  #endOf = null;

  /**
   * `actions`: answer(stepId, response), again(text) → whether it was taken, rate(turn, score, comment),
   * drawn().
   */
  constructor(turn, actions) {
    this.#turn = turn;
    this.#actions = actions;
    this.#thinking.append(element("span", {}, say("thinking")));
    const said = element(
      "article",
      { className: "said" },
      element("h2", { className: "unseen" }, say("you_said")),
      this.#bubble,
      element("footer", {}, this.#time),
    );
    this.#answered = element(
      "article",
      { className: "answered" },
      element("h2", { className: "unseen" }, say("agent_said", { agent: page.agent })),
      this.#blocks,
      this.#thinking,
      this.#end,
    );
    this.element = element("li", { className: "turn" }, said, this.#answered);
    this.update();
  }

  update() {
    const turn = this.#turn;
    this.element.dataset.status = turn.status;
    if (this.#bubble.textContent !== turn.text) this.#bubble.textContent = turn.text;
    this.#showTime();
    for (const block of turn.blocks) this.#viewOf(block);
    arrange(this.#blocks, turn.blocks.map((block) => this.#viewOf(block).element));
    for (const view of this.#views.values()) view.update();
    this.#showThinking();
    if (turn.end && this.#endOf !== turn.end) this.#showEnd();
    this.#rating?.update();
    this.#answered.hidden = turn.status === "sending";
  }

  askAgain(stepId, reason) {
    for (const [block, view] of this.#views) if (block.stepId === stepId) view.askAgain?.(reason);
  }

  #showTime() {
    const { status, at, heldUp, limit } = this.#turn;
    const sending = heldUp ? `${limit} ${say("sending_again")}`.trim() : say("sending");
    this.#time.textContent = status === "sending" ? sending : moment(at);
    this.#time.dateTime = at.toISOString();
    this.#time.title = fullMoment(at);
  }

  #showThinking() {
    const { status, isStopping, isThinking, heldUp, blocks } = this.#turn;
    const isWaiting = blocks.some(isAsking);
    const isAtWork = isThinking || isStopping || heldUp !== "";
    this.#thinking.hidden = status !== "running" || !isAtWork || isWaiting;
    const doing = isStopping ? say("stopping") : heldUp || say("thinking");
    this.#thinking.lastElementChild.textContent = doing;
  }

  #viewOf(block) {
    if (!this.#views.has(block)) this.#views.set(block, this.#newView(block));
    return this.#views.get(block);
  }

  #newView(block) {
    if (block.kind === "tool") return new ToolView(block, this.#actions.answer);
    const markdown = new MarkdownView(this.#actions.drawn);
    const update = () => markdown.show(block.text, { isLive: Boolean(block.isLive) });
    if (block.kind === "text") return { element: markdown.element, update };
    const summary = element("summary", {}, say("reasoning"), icon("chevron"));
    const body = element("div", { className: "reasoning-body" }, markdown.element);
    return { element: element("details", { className: "reasoning" }, summary, body), update };
  }

  #showEnd() {
    const { end, status, text } = this.#turn;
    this.#endOf = end;
    const note = endNote(end);
    const isAnswer = status === "final_answer";
    const again = element(
      "button",
      {
        type: "button",
        className: "text-button again",
        // Once: a double click is no wish to have it run twice.
        onclick: () => (again.disabled = this.#actions.again(text)),
      },
      say("try_again"),
    );
    const children = [];
    if (note) {
      const sentence = element("p", { className: "note" }, icon("alert"), element("span", {}, note));
      sentence.append(isAnswer ? "" : again);
      if (!isAnswer && page.hasTraces) sentence.append(this.#traceLink());
      children.push(sentence);
    }
    if (isAnswer) {
      this.#rating = new RatingView(this.#turn, this.#actions.rate);
      children.push(this.#footer(end), this.#rating.comment);
    }
    this.#end.replaceChildren(...children);
  }

  #footer({ content, metadata, timestamp }) {
    const at = new Date(timestamp);
    const copy = element(
      "button",
      { type: "button", className: "text-button copy-answer", "aria-label": say("copy_answer") },
      icon("copy"),
      say("copy"),
    );
    copy.copied = content;
    const time = element(
      "time",
      { dateTime: at.toISOString(), title: fullMoment(at) },
      `${moment(at)} · ${duration(metadata.duration_ms)}`,
    );
    const { thumbs } = this.#rating;
    return element("footer", {}, copy, thumbs, page.hasTraces ? this.#traceLink() : null, time);
  }

  /** What happened in the run, for who may see it. */
  #traceLink() {
    const href = `${BASE}/traces/${encodeURIComponent(this.#turn.runId)}/`;
    const given = { href, className: "text-button to-trace", "aria-label": say("show_trace") };
    return element("a", given, say("trace"));
  }
}
