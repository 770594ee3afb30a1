// A long list of which only the rows in sight are elements.

export const ROW_PX = 34;
const BEYOND = 8; // Rows above and below what is in sight.

export class RowsInSight {
  #grid;
  #place;
  #idOf;
  #make;
  #fill;
  #rows = [];
  #shown = new Map(); // Elements by the ids of their rows.
  #selected = null;
  #drawing = null;

  /**
   * `grid` scrolls, and `place` in it has the rows. `idOf(row)`; `make(row)`: its element;
   * `fill(element, row)`: what may change of it. `chosen(row, target)`: one was clicked, and where.
   */
  constructor(grid, place, { idOf, make, fill, chosen }) {
    [this.#grid, this.#place, this.#idOf, this.#make, this.#fill] = [grid, place, idOf, make, fill];
    grid.addEventListener("scroll", () => this.#later());
    new ResizeObserver(() => this.#later()).observe(grid);
    place.addEventListener("click", ({ target }) => {
      const found = target.closest("[role=row]");
      const row = this.#rows.find((each) => this.#shown.get(idOf(each)) === found);
      if (row) chosen(row, target);
    });
  }

  /** `selected`: the id of the chosen row. */
  show(rows, selected) {
    [this.#rows, this.#selected] = [rows, selected];
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
    const wanted = new Set(inSight.map(this.#idOf));
    for (const [id, row] of this.#shown) {
      if (wanted.has(id)) continue;
      row.remove();
      this.#shown.delete(id);
    }
    inSight.forEach((row, place) => this.#drawRow(row, first + place));
    const chosen = this.#shown.get(this.#selected);
    if (chosen) this.#grid.setAttribute("aria-activedescendant", chosen.id);
    else this.#grid.removeAttribute("aria-activedescendant");
  }

  #drawRow(row, place) {
    const id = this.#idOf(row);
    let made = this.#shown.get(id);
    if (!made) {
      made = this.#make(row);
      this.#shown.set(id, made);
      this.#place.append(made);
    }
    made.style.top = `${place * ROW_PX}px`;
    made.setAttribute("aria-rowindex", place + 2);
    made.setAttribute("aria-selected", String(id === this.#selected));
    this.#fill(made, row);
  }
}
