// The turns on the screen: drawn together, a blink after they change; scrolled while nobody reads.

import { arrange } from "./dom.js";
import { TurnView } from "./turn_view.js";

const BLINK_MS = 16;
const NEAR_PX = 48;

/** Keeps the end in view until the reader scrolls away from it. */
class Follower {
  #scroller;
  #button;
  #isFollowing = true;
  #lastTop = 0;

  constructor(scroller, button) {
    this.#scroller = scroller;
    this.#button = button;
    scroller.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    button.addEventListener("click", () => {
      this.toEnd();
      scroller.focus();
    });
    new ResizeObserver(() => this.keep()).observe(scroller);
  }

  toEnd() {
    this.#isFollowing = true;
    this.keep();
  }

  keep() {
    if (this.#isFollowing) {
      this.#scroller.scrollTop = this.#scroller.scrollHeight;
      this.#lastTop = this.#scroller.scrollTop;
    }
    this.#button.hidden = this.#isFollowing || this.#distance() < NEAR_PX;
  }

  /** Sees where the reader is now: the browser tells of it only with its next frame. */
  look() {
    const { scrollTop } = this.#scroller;
    const isUp = scrollTop < this.#lastTop;
    this.#lastTop = scrollTop;
    if (this.#distance() < NEAR_PX) this.#isFollowing = true;
    else if (isUp) this.#isFollowing = false;
  }

  #distance() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight;
  }

  #onScroll() {
    this.look();
    this.#button.hidden = this.#isFollowing;
  }
}

export class Transcript {
  #list;
  #actions;
  #follower;
  #views = new Map();
  #changed = new Set();
  #timer = null;
  #turns = null;

  constructor({ list, scroller, toEnd }, actions) {
    this.#list = list;
    this.#follower = new Follower(scroller, toEnd);
    const drawn = () => {
      this.#follower.look();
      this.#follower.keep();
    };
    this.#actions = { ...actions, drawn };
  }

  /** Shows other turns from now on. */
  use(turns) {
    this.#turns = turns;
    this.#views.clear();
    this.#list.replaceChildren();
    this.follow();
  }

  follow() {
    this.#follower.toEnd();
  }

  /** The response to a question was refused; `reason` is a sentence. */
  askAgain(stepId, reason) {
    for (const view of this.#views.values()) view.askAgain(stepId, reason);
  }

  changed(turn) {
    if (turn) this.#changed.add(turn);
    this.#timer ??= setTimeout(() => this.#draw(), BLINK_MS);
  }

  #draw() {
    this.#timer = null;
    this.#follower.look();
    const shown = new Set(this.#turns.started);
    for (const turn of this.#views.keys()) if (!shown.has(turn)) this.#views.delete(turn);
    for (const turn of shown) {
      try {
        this.#update(turn);
      } catch (error) {
        reportError(error); // One turn's mistake must not cost the others.
      }
    }
    this.#changed.clear();
    const views = Array.from(shown, (turn) => this.#views.get(turn)).filter(Boolean);
    arrange(this.#list, views.map((view) => view.element));
    this.#follower.keep();
  }

  #update(turn) {
    const view = this.#views.get(turn);
    if (!view) this.#views.set(turn, new TurnView(turn, this.#actions));
    else if (this.#changed.has(turn)) view.update();
  }
}
