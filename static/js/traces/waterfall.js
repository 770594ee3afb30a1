// The tree and the bars of a run's steps in one list, of which only the rows in sight are elements.

import { element, icon } from "../chat/dom.js";
import { say } from "../chat/page.js";
import { barOf, isFailed, isOpen } from "./forest.js";
import { statusOf, took } from "./words.js";

export const ROW_PX = 34;
const BEYOND = 8; // Rows above and below what is in sight.
const INDENT_PX = 16;

const idOf = (span) => `span-${span.span_id}`;

export class Waterfall {
  #grid;
  #place;
  #actions;
  #rows = [];
  #shown = new Map(); // Elements by the ids of their spans.
  #how = { time: { from: 0, to: 1 }, now: 0, critical: new Set(), collapsed: new Set() };
  #selected = null;
  #drawing = null;

  /** `actions`: choose(span), toggle(span). */
  constructor(grid, place, actions) {
    [this.#grid, this.#place, this.#actions] = [grid, place, actions];
    grid.addEventListener("scroll", () => this.#later());
    new ResizeObserver(() => this.#later()).observe(grid);
    place.addEventListener("click", ({ target }) => this.#clicked(target));
  }

  /** `how`: {time, now, critical, collapsed, selected}; see `forest.js`. */
  show(rows, how) {
    this.#rows = rows;
    this.#how = how;
    this.#selected = how.selected;
    this.#grid.setAttribute("aria-rowcount", rows.length + 1);
    this.#place.style.height = `${rows.length * ROW_PX}px`;
    this.#draw();
  }

  /** Moves the list so that the row is in sight. */
  reveal(place) {
    const head = this.#place.offsetTop;
    const [top, bottom] = [place * ROW_PX, (place + 1) * ROW_PX + head];
    const { scrollTop, clientHeight } = this.#grid;
    if (top < scrollTop) this.#grid.scrollTop = top;
    else if (bottom > scrollTop + clientHeight) this.#grid.scrollTop = bottom - clientHeight;
    this.#draw();
  }

  #later() {
    this.#drawing ??= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    cancelAnimationFrame(this.#drawing);
    this.#drawing = null;
    const { scrollTop, clientHeight } = this.#grid;
    const first = Math.max(0, Math.floor(scrollTop / ROW_PX) - BEYOND);
    const last = Math.ceil((scrollTop + clientHeight) / ROW_PX) + BEYOND;
    const inSight = this.#rows.slice(first, last);
    const wanted = new Set(inSight.map(({ span }) => span.span_id));
    for (const [id, row] of this.#shown) {
      if (wanted.has(id)) continue;
      row.remove();
      this.#shown.delete(id);
    }
    inSight.forEach((node, place) => this.#drawRow(node, first + place));
    const chosen = this.#shown.get(this.#selected);
    if (chosen) this.#grid.setAttribute("aria-activedescendant", chosen.id);
    else this.#grid.removeAttribute("aria-activedescendant");
  }

  #drawRow(node, place) {
    const { span } = node;
    let row = this.#shown.get(span.span_id);
    if (!row) {
      row = newRow(span);
      this.#shown.set(span.span_id, row);
      this.#place.append(row);
    }
    row.style.top = `${place * ROW_PX}px`;
    row.setAttribute("aria-rowindex", place + 2);
    row.setAttribute("aria-level", node.depth + 1);
    row.setAttribute("aria-selected", String(span.span_id === this.#selected));
    if (node.children.length) {
      row.setAttribute("aria-expanded", String(!this.#how.collapsed.has(span.span_id)));
    } else row.removeAttribute("aria-expanded");
    row.dataset.status = span.status;
    row.classList.toggle("failed", isFailed(span));
    row.classList.toggle("open", isOpen(span));
    this.#drawCells(row, node);
  }

  #drawCells(row, { span, depth }) {
    const [name, length, line] = row.children;
    const { time, now, critical } = this.#how;
    name.style.paddingInlineStart = `${Math.min(depth, 12) * INDENT_PX}px`;
    const isFine = span.status === "success";
    name.querySelector(".badge").textContent = isFine ? "" : statusOf(span.status);
    length.textContent = took(span.duration_ms ?? (isOpen(span) ? now - Date.parse(span.started_at) : NaN));
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

  #clicked(target) {
    const row = target.closest("[role=row]");
    const node = this.#rows.find(({ span }) => row && idOf(span) === row.id);
    if (!node) return;
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
    { id: idOf(span), role: "row", className: "span-row" },
    element("span", { role: "gridcell", className: "span-words" }, twist, kind, label, badge),
    element("span", { role: "gridcell", className: "number" }),
    element("span", { role: "gridcell", className: "line" }, element("span", { className: "bar-of-time" })),
  );
}
