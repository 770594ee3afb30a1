// One trace as the site tells it: read once, then what is new of it.

import { isOpen } from "./forest.js";
import { readSpans, readTrace } from "./reading.js";

export class Record {
  trace = null;
  spans = [];
  isWhole = false; // Whether all steps were read once.
  #id;
  #changed;

  /** `changed()` is called whenever there is more to see. */
  constructor(id, changed) {
    [this.#id, this.#changed] = [id, changed];
  }

  /** Whether it goes on. Rejects if it can't be read. */
  async read() {
    this.trace = await readTrace(this.#id);
    this.#changed();
    let place = this.#firstThatMayChange();
    for await (const items of readSpans(this.#id, place)) {
      const read = new Set(items.map((span) => span.span_id));
      const rest = this.spans.slice(place).filter((span) => !read.has(span.span_id));
      this.spans = [...this.spans.slice(0, place), ...items, ...rest];
      place += items.length;
      this.#changed();
    }
    if (!this.isWhole) {
      this.isWhole = true;
      this.#changed();
    }
    return this.trace.status === "running";
  }

  /** The place of the first span that may look otherwise now, or before which there may be a new one:
   * one that is open, or the first of the last step, to which tools and their work are added. */
  #firstThatMayChange() {
    const last = this.spans.at(-1);
    if (!last) return 0;
    return this.spans.findIndex(
      (span) => isOpen(span) || (span.attempt === last.attempt && span.step === last.step),
    );
  }
}
