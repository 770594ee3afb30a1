// The conversations that this page is connected to: the one on the screen, and some beside it that
// are at work, so that the page knows when they want something, or have ended.

import { foremost } from "./standing.js";

const MOST_BESIDE = 4;

export class Talks {
  #make;
  #moved;
  #beside = new Map(); // By their ids, the one that was left last at the end.
  #told = new Map(); // How each one stood when that was last told, by its id.
  current = null;

  /**
   * `make(id, moved)` makes a talk, not yet open, that calls `moved(talk)` whenever it may stand
   * otherwise. `moved(talk, standing, before)` is called when one does; `before` is undefined for
   * one that was not known.
   */
  constructor(make, moved) {
    this.#make = (id) => make(id, (talk) => this.#look(talk));
    this.#moved = moved;
  }

  /** Shows one on the screen. True: it was open already, and is up to date. */
  show(id) {
    this.#putAside();
    const known = this.#beside.get(id);
    this.#beside.delete(id);
    this.current = known ?? this.#make(id);
    if (!known) this.current.open();
    return Boolean(known);
  }

  /** Connects to those as well, as far as the limit allows. */
  follow(ids) {
    for (const id of ids) {
      if (this.#beside.size >= MOST_BESIDE) return;
      if (id === this.current?.id || this.#beside.has(id)) continue;
      const talk = this.#make(id);
      this.#beside.set(id, talk);
      talk.open();
    }
  }

  forget(id) {
    this.#beside.get(id)?.leave();
    this.#beside.delete(id);
  }

  /** The most urgent standing of all. */
  get standing() {
    return foremost([this.current, ...this.#beside.values()].map((talk) => talk?.standing));
  }

  /** The page is being closed. */
  rememberUnsent() {
    for (const talk of [this.current, ...this.#beside.values()]) talk?.rememberUnsent();
  }

  #putAside() {
    const { current } = this;
    if (!current) return;
    if (!current.id || !current.standing) {
      current.leave();
      return;
    }
    this.#beside.set(current.id, current);
    if (this.#beside.size > MOST_BESIDE) this.forget(this.#beside.keys().next().value);
  }

  #look(talk) {
    const { id, isKnown, standing } = talk;
    if (!id || !isKnown || this.#told.get(id) === standing) return;
    const before = this.#told.get(id);
    this.#told.set(id, standing);
    if (talk !== this.current && standing === "") this.forget(id);
    this.#moved(talk, standing, before);
  }
}
