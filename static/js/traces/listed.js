// The rows of the list of traces: how many there are, and how far they reach. Values in, values out.
//
// answer  {items, cursor, complete}: of the interface, the newest first. Of what lies above its
//         cursor (null: of all) it has all that matches.

const MOST = 500; // Of a page of the interface.

const idOf = ({ trace_id: id }) => id; // Ids are in the order of time.

export class Listed {
  items = [];
  cursor = null; // Below it lies what was not read; null: nothing does.
  isComplete = true; // Whether it ends there because it is full, not because much was looked through.
  #size;
  #wanted;
  #isRead = false;

  /** `size`: the rows that there are at most, until somebody asks for older ones. */
  constructor(size) {
    [this.#size, this.#wanted] = [size, size];
  }

  /** How many to ask for, to see all rows as they are now. */
  get limit() {
    return Math.min(this.#wanted, MOST);
  }

  /** Somebody wants older ones: the cursor to ask with. */
  reach() {
    this.#wanted += this.#size;
    return this.cursor;
  }

  /** An answer with the newest. Older rows stay if none can be missing between. */
  renew({ items, cursor, complete }) {
    const isWhole = cursor === null || (this.cursor !== null && cursor <= this.cursor);
    if (!this.#isRead || isWhole || this.#isApart({ items, complete })) {
      [this.items, this.cursor, this.isComplete] = [items, cursor, complete];
    } else this.items = [...items, ...this.items.filter((item) => idOf(item) < cursor)];
    this.#isRead = true;
    this.#cut();
  }

  /** The answer with what is older than `from`; nothing if the rows end elsewhere meanwhile. */
  add({ items, cursor, complete }, from) {
    if (from !== this.cursor) return;
    [this.items, this.cursor, this.isComplete] = [[...this.items, ...items], cursor, complete];
    this.#wanted = Math.max(this.#wanted, this.items.length);
  }

  /** Whether more came than the answer holds. */
  #isApart({ items, complete }) {
    const known = new Set(this.items.map(idOf));
    return complete && !items.some((item) => known.has(idOf(item)));
  }

  #cut() {
    if (this.items.length <= this.#wanted) return;
    this.items = this.items.slice(0, this.#wanted);
    [this.cursor, this.isComplete] = [idOf(this.items.at(-1)), true];
  }
}
