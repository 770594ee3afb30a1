// A tool call: a card that opens, and, while somebody's yes is needed, the question.

import { parseExactly } from "../myagent.js";
import { ConfirmView } from "./confirm_view.js";
import { element, icon } from "./dom.js";
import { duration, say } from "./page.js";
import { isAsking } from "./turns.js";

const ICONS = {
  waiting: "ask",
  running: "tool",
  success: "check",
  error: "alert",
  cancelled: "no",
  declined: "no",
  unknown: "alert",
};
const NEVER_RAN = new Set(["declined", "cancelled"]);
const PREVIEW_LENGTH = 80;

/** A value of JSON as a person reads it. */
export function shown(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** A text whose characters that turn the direction of writing around are seen, and do nothing. */
export function unmasked(text, mark = (code) => `‹U+${code}›`) {
  const code = (char) => char.charCodeAt(0).toString(16).toUpperCase();
  return text.replace(/[\u202A-\u202E\u2066-\u2069]/g, (char) => mark(code(char)));
}

/** Whether the browser has rounded a number of it. */
export function isRounded(value) {
  if (typeof value === "number") return Number.isInteger(value) && !Number.isSafeInteger(value);
  const isWhole = value === null || typeof value !== "object" || Boolean(JSON.rawJSON);
  return !isWhole && Object.values(value).some(isRounded);
}

/** Arguments as a list of names and values. */
export function argumentList(args) {
  const entries = Object.entries(args ?? {});
  if (entries.length === 0) return element("p", { className: "none" }, say("no_arguments"));
  const rows = entries.map(([name, value]) =>
    element("div", {}, element("dt", {}, unmasked(name)), element("dd", {}, unmasked(shown(value)))),
  );
  return element("dl", { className: "arguments", tabIndex: 0 }, ...rows);
}

/** Indented, unless JavaScript would lose something of it, such as the second of two equal names. */
function prettyResult(text) {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    const value = parseExactly(text);
    return JSON.stringify(value) === compact(text) ? JSON.stringify(value, null, 2) : text;
  } catch {
    return text; // It only looked like JSON.
  }
}

/** JSON without spaces, its strings written as JavaScript writes them. */
function compact(text) {
  const parts = text.match(/"[^"\\]*(?:\\.[^"\\]*)*"|[^\s"]+/g);
  return parts.map((part) => (part[0] === '"' ? JSON.stringify(JSON.parse(part)) : part)).join("");
}

export class ToolView {
  #confirm = null;
  #drawn = "";
  #answer;
  #icon;
  #name;
  #preview;
  #status;
  #body;
  #card;

  /** `answer(stepId, response)` sends what the person decided. */
  constructor(block, answer) {
    this.block = block;
    this.#answer = answer;
    this.#icon = element("span", { className: "tool-icon" });
    this.#name = element("code", { className: "tool-name" });
    this.#preview = element("span", { className: "tool-preview" });
    this.#status = element("span", { className: "tool-status" });
    this.#body = element("div", { className: "tool-body" });
    const summary = element(
      "summary",
      {},
      this.#icon,
      this.#name,
      this.#preview,
      this.#status,
      icon("chevron"),
    );
    this.#card = element("details", { className: "card" }, summary, this.#body);
    this.element = element("div", { className: "tool" }, this.#card);
  }

  update() {
    const { tool, args, status, durationMs, result, truncated, response, stepId } = this.block;
    this.element.dataset.status = status;
    this.#ask(isAsking(this.block));
    const drawn = JSON.stringify([tool, args, status, result?.length, response, stepId]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const hasRun = durationMs !== undefined && !NEVER_RAN.has(status);
    const took = hasRun ? ` · ${duration(durationMs)}` : "";
    const preview = Object.values(args ?? {}).map(shown).join(", ");
    this.#icon.replaceChildren(icon(ICONS[status] ?? "tool"));
    this.#name.textContent = tool;
    this.#preview.textContent = preview.slice(0, PREVIEW_LENGTH).replace(/\s+/g, " ");
    this.#status.textContent = say(`tool_${status}`) + took;
    this.#body.replaceChildren(
      element("h3", {}, say("arguments")),
      argumentList(args),
      ...(response?.feedback ? [element("p", {}, say("feedback", { text: response.feedback }))] : []),
      ...(result === undefined ? [] : this.#result(result, truncated)),
    );
  }

  /** `reason`: why the response was refused. */
  askAgain(reason) {
    this.#confirm?.refuse(reason);
  }

  #result(result, truncated) {
    const text = prettyResult(result) || say("empty_result");
    const parts = [
      element("h3", {}, say("result")),
      element("pre", { tabIndex: 0, role: "group", "aria-label": say("result") }, text),
    ];
    if (truncated) parts.push(element("p", {}, say("truncated", { length: truncated })));
    return parts;
  }

  #ask(isOpen) {
    this.#card.hidden = isOpen;
    if (isOpen && !this.#confirm) {
      this.#confirm = new ConfirmView(this.block, (response) =>
        this.#answer(this.block.stepId, response),
      );
      this.element.append(this.#confirm.element);
    } else if (!isOpen && this.#confirm) {
      const hadFocus = this.#confirm.element.contains(document.activeElement);
      this.#confirm.element.remove();
      this.#confirm = null;
      if (hadFocus) this.#card.firstElementChild.focus();
    }
  }
}
