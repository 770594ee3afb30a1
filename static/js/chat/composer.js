// Where people write: Enter sends, Shift+Enter starts a new line, and an input method is left alone.

const COMPOSING_KEY = 229; // Safari ends a composition before the Enter that ended it.
const TOUCH = matchMedia("(pointer: coarse)");

export class Composer {
  #form;
  #field;
  #send;

  /** `onSend(text)` returns whether the text was taken. */
  constructor(form, field, send, onSend) {
    this.#form = form;
    this.#field = field;
    this.#send = send;
    field.addEventListener("input", () => this.#fit());
    field.addEventListener("keydown", (event) => this.#onKey(event));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = field.value.trim();
      if (!text || field.disabled || !onSend(text)) return;
      this.text = "";
      field.focus();
    });
    new ResizeObserver(() => this.#fit()).observe(form);
    this.#fit();
  }

  get text() {
    return this.#field.value;
  }

  set text(text) {
    this.#field.value = text;
    this.#fit();
  }

  /** Puts the cursor there, unless that would bring up a keyboard nobody asked for. */
  focus() {
    if (!TOUCH.matches) this.#field.focus();
  }

  enable(isEnabled) {
    this.#field.disabled = !isEnabled;
    this.#fit();
  }

  #onKey(event) {
    const isComposing = event.isComposing || event.keyCode === COMPOSING_KEY;
    if (event.key !== "Enter" || event.shiftKey || isComposing || TOUCH.matches) return;
    event.preventDefault();
    this.#form.requestSubmit();
  }

  #fit() {
    this.#field.style.height = "auto";
    this.#field.style.height = `${this.#field.scrollHeight}px`;
    this.#send.disabled = this.#field.disabled || this.#field.value.trim() === "";
  }
}
