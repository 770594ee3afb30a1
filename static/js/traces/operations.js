// What replies and tools took and used lately, over time: a table, and charts of the chosen row.

import { element } from "../chat/dom.js";
import { say } from "../chat/page.js";
import { feedbackTable } from "./feedback.js";
import { HOUR_MS } from "./filters.js";
import { Hourly, pointsOf } from "./hourly.js";
import { readStats } from "./reading.js";
import { cost, count, took } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [96, 24];
const HEADS = ["step", "runs", "errors", "median", "p95", "tokens", "cost", "time"];

export class Operations {
  #part;
  #by;
  #period;
  #charts;
  #place;
  #drawn = [];

  /**
   * `by`: the buttons that choose what is one operation; `period`: the choice of the hours until now.
   * Who may not see them sees nothing.
   */
  constructor(part, by, period, charts, place) {
    [this.#part, this.#by, this.#period, this.#charts, this.#place] = [part, by, period, charts, place];
    for (const button of by.children) button.addEventListener("click", () => this.#show(button));
    period.addEventListener("change", () => this.#show(by.querySelector("[aria-pressed=true]")));
    this.#show(by.children[0]);
  }

  async #show(button) {
    for (const each of this.#by.children) each.setAttribute("aria-pressed", String(each === button));
    const hours = this.#period.value;
    try {
      const stats = await readStats(button.dataset.by, Number(hours));
      if (button.getAttribute("aria-pressed") !== "true" || this.#period.value !== hours) return;
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
    const { items, currency, since, until, bucket } = stats;
    const item = items[place];
    const most = Math.max(...items.flatMap(({ buckets }) => buckets.map((each) => each.count)));
    const time = { from: Date.parse(since), to: Date.parse(until), stepMs: stepOf(bucket) };
    const tokens = item.prompt_tokens + item.completion_tokens;
    const figures = [count(item.count), count(item.errors), took(item.p50_ms ?? NaN)];
    figures.push(took(item.p95_ms ?? NaN), count(tokens), cost(item.cost, currency));
    const choose = { type: "button", className: "text-button", onclick: () => this.#choose(stats, place) };
    const kind = element("span", { className: "tag" }, say(`kind_${item.kind}`));
    const name = element("td", {}, element("button", choose, item.group || "–"), kind);
    const cells = figures.map((text) => element("td", {}, text));
    return element("tr", {}, name, ...cells, element("td", {}, columnsOf(item.buckets, most, time)));
  }

  #choose({ items, since, until, bucket, currency }, place) {
    for (const chart of this.#drawn) chart.remove();
    this.#drawn = [];
    this.#place.querySelectorAll("tbody .text-button").forEach((button, at) => {
      button.setAttribute("aria-pressed", String(at === place));
    });
    const item = items[place];
    const buckets = item?.buckets ?? [];
    const stepS = stepOf(bucket) / 1000;
    const time = { from: Date.parse(since) / 1000, to: Date.parse(until) / 1000, stepS };
    if (buckets.length) {
      const counts = pointsOf(buckets, time, ["count", "errors"], 0);
      const spans = pointsOf(buckets, time, ["p50_ms", "p95_ms"], null);
      const tokens = pointsOf(buckets, time, ["prompt_tokens", "completion_tokens"], 0);
      const costs = pointsOf(buckets, time, ["cost"], 0);
      const hasTokens = item.prompt_tokens + item.completion_tokens > 0;
      this.#drawn = [
        new Hourly(counts, [["runs", "accent"], ["errors", "bad"]], count),
        new Hourly(spans, [["median", "accent"], ["p95", "warn"]], took),
        hasTokens && new Hourly(tokens, [["prompt_tokens", "accent"], ["completion_tokens", "warn"]], count),
        item.cost !== null && new Hourly(costs, [["cost", "accent"]], (amount) => cost(amount, currency)),
      ].filter(Boolean);
    }
    this.#charts.replaceChildren(...this.#drawn.map((chart) => chart.node));
  }
}

const stepOf = (bucket) => (bucket === "day" ? 24 : 1) * HOUR_MS;

/** Columns, one for each hour or day that has something: how often, and of that how often it failed. */
function columnsOf(buckets, most, { from, to, stepMs }) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "columns");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("aria-hidden", "true");
  const first = Math.floor(from / stepMs) * stepMs;
  const scale = WIDTH / (Math.ceil((to - first) / stepMs) || 1) / stepMs;
  for (const { at, count: all, errors } of buckets) {
    const x = Math.max(0, (Date.parse(at) - first) * scale);
    const width = Math.max(1.5, stepMs * scale * 0.8);
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
