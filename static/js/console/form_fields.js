// Controls with a label, a hint and a place for what is wrong with them.

import { element } from "../chat/dom.js";

let count = 0;

/** A control of a form. `node` is the whole, `control` what is typed in or chosen from. */
export class Field {
  #problem;

  /** `control`: an input, a select or a textarea; `hint`: a sentence about it, or nothing. */
  constructor(label, control, { hint = "", className = "" } = {}) {
    const id = `field-${++count}`;
    this.control = control;
    control.id = id;
    this.#problem = element("p", { className: "field-problem", id: `${id}-problem`, hidden: true });
    const about = hint ? element("p", { className: "about", id: `${id}-about` }, hint) : null;
    control.setAttribute("aria-describedby", about ? `${about.id} ${this.#problem.id}` : this.#problem.id);
    const isFlag = control.type === "checkbox";
    const name = element("label", { htmlFor: id }, label);
    const parts = isFlag ? [control, name] : [name, control];
    const look = `field ${isFlag ? "flag" : ""} ${className}`.trim();
    this.node = element("div", { className: look }, ...parts, about, this.#problem);
  }

  get value() {
    return this.control.type === "checkbox" ? this.control.checked : this.control.value;
  }

  /** Says what is wrong; nothing is, if the sentence is empty. */
  blame(sentence) {
    this.#problem.textContent = sentence;
    this.#problem.hidden = sentence === "";
    if (sentence) this.control.setAttribute("aria-invalid", "true");
    else this.control.removeAttribute("aria-invalid");
  }
}

export function textField(label, value, { hint, className, ...given } = {}) {
  const plain = { type: "text", value, autocomplete: "off", spellcheck: false };
  return new Field(label, element("input", { ...plain, ...given }), { hint, className });
}

export function areaField(label, value, { hint, className, ...given } = {}) {
  const control = element("textarea", { value, rows: 2, spellcheck: false, ...given });
  return new Field(label, control, { hint, className });
}

/** `choices`: [value, text] of each. */
export function choiceField(label, choices, chosen, { className } = {}) {
  const options = choices.map(([value, text]) =>
    element("option", { value, selected: value === chosen }, text),
  );
  return new Field(label, element("select", {}, ...options), { className });
}

export function flagField(label, checked, { className } = {}) {
  return new Field(label, element("input", { type: "checkbox", checked }), { className });
}

/** Puts the keyboard on the first control that something is wrong with. */
export function focusWrong(form) {
  form.querySelector("[aria-invalid]")?.focus();
}
