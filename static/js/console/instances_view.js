// The processes of one service, as a table.

import { arrange, element } from "../chat/dom.js";
import { moment, say } from "../chat/page.js";
import { memory, span, whole } from "./numbers.js";

const COLUMNS = [
  ["state", (each) => each.state_text],
  ["health", (each) => each.health_text],
  ["sessions", (each) => whole(each.measured.active_sessions)],
  ["memory", (each) => memory(each.measured.memory_mb)],
  ["lag", (each) => span(each.measured.loop_lag_ms)],
  ["restarts", (each) => whole(each.restart_count)],
  ["process", (each) => (each.pid === null ? "–" : String(each.pid))],
  ["since", (each) => (each.started_at ? moment(new Date(each.started_at)) : "–")],
];

export class InstancesView {
  #rows = new Map();
  #body = element("tbody");
  #none = element("p", { className: "hint" }, say("no_instances"));
  #frame;

  constructor(name) {
    const heads = COLUMNS.map(([text]) => element("th", { scope: "col" }, say(text)));
    const head = element("thead", {}, element("tr", {}, ...heads));
    const table = element("table", {}, head, this.#body);
    // A table that is wider than the page is scrolled, by keyboard too.
    this.#frame = element("div", { className: "table", role: "region", tabIndex: 0 }, table);
    this.#frame.setAttribute("aria-label", say("instances", { name }));
    this.node = element("div", { className: "instances" }, this.#frame, this.#none);
  }

  show(instances) {
    this.#none.hidden = instances.length > 0;
    this.#frame.hidden = instances.length === 0;
    const former = this.#rows;
    this.#rows = new Map(
      instances.map((each) => [each.instance_id, former.get(each.instance_id) ?? emptyRow()]),
    );
    for (const each of instances) {
      const row = this.#rows.get(each.instance_id);
      COLUMNS.forEach(([, write], place) => setText(row.children[place], write(each)));
      row.dataset.state = each.state;
    }
    arrange(this.#body, [...this.#rows.values()]);
  }
}

function emptyRow() {
  return element("tr", {}, ...COLUMNS.map(() => element("td")));
}

/** Leaves a node alone that says it already. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
