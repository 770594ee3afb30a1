// One trace as the site tells it: read once, then what is new of it.

import { isOpen } from "./forest.js";
import { readSpans, readTrace } from "./reading.js";

export class Record {
  trace = null;
  spans = [];
  #id;
  #changed;

  /** `changed()` is called whenever there is more to see. */
  constructor(id, changed) {
    [this.#id, this.#changed] = [id, changed];
  }

  /** Whether there may be more later. Rejects if it can't be read. */
  async read() {
    this.trace = await readTrace(this.#id);
    this.#changed();
    // What a run adds to its spans comes last: those before the first open one stay as they are.
    const open = this.spans.findIndex(isOpen);
    let place = open === -1 ? this.spans.length : open;
    for await (const items of readSpans(this.#id, place)) {
      this.spans = [...this.spans.slice(0, place), ...items, ...this.spans.slice(place + items.length)];
      place += items.length;
      this.#changed();
    }
    return this.trace.status === "running";
  }
}
