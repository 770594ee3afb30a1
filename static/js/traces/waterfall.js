// The tree and the bars of a run's steps in one list.

import { element, icon } from "../chat/dom.js";
import { say } from "../chat/page.js";
import { barOf, isFailed, isOpen } from "./forest.js";
import { RowsInSight } from "./rows_in_sight.js";
import { statusOf, tokensOf, took } from "./words.js";

const INDENT_PX = 16;

export class Waterfall {
  #rows;
  #actions;
  #how = { time: { from: 0, to: 1 }, now: 0, critical: new Set(), collapsed: new Set() };

  /** `actions`: choose(span), toggle(span). */
  constructor(grid, place, actions) {
    this.#actions = actions;
    this.#rows = new RowsInSight(grid, place, {
      idOf: ({ span }) => span.span_id,
      make: ({ span }) => newRow(span),
      fill: (row, node) => this.#fill(row, node),
      chosen: (node, target) => this.#clicked(node, target),
    });
  }

  /** `how`: {time, now, critical, collapsed, selected}; see `forest.js`. */
  show(rows, how) {
    this.#how = how;
    this.#rows.show(rows, how.selected);
  }

  /** Moves the list so that the row is in sight. */
  reveal(place) {
    this.#rows.reveal(place);
  }

  #fill(row, node) {
    const { span } = node;
    row.setAttribute("aria-level", node.depth + 1);
    if (node.children.length) {
      row.setAttribute("aria-expanded", String(!this.#how.collapsed.has(span.span_id)));
    } else row.removeAttribute("aria-expanded");
    row.dataset.status = span.status;
    row.classList.toggle("failed", isFailed(span));
    row.classList.toggle("open", isOpen(span));
    this.#fillCells(row, node);
  }

  #fillCells(row, { span, depth }) {
    const [name, tokens, length, line] = row.children;
    const { time, now, critical } = this.#how;
    name.style.paddingInlineStart = `${Math.min(depth, 12) * INDENT_PX}px`;
    const isFine = span.status === "success";
    const badge = name.querySelector(".badge");
    badge.title = badge.textContent = isFine ? "" : statusOf(span.status);
    length.textContent = took(span.duration_ms ?? (isOpen(span) ? now - Date.parse(span.started_at) : NaN));
    tokens.textContent = span.usage && !isOpen(span) ? tokensOf(span.usage) : "";
    const bar = line.firstElementChild;
    const place = barOf(span, time, now);
    bar.hidden = place === null;
    if (place) {
      bar.style.insetInlineStart = `min(${place.left * 100}%, 100% - 3px)`;
      bar.style.inlineSize = `max(3px, ${place.width * 100}%)`;
    }
    const isCritical = critical.has(span.span_id);
    row.classList.toggle("critical", isCritical);
    line.title = isCritical ? say("critical") : "";
  }

  #clicked(node, target) {
    if (target.closest(".twist") && node.children.length) this.#actions.toggle(node.span);
    else this.#actions.choose(node.span);
  }
}

function newRow(span) {
  const kind = element("span", { className: `kind ${span.kind}` }, say(`kind_${span.kind}`));
  const label = element("span", { className: "span-name" }, span.name || "–");
  const twist = element("span", { className: "twist" }, icon("chevron"));
  const badge = element("span", { className: "badge" });
  return element(
    "div",
    { id: `span-${span.span_id}`, role: "row", className: "span-row" },
    element("span", { role: "gridcell", className: "span-words" }, twist, kind, label, badge),
    element("span", { role: "gridcell", className: "number tokens" }),
    element("span", { role: "gridcell", className: "number" }),
    element("span", { role: "gridcell", className: "line" }, element("span", { className: "bar-of-time" })),
  );
}
