// What replies and tools took in the last day, by the hour: a table with a small chart in each row.

import { element } from "../chat/dom.js";
import { say } from "../chat/page.js";
import { readStats } from "./reading.js";
import { cost, count, took } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [96, 24];
const HOUR_MS = 3600000;

export class Operations {
  #part;
  #by;
  #place;

  /** `by`: the buttons that choose what is one operation. Who may not see them sees nothing. */
  constructor(part, by, place) {
    [this.#part, this.#by, this.#place] = [part, by, place];
    for (const button of by.children) button.addEventListener("click", () => this.#show(button));
    this.#show(by.children[0]);
  }

  async #show(button) {
    for (const each of this.#by.children) each.setAttribute("aria-pressed", String(each === button));
    try {
      const stats = await readStats(button.dataset.by);
      if (button.getAttribute("aria-pressed") !== "true") return;
      this.#place.replaceChildren(tableOf(stats));
      this.#part.hidden = false;
    } catch (error) {
      if (!this.#part.hidden) this.#place.replaceChildren(element("p", {}, error.message));
    }
  }
}

function tableOf({ items, currency, since, until }) {
  if (!items.length) return element("p", { className: "hint" }, say("no_operations"));
  const heads = ["step", "runs", "errors", "median", "p95", "tokens", "cost", "time"];
  const head = heads.map((name) => element("th", { scope: "col" }, say(name)));
  const most = Math.max(...items.flatMap((item) => item.buckets.map((bucket) => bucket.count)));
  const cell = (text) => element("td", {}, text);
  const rows = items.map((item) => {
    const tokens = item.prompt_tokens + item.completion_tokens;
    const figures = [count(item.count), count(item.errors), took(item.p50_ms ?? NaN)];
    figures.push(took(item.p95_ms ?? NaN), count(tokens), cost(item.cost, currency));
    const name = element("td", {}, item.group, element("span", { className: "tag" }, say(`kind_${item.kind}`)));
    return element("tr", {}, name, ...figures.map(cell), element("td", {}, chartOf(item.buckets, most, { from: Date.parse(since), to: Date.parse(until) })));
  });
  return element(
    "table",
    {},
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows),
  );
}

/** Columns, one for each hour that has something: how often, and of that how often it failed. */
function chartOf(buckets, most, { from, to }) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "columns");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("aria-hidden", "true");
  const scale = WIDTH / Math.max(HOUR_MS, to - from + HOUR_MS); // The first hour began before.
  for (const { at, count: all, errors } of buckets) {
    const x = Math.max(0, (Date.parse(at) - from + HOUR_MS) * scale);
    const width = Math.max(1.5, HOUR_MS * scale * 0.8);
    svg.append(column("all", x, width, all / Math.max(1, most)));
    svg.append(column("failed", x, width, errors / Math.max(1, most)));
  }
  return svg;
}

function column(kind, x, width, part) {
  const made = document.createElementNS(SVG, "rect");
  const height = part * HEIGHT;
  const places = { class: kind, x, y: HEIGHT - height, width, height };
  for (const [name, value] of Object.entries(places)) made.setAttribute(name, value);
  return made;
}
