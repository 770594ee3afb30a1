// The arguments of a tool as a form: a control for each simple one, JSON for the rest.

import { argumentsOf, fieldsOf, objectIn, Unreadable } from "./arguments.js";
import { element } from "./dom.js";
import { say } from "./page.js";
import { shown, unmasked } from "./tool_view.js";

const escapes = (code) => `\\u${code}`;

/** Characters that reverse the direction of writing are written as JSON escapes. */
const asJson = (text) => unmasked(text, escapes);

let count = 0;

export class ArgumentFields {
  #fields;
  #controls = new Map(); // By the arguments' names: {control, read()}.
  #problem;
  #id = `fields-${++count}`;

  /** `problem`: the element that shows what is wrong; it has an id. */
  constructor(args, schema, problem) {
    this.#fields = fieldsOf(args, schema);
    this.#problem = problem;
    const rows = this.#fields.map((field, place) => this.#row(field, `${this.#id}-${place}`));
    this.element = element("div", { className: "fields" }, ...rows);
    if (rows.length === 0) this.element.append(...this.#whole());
  }

  /** The first control. */
  get first() {
    return this.element.querySelector("input, select, textarea");
  }

  /** The text as arguments; null if it is invalid, after showing why. */
  read() {
    this.say("");
    try {
      const whole = this.#controls.get(null);
      if (whole) return objectIn(whole.read());
      const texts = this.#fields.map(({ name }) => [name, this.#controls.get(name).read()]);
      return argumentsOf(this.#fields, new Map(texts));
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      const { field, reason, detail } = error;
      this.say(say(reason, { name: field?.name ?? "", detail }), field?.name ?? null);
      return null;
    }
  }

  /** A sentence about what is wrong with the text; empty if nothing is. */
  say(sentence, name) {
    this.#problem.textContent = sentence;
    for (const { control } of this.#controls.values()) control.removeAttribute("aria-invalid");
    const wrong = this.#controls.get(name)?.control;
    wrong?.setAttribute("aria-invalid", "true");
    wrong?.focus();
  }

  #row(field, id) {
    const { name, kind, about, isRequired } = field;
    const control = this.#control(field, id);
    const label = element("label", { htmlFor: id }, element("code", {}, unmasked(name)));
    if (!isRequired) label.append(" ", element("span", { className: "optional" }, say("optional")));
    if (kind === "json") label.append(" ", element("span", { className: "optional" }, "JSON"));
    const parts = kind === "flag" ? [control, label] : [label, control];
    if (about) {
      const hint = element("p", { className: "about", id: `${id}-about` }, unmasked(about));
      parts.push(hint);
      control.setAttribute("aria-describedby", `${hint.id} ${this.#problem.id}`);
    }
    return element("div", { className: `field ${kind}` }, ...parts);
  }

  #control(field, id) {
    const { name, kind, text, preset, choices } = field;
    const given = { id, "aria-describedby": this.#problem.id, spellcheck: false };
    let control;
    if (kind === "flag") {
      control = element("input", { ...given, type: "checkbox", checked: text === "true" });
    } else if (kind === "choice") {
      control = element("select", given, ...options(choices, text));
    } else if (kind === "json" || text.includes("\n") || text.length > 80) {
      control = this.#area(given, kind === "json" ? asJson(text) : text);
    } else {
      const inputMode = { whole: "numeric", number: "decimal" }[kind] ?? "text";
      control = element("input", { ...given, type: "text", inputMode, value: text });
    }
    if (kind !== "choice") control.placeholder = preset;
    const state = () => (kind === "flag" ? String(control.checked) : control.value);
    const untouched = state(); // Browsers alter what they show: ends of lines, for example.
    this.#controls.set(name, { control, read: () => (state() === untouched ? text : state()) });
    return control;
  }

  #area(given, value) {
    const rows = Math.min(12, Math.max(2, value.split("\n").length));
    return element("textarea", { ...given, className: "editor", value, rows });
  }

  /** If no argument is known: all of them as one text. */
  #whole() {
    const id = `${this.#id}-whole`;
    const control = this.#area({ id, "aria-describedby": this.#problem.id, spellcheck: false }, "{}");
    this.#controls.set(null, { control, read: () => control.value });
    return [element("label", { htmlFor: id }, say("arguments_json")), control];
  }
}

function options(choices, chosen) {
  const made = choices.map((value, place) =>
    element("option", { value: String(place), selected: String(place) === chosen }, unmasked(shown(value))),
  );
  const none = element("option", { value: "-1", selected: chosen === "-1" }, "–");
  return chosen === "-1" ? [none, ...made] : made;
}
