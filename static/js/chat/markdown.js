// Markdown of a model, which nobody may trust, as elements.
//
// Two walls, so that one may have a hole: markup in the text is shown as text and never parsed,
// and what marked makes of the rest passes DOMPurify with a short list of tags. There are no
// images: fetching one would tell a stranger what is being read.

import DOMPurify from "../../vendor/dompurify/dompurify.js";
import { Marked } from "../../vendor/marked/marked.js";
import { element, icon, patch } from "./dom.js";
import { highlight } from "./highlighting.js";
import { say } from "./page.js";

const TAGS =
  "a blockquote br code del em h3 h4 h5 h6 hr li ol p pre strong table tbody td th thead tr ul";
const POLICY = {
  ALLOWED_TAGS: TAGS.split(" "),
  ALLOWED_ATTR: ["href", "class", "start", "align"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ADD_URI_SAFE_ATTR: ["start", "align"], // No addresses: their values need not look like one.
  RETURN_DOM_FRAGMENT: true,
};
const FIRST_HEADING = 3; // Below the page's own.

function escaped(text) {
  const entities = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return text.replace(/[&<>"]/g, (char) => entities[char]);
}

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => escaped(text),
    image: ({ href, text }) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
    heading({ tokens, depth }) {
      const level = Math.min(6, depth + FIRST_HEADING - 1);
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>\n`;
    },
  },
});

const LONGEST_LINE = 50_000;
const DEEPEST = 200;
// Signs that nest: of quotes and of lists at the beginning of a line, and of brackets anywhere.
const NESTED = new RegExp(String.raw`^(?:[ \t]*(?:>|[-*+][ \t]|\d{1,9}[.)][ \t])){${DEEPEST}}`, "m");
const INDENTED = new RegExp(String.raw`^[ \t]{${DEEPEST * 2}}`, "m");
const BRACKETS = new RegExp(String.raw`[[(]{${DEEPEST}}|[*_~]{${DEEPEST * 10}}`);

/** Whether a text would cost more to read as Markdown than any answer is worth. */
function isAbsurd(text) {
  if (NESTED.test(text) || INDENTED.test(text) || BRACKETS.test(text)) return true;
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf("\n", from);
    const to = end < 0 ? text.length : end;
    if (to - from > LONGEST_LINE) return true;
    from = to + 1;
  }
  return false;
}

/** A fragment that is safe to show; of a text that is no sensible Markdown, its characters. */
export function render(text) {
  try {
    if (!isAbsurd(text)) return rendered(text);
  } catch (error) {
    console.info("This text is shown as it is:", error); // It may be nested in some other way.
  }
  const fragment = document.createDocumentFragment();
  fragment.append(element("p", { className: "plain" }, text));
  return fragment;
}

function rendered(text) {
  const fragment = DOMPurify.sanitize(marked.parse(text), POLICY);
  for (const link of fragment.querySelectorAll("a[href]")) {
    Object.assign(link, { target: "_blank", rel: "noopener noreferrer nofollow" });
  }
  for (const block of fragment.querySelectorAll("pre")) frameCode(block);
  for (const table of fragment.querySelectorAll("table")) {
    const frame = element("div", { className: "table", tabIndex: 0 });
    table.replaceWith(frame);
    frame.append(table);
  }
  return fragment;
}

function frameCode(block) {
  const code = block.querySelector("code");
  const language = /language-(\S+)/.exec(code?.className ?? "")?.[1] ?? "";
  if (code) highlight(code, language);
  const copy = element(
    "button",
    { type: "button", className: "text-button copy-code", "aria-label": say("copy_code") },
    icon("copy"),
    say("copy"),
  );
  const bar = element("div", { className: "code-bar" }, element("span", {}, language), copy);
  const frame = element("div", { className: "code" }, bar);
  block.tabIndex = 0;
  block.replaceWith(frame);
  frame.append(block);
}

const SHORTEST_PAUSE_MS = 100;

/** An element that shows growing Markdown: drawn at most every 100 ms, less often if that is slow. */
export class MarkdownView {
  #text = "";
  #timer = null;
  #drawnAt = -Infinity;
  #costMs = 0;
  #onDrawn;

  constructor(onDrawn) {
    this.element = element("div", { className: "answer" });
    this.#onDrawn = onDrawn;
  }

  show(text, { isLive }) {
    this.element.classList.toggle("live", isLive);
    const isDrawn = text === this.#text && this.#timer === null;
    if (isDrawn) return;
    this.#text = text;
    if (!isLive) this.#draw();
    else this.#timer ??= setTimeout(() => this.#draw(), this.#pauseMs());
  }

  #pauseMs() {
    const pause = Math.max(SHORTEST_PAUSE_MS, this.#costMs * 4);
    return Math.max(0, this.#drawnAt + pause - performance.now());
  }

  #draw() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const startedAt = performance.now();
    patch(this.element, render(this.#text));
    this.#drawnAt = performance.now();
    this.#costMs = this.#drawnAt - startedAt;
    this.#onDrawn();
  }
}
