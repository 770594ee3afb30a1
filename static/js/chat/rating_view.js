// What a person says an answer is worth: two thumbs, and a comment for whoever wants to say why.

import { element, icon } from "./dom.js";
import { say } from "./page.js";

const MOST_CHARACTERS = 2000; // As the protocol has it.
const THUMBS = { up: 1, down: -1 };

/** Half of a pair of code units can't be sent; a field may be cut there. */
const wellFormed = (text) => text.toWellFormed?.() ?? text;

export class RatingView {
  #turn;
  #rate;
  #buttons = {};
  #isAsking = false; // For a comment.
  #shown = "";

  /** `rate(turn, score, comment)`: a score of null takes it back. */
  constructor(turn, rate) {
    [this.#turn, this.#rate] = [turn, rate];
    for (const [name, score] of Object.entries(THUMBS)) {
      const given = { type: "button", className: `text-button thumb ${name}`, title: say(`thumb_${name}`) };
      const onclick = () => this.#press(score);
      this.#buttons[name] = element(
        "button",
        { ...given, "aria-label": say(`thumb_${name}`), onclick },
        icon(`thumb-${name}`),
      );
    }
    this.thumbs = element(
      "span",
      { className: "thumbs", role: "group", "aria-label": say("rate_answer") },
      ...Object.values(this.#buttons),
    );
    this.comment = element("div", { className: "rating" });
    this.update();
  }

  update() {
    const { score = null, comment = "" } = this.#turn.rating ?? {};
    for (const [name, button] of Object.entries(this.#buttons)) {
      const isPressed = score !== null && Math.sign(score) === THUMBS[name];
      button.setAttribute("aria-pressed", String(isPressed));
    }
    if (score === null) this.#isAsking = false;
    // What is being written stays while the rest of the turn is drawn.
    const shown = JSON.stringify([this.#isAsking, score, comment]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    if (this.#isAsking) this.comment.replaceChildren(this.#form(score));
    else if (comment) {
      const words = element("p", { className: "rating-words" }, say("feedback", { text: comment }));
      this.comment.replaceChildren(words);
    } else this.comment.replaceChildren();
  }

  /** The pressed thumb takes back what was said. */
  #press(score) {
    const isPressed = this.#turn.rating && Math.sign(this.#turn.rating.score) === score;
    this.#isAsking = !isPressed;
    this.#rate(this.#turn, isPressed ? null : score, "");
    this.update();
    this.comment.querySelector("input")?.focus({ preventScroll: true });
    this.comment.scrollIntoView({ block: "nearest" });
  }

  #form(score) {
    const words = say(score > 0 ? "what_was_good" : "what_was_bad");
    const field = element("input", {
      type: "text",
      maxLength: MOST_CHARACTERS,
      placeholder: words,
      "aria-label": words,
      autocomplete: "off",
    });
    const done = (isSent) => {
      const text = wellFormed(field.value.trim());
      this.#isAsking = false;
      if (isSent && text) this.#rate(this.#turn, score, text);
      this.update();
      this.#buttons[score > 0 ? "up" : "down"].focus();
    };
    const form = element(
      "form",
      {
        className: "rating-form",
        onsubmit: (event) => {
          event.preventDefault();
          done(true);
        },
        onkeydown: (event) => {
          if (event.key !== "Escape" || event.isComposing) return;
          event.preventDefault();
          done(false);
        },
      },
      field,
      element("button", { type: "submit", className: "button" }, say("send")),
      element("button", { type: "button", className: "text-button", onclick: () => done(false) }, say("skip_comment")),
    );
    return form;
  }
}
