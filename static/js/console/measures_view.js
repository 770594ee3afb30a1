// The measurements of one service, each under its name.

import { element } from "../chat/dom.js";
import { say } from "../chat/page.js";
import { setText } from "./instances_view.js";
import { decimal, memory, span, spoken, whole } from "./numbers.js";

const MEASURES = [
  ["sessions", whole, ({ measured }) => measured.active_sessions],
  ["turns", decimal, ({ measured }) => measured.turns_per_minute],
  ["p95", span, ({ measured }) => measured.turn_p95_ms],
  ["memory", memory, ({ measured }) => measured.memory_mb],
  ["lag", span, ({ measured }) => measured.loop_lag_ms],
  ["restarts", whole, (service) => service.restart_count],
];

export class MeasuresView {
  #values = new Map();

  constructor() {
    this.node = element("dl", { className: "measures" });
    for (const name of [...MEASURES.map(([each]) => each), "health"]) {
      const value = element("dd");
      this.#values.set(name, value);
      const what = element("dt", {}, say(name));
      this.node.append(element("div", { className: `measure ${name}` }, what, value));
    }
  }

  show(service) {
    for (const [name, write, read] of MEASURES) {
      const value = read(service);
      const place = this.#values.get(name);
      setText(place, write(value));
      if (Number.isFinite(value)) place.removeAttribute("aria-label");
      else place.setAttribute("aria-label", spoken(write, value));
    }
    const health = this.#values.get("health");
    setText(health, service.health_text);
    health.dataset.health = service.health;
  }
}
