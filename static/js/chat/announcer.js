// What a screen reader hears: whole sentences when something is done, never a piece of a stream.

const PAUSE_MS = 300;
const LONGEST = 2000;

export class Announcer {
  #element;
  #waiting = [];
  #timer = null;

  constructor(element) {
    this.#element = element;
  }

  say = (text) => {
    this.#waiting.push(text.slice(0, LONGEST));
    this.#element.textContent = ""; // So that the same sentence is news again.
    this.#timer ??= setTimeout(() => this.#speak(), PAUSE_MS);
  };

  #speak() {
    this.#timer = null;
    this.#element.textContent = this.#waiting.splice(0).join(" ");
  }
}
