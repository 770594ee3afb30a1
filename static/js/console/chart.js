// One measurement over the last hour: a line, its restarts, and the same in words.

import uPlot from "../../vendor/uplot/uplot.js";
import { element } from "../chat/dom.js";
import { clock, say } from "../chat/page.js";
import { colour, onChange } from "./ink.js";
import { spoken, whole } from "./numbers.js";

const HEIGHT = 104;
const FONT = "11px system-ui, sans-serif";
const POWERS = [1, 10, 100, 1000, 10000, 100000];
const COUNTS = POWERS.flatMap((power) => [power, 2 * power, 5 * power]); // No half sessions.
const WISHED = "restart"; // The cause of a restart that somebody asked for.

const AXIS = {
  stroke: () => colour("muted"),
  grid: { stroke: () => colour("line"), width: 1 },
  ticks: { show: false },
  font: FONT,
  gap: 4,
};

const LINE = {
  stroke: () => colour("accent"),
  fill: () => colour("accent-soft"),
  width: 1.5,
  points: { size: 4, fill: () => colour("accent") },
};

export class Chart {
  #trend;
  #name;
  #what;
  #write;
  #plot = null;
  #place = element("div", { className: "plot", role: "img" });
  #value = element("span", { className: "chart-value" });
  #forget = null;
  #resized = new ResizeObserver(() => this.#fit());

  /** `what`: the name of its text; `write`: puts a value into words. */
  constructor(trend, name, what, write) {
    this.#trend = trend;
    this.#name = name;
    this.#what = say(what);
    this.#place.setAttribute("aria-label", this.#what);
    this.#write = write;
    this.node = element(
      "figure",
      { className: "chart" },
      element("figcaption", {}, element("span", {}, this.#what), this.#value),
      this.#place,
    );
  }

  draw() {
    const series = this.#trend.series(this.#name);
    const values = series[1].filter((value) => value !== null);
    this.#describe(values, series[1].at(-1) ?? null);
    if (!values.length) {
      this.#clear();
      this.#place.replaceChildren(element("p", { className: "no-data" }, "–"));
    } else if (this.#plot) {
      this.#plot.setData(series);
    } else if (this.#place.clientWidth) {
      this.#begin(series);
    }
    this.#resized.observe(this.#place);
  }

  remove() {
    this.#resized.disconnect();
    this.#clear();
  }

  #describe(values, now) {
    const { restarts } = this.#trend;
    const say_ = (value) => spoken(this.#write, value);
    const words = values.length
      ? say("chart_summary", {
          what: this.#what,
          now: say_(now),
          low: say_(Math.min(...values)),
          high: say_(Math.max(...values)),
        })
      : say("chart_empty", { what: this.#what });
    const ends = restarts.length ? say("chart_restarts", { count: restarts.length }) : "";
    this.#place.setAttribute("aria-label", `${words} ${ends}`.trim());
    this.#value.textContent = values.length ? this.#write(now) : "";
  }

  #begin(series) {
    this.#place.replaceChildren();
    this.#plot = new uPlot(this.#options(), series, this.#place);
    this.#forget = onChange(() => this.#plot.redraw(false, true));
  }

  #clear() {
    this.#forget?.();
    this.#plot?.destroy();
    this.#plot = null;
    this.#forget = null;
  }

  #fit() {
    const width = this.#place.clientWidth;
    if (!width) return;
    if (!this.#plot) this.draw();
    else if (width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT });
  }

  #options() {
    return {
      width: this.#place.clientWidth,
      height: HEIGHT,
      padding: [6, 20, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false, setScale: false }, points: { size: 6 } },
      scales: {
        x: { range: () => [this.#trend.begin, Date.now() / 1000] },
        y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 1] },
      },
      axes: this.#axes(),
      series: [{}, LINE],
      hooks: {
        draw: [(plot) => drawRestarts(plot, this.#trend.restarts)],
        setCursor: [(plot) => this.#point(plot)],
      },
    };
  }

  #axes() {
    const steps = this.#write === whole ? { incrs: COUNTS } : {};
    const times = (_, splits) => splits.map((at) => clock(new Date(at * 1000)));
    const values = (_, splits) => splits.map((value) => this.#write(value));
    return [
      { ...AXIS, size: 20, space: 70, values: times, grid: { show: false } },
      { ...AXIS, ...steps, size: 52, space: 26, values },
    ];
  }

  /** What the pointer is at, in place of the newest value. */
  #point(plot) {
    const [times, values] = plot.data;
    const at = plot.cursor.idx ?? null;
    const newest = values.at(-1);
    this.#value.textContent =
      at === null || values[at] === null || values[at] === undefined
        ? this.#write(newest)
        : say("at_time", {
            value: this.#write(values[at]),
            time: clock(new Date(times[at] * 1000)),
          });
  }
}

function drawRestarts(plot, restarts) {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  ctx.save();
  ctx.lineWidth = Math.max(1, devicePixelRatio);
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const { at, cause } of restarts) {
    const x = Math.round(plot.valToPos(at, "x", true));
    if (x < left || x > left + width) continue;
    ctx.strokeStyle = colour(cause === WISHED ? "muted" : "bad");
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x, top + height);
    ctx.stroke();
  }
  ctx.restore();
}
