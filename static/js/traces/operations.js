// What replies and tools took in the last day, by the hour: a table, and charts of the chosen row.

import { element } from "../chat/dom.js";
import { say } from "../chat/page.js";
import { feedbackTable } from "./feedback.js";
import { Hourly, pointsOf } from "./hourly.js";
import { readStats } from "./reading.js";
import { cost, count, took } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [96, 24];
const HOUR_MS = 3600000;
const HEADS = ["step", "runs", "errors", "median", "p95", "tokens", "cost", "time"];

export class Operations {
  #part;
  #by;
  #charts;
  #place;
  #drawn = [];

  /** `by`: the buttons that choose what is one operation. Who may not see them sees nothing. */
  constructor(part, by, charts, place) {
    [this.#part, this.#by, this.#charts, this.#place] = [part, by, charts, place];
    for (const button of by.children) button.addEventListener("click", () => this.#show(button));
    this.#show(by.children[0]);
  }

  async #show(button) {
    for (const each of this.#by.children) each.setAttribute("aria-pressed", String(each === button));
    try {
      const stats = await readStats(button.dataset.by);
      if (button.getAttribute("aria-pressed") !== "true") return;
      this.#part.hidden = false;
      const feedback = feedbackTable(stats.feedback);
      this.#place.replaceChildren(this.#tableOf(stats), feedback ?? "");
      this.#choose(stats, 0);
    } catch (error) {
      if (!this.#part.hidden) this.#place.replaceChildren(element("p", {}, error.message));
    }
  }

  #tableOf(stats) {
    if (!stats.items.length) return element("p", { className: "hint" }, say("no_operations"));
    const head = HEADS.map((name) => element("th", { scope: "col" }, say(name)));
    const rows = stats.items.map((_, place) => this.#rowOf(stats, place));
    return element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...rows),
    );
  }

  #rowOf(stats, place) {
    const { items, currency, since, until } = stats;
    const item = items[place];
    const most = Math.max(...items.flatMap(({ buckets }) => buckets.map((bucket) => bucket.count)));
    const time = { from: Date.parse(since), to: Date.parse(until) };
    const tokens = item.prompt_tokens + item.completion_tokens;
    const figures = [count(item.count), count(item.errors), took(item.p50_ms ?? NaN)];
    figures.push(took(item.p95_ms ?? NaN), count(tokens), cost(item.cost, currency));
    const choose = { type: "button", className: "text-button", onclick: () => this.#choose(stats, place) };
    const kind = element("span", { className: "tag" }, say(`kind_${item.kind}`));
    const name = element("td", {}, element("button", choose, item.group || "–"), kind);
    const cells = figures.map((text) => element("td", {}, text));
    return element("tr", {}, name, ...cells, element("td", {}, columnsOf(item.buckets, most, time)));
  }

  #choose({ items, since, until, bucket }, place) {
    for (const chart of this.#drawn) chart.remove();
    this.#drawn = [];
    this.#place.querySelectorAll("tbody .text-button").forEach((button, at) => {
      button.setAttribute("aria-pressed", String(at === place));
    });
    const buckets = items[place]?.buckets ?? [];
    const stepS = ((bucket === "day" ? 24 : 1) * HOUR_MS) / 1000;
    const time = { from: Date.parse(since) / 1000, to: Date.parse(until) / 1000, stepS };
    if (buckets.length) {
      const counts = pointsOf(buckets, time, ["count", "errors"], 0);
      const spans = pointsOf(buckets, time, ["p50_ms", "p95_ms"], null);
      this.#drawn = [
        new Hourly(counts, [["runs", "accent"], ["errors", "bad"]], count),
        new Hourly(spans, [["median", "accent"], ["p95", "warn"]], took),
      ];
    }
    this.#charts.replaceChildren(...this.#drawn.map((chart) => chart.node));
  }
}

/** Columns, one for each hour that has something: how often, and of that how often it failed. */
function columnsOf(buckets, most, { from, to }) {
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
