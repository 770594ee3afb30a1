// The charts of one service: read when its details are first seen, drawn only while they are.

import { element } from "../chat/dom.js";
import { say } from "../chat/page.js";
import { Chart } from "./chart.js";
import { decimal, memory, span, whole } from "./numbers.js";
import { Trend } from "./trend.js";

const SHOWN = [
  ["memory_mb", "memory", memory],
  ["active_sessions", "sessions", whole],
  ["turns_per_minute", "turns", decimal],
  ["turn_p95_ms", "p95", span],
];

export class Charts {
  #trend;
  #charts;
  #note = element("p", { className: "no-data", hidden: true });
  #isSeen = false;
  #measured = {};
  #observer = new IntersectionObserver((entries) => this.#see(entries.at(-1).isIntersecting));

  constructor(serviceId, name) {
    this.#trend = new Trend(serviceId);
    this.#charts = SHOWN.map((shown) => new Chart(this.#trend, ...shown));
    for (const chart of this.#charts) chart.node.hidden = true; // Until there is something to see.
    this.node = element(
      "div",
      { className: "charts", role: "group", "aria-label": say("charts", { name }) },
      ...this.#charts.map((chart) => chart.node),
      this.#note,
    );
    this.#observer.observe(this.node);
  }

  /** What is measured now. */
  add(measured) {
    this.#measured = measured;
    if (this.#trend.add(measured)) this.#draw();
  }

  /** Reads the last hour anew: something happened that no measurement tells. */
  refresh() {
    if (this.#trend.isLoaded) this.#load();
  }

  remove() {
    this.#observer.disconnect();
    for (const chart of this.#charts) chart.remove();
  }

  #see(isSeen) {
    this.#isSeen = isSeen;
    if (!isSeen) return;
    if (this.#trend.isLoaded) this.#draw();
    else this.#load();
  }

  async #load() {
    try {
      await this.#trend.load();
    } catch {
      this.#tell(say("no_history")); // It is tried again when seen again.
      return;
    }
    this.#trend.add(this.#measured);
    this.#draw();
  }

  #draw() {
    if (!this.#isSeen) return;
    const { isEmpty } = this.#trend;
    this.#tell(isEmpty ? say("no_data") : "");
    for (const chart of this.#charts) {
      chart.node.hidden = isEmpty;
      if (!isEmpty) chart.draw();
    }
  }

  #tell(sentence) {
    this.#note.hidden = sentence === "";
    this.#note.textContent = sentence;
  }
}
