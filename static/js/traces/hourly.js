// Two lines over time for one operation, such as how often it ran and how often it failed.

import uPlot from "../../vendor/uplot/uplot.js";
import { element } from "../chat/dom.js";
import { clock, fullMoment, say, when } from "../chat/page.js";
import { colour, onChange } from "../console/ink.js";

const HEIGHT = 130;
const DAY_S = 86400;

const axis = (more) => ({
  stroke: () => colour("muted"),
  grid: { stroke: () => colour("line"), width: 1 },
  ticks: { show: false },
  font: "11px system-ui, sans-serif",
  gap: 4,
  ...more,
});

/** The points of an operation's buckets, one each `stepS` seconds: [times, ...values]; what has no
 * bucket is `missing`. */
export function pointsOf(buckets, { from, to, stepS }, names, missing) {
  const known = new Map(buckets.map((bucket) => [Date.parse(bucket.at) / 1000, bucket]));
  const times = [];
  for (let at = Math.floor(from / stepS) * stepS; at < to; at += stepS) times.push(at);
  return [times, ...names.map((name) => times.map((at) => known.get(at)?.[name] ?? missing))];
}

export class Hourly {
  #plot;
  #forget;
  #place = element("div", { className: "plot", role: "img" });
  #value = element("span", { className: "chart-value" });
  #resized = new ResizeObserver(() => this.#fit());
  #points;
  #lines;
  #write;

  /** `lines`: [the name of its text, its colour]; `write` puts a value into words. */
  constructor(points, lines, write) {
    [this.#points, this.#lines, this.#write] = [points, lines, write];
    const names = lines.map(([name, ink]) => element("span", { className: `ink-${ink}` }, say(name)));
    const title = element("span", { className: "legend" }, ...names);
    this.node = element(
      "figure",
      { className: "chart" },
      element("figcaption", {}, title, this.#value),
      this.#place,
    );
    this.#place.setAttribute("aria-label", this.#inWords());
    this.#resized.observe(this.#place);
  }

  remove() {
    this.#resized.disconnect();
    this.#forget?.();
    this.#plot?.destroy();
  }

  /** The highest of each line, for those who do not see them. */
  #inWords() {
    const highest = (values) => Math.max(...values.filter(Number.isFinite));
    const words = this.#lines.map(([name], place) => {
      const top = highest(this.#points[place + 1]);
      return `${say(name)} ≤ ${Number.isFinite(top) ? this.#write(top) : "–"}`;
    });
    return words.join(", ");
  }

  #fit() {
    const width = this.#place.clientWidth;
    if (!width) return;
    if (this.#plot) {
      this.#plot.setSize({ width, height: HEIGHT });
      return;
    }
    this.#plot = new uPlot(this.#options(width), this.#points, this.#place);
    this.#forget = onChange(() => this.#plot.redraw(false, true));
  }

  get #isDaily() {
    const [first, second] = this.#points[0];
    return second - first >= DAY_S;
  }

  #options(width) {
    const write = this.#isDaily ? when : clock;
    const times = (_, splits) => splits.map((at) => write(new Date(at * 1000)));
    const values = (_, splits) => splits.map((value) => this.#write(value));
    return {
      width,
      height: HEIGHT,
      padding: [6, 20, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false, setScale: false }, points: { size: 6 } },
      scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
      axes: [
        axis({ size: 20, space: 70, values: times, grid: { show: false } }),
        axis({ size: 56, space: 30, values }),
      ],
      series: [{}, ...this.#lines.map(([, ink]) => this.#seriesIn(ink))],
      hooks: { setCursor: [(plot) => this.#point(plot)] },
    };
  }

  #seriesIn(ink) {
    return {
      stroke: () => colour(ink),
      width: 1.5,
      points: { size: 4, fill: () => colour(ink) },
    };
  }

  /** What the pointer is at. */
  #point({ cursor, data }) {
    const at = cursor.idx ?? null;
    const known = (value) => (Number.isFinite(value) ? this.#write(value) : "–");
    const values = at === null ? [] : data.slice(1).map((each) => known(each[at]));
    const time = at === null ? "" : fullMoment(new Date(data[0][at] * 1000));
    this.#value.textContent = values.length ? `${values.join(" · ")} (${time})` : "";
  }
}
