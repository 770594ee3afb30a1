// A part of the page that is read again and again while somebody has it open.

import { lasting } from "../chat/storage.js";

export class Watched {
  #details;
  #read;
  #everyMs;
  #timer = null;

  /**
   * `details`: the part; whether it is open is kept under `key`, at first it is if `isOpen`.
   * `read()` reads and shows it: at once, and `everyMs` after the last time was done.
   */
  constructor(details, key, { isOpen, everyMs, read }) {
    this.#details = details;
    this.#read = read;
    this.#everyMs = everyMs;
    details.open = lasting.getJson(key, isOpen) === !isOpen ? !isOpen : isOpen;
    details.addEventListener("toggle", () => {
      lasting.setJson(key, details.open);
      this.look();
    });
    document.addEventListener("visibilitychange", () => this.look());
    this.look();
  }

  /** Reads it now, if somebody can see it. */
  async look() {
    clearTimeout(this.#timer);
    if (!this.#details.open || document.hidden) return;
    await this.#read();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.look(), this.#everyMs);
  }
}
