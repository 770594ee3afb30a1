// The conditions of a rule as rows of a form: field, operator, value.

import { element, iconButton } from "../chat/dom.js";
import { page, say } from "../chat/page.js";
import { choiceField, flagField, textField } from "./form_fields.js";
import { hasCase, listed, partsOf, takesSeveral } from "./rule_words.js";

const NEW = { field: "user_agent", operator: "contains", value: "", case_sensitive: false };

export class ConditionFields {
  #rows = [];
  #list = element("div", { className: "conditions" });
  #add;

  constructor(conditions) {
    this.#add = element("button", { type: "button", className: "text-button" }, say("condition_add"));
    this.#add.addEventListener("click", () => this.#append(NEW).focus());
    const hint = element("p", { className: "about" }, say("rule_conditions_hint"));
    const title = element("legend", {}, say("rule_conditions"));
    this.node = element("fieldset", { className: "field" }, title, hint, this.#list, this.#add);
    for (const each of conditions) this.#append(each);
  }

  read() {
    return this.#rows.map((row) => row.read());
  }

  /** `part`: of the condition in that place, if it is known. Returns whether there is such a row. */
  blame(place, part, sentence) {
    this.#rows[place]?.blame(part, sentence);
    return place in this.#rows;
  }

  clear() {
    for (const row of this.#rows) row.clear();
  }

  #append(condition) {
    const row = new ConditionRow(condition, () => this.#remove(row));
    this.#rows.push(row);
    this.#list.append(row.node);
    this.#number();
    return row;
  }

  #remove(row) {
    const place = this.#rows.indexOf(row);
    this.#rows.splice(place, 1);
    row.node.remove();
    this.#number();
    const next = this.#rows[place] ?? this.#rows[place - 1];
    if (next) next.focus();
    else this.#add.focus();
  }

  #number() {
    this.#rows.forEach((row, place) => row.number(place + 1));
  }
}

class ConditionRow {
  #kind;
  #key;
  #operator;
  #value;
  #isSent;
  #anyCase;
  #remove;

  constructor({ field, operator, value, case_sensitive: isExact }, remove) {
    const [kind, key] = partsOf(field);
    const kinds = [...page.rules.fields, ...page.rules.prefixes].map((each) => [each, kindText(each)]);
    const operators = page.rules.operators.map((each) => [each, each]);
    const sent = [["true", say("condition_sent")], ["false", say("condition_not_sent")]];
    const text = operator === "exists" ? "" : [value].flat().join(", ");
    this.#kind = choiceField(say("condition_field"), kinds, kind);
    this.#key = textField(say("condition_key"), key, { maxLength: 200 });
    this.#operator = choiceField(say("condition_operator"), operators, operator);
    this.#value = textField(say("condition_value"), text, { className: "value" });
    this.#isSent = choiceField(say("condition_value"), sent, String(value !== false), { className: "value" });
    this.#anyCase = flagField(say("condition_any_case"), !isExact);
    this.#remove = iconButton("close", "", remove);
    const fields = [this.#kind, this.#key, this.#operator, this.#value, this.#isSent, this.#anyCase];
    const nodes = fields.map((each) => each.node);
    this.node = element("div", { className: "condition", role: "group" }, ...nodes, this.#remove);
    for (const each of [this.#kind, this.#operator]) {
      each.control.addEventListener("change", () => this.#arrange());
    }
    this.#arrange();
  }

  number(number) {
    this.node.setAttribute("aria-label", say("condition_named", { number }));
    const words = say("condition_remove", { number });
    this.#remove.title = words;
    this.#remove.setAttribute("aria-label", words);
  }

  focus() {
    this.#kind.control.focus();
  }

  read() {
    const operator = this.#operator.value;
    const text = this.#value.value;
    const several = takesSeveral(operator) ? listed(text) : text;
    return {
      field: this.#kind.value + (this.#isNamed ? this.#key.value.trim() : ""),
      operator,
      value: operator === "exists" ? this.#isSent.value === "true" : several,
      case_sensitive: !(hasCase(operator) && this.#anyCase.value),
    };
  }

  blame(part, sentence) {
    const parts = { field: this.#isNamed ? this.#key : this.#kind, operator: this.#operator };
    const isOfKey = !part && this.#isNamed && !this.#key.value.trim();
    (isOfKey ? this.#key : (parts[part] ?? this.#value)).blame(sentence);
  }

  clear() {
    for (const each of [this.#kind, this.#key, this.#operator, this.#value]) each.blame("");
  }

  get #isNamed() {
    return page.rules.prefixes.includes(this.#kind.value);
  }

  #arrange() {
    const operator = this.#operator.value;
    this.#key.node.hidden = !this.#isNamed;
    this.#value.node.hidden = operator === "exists";
    this.#isSent.node.hidden = operator !== "exists";
    this.#anyCase.node.hidden = !hasCase(operator);
    this.#value.control.placeholder = takesSeveral(operator) ? say("condition_values") : "";
  }
}

/** `header.` stands for any header, `header.…`. */
function kindText(kind) {
  return kind.endsWith(".") ? `${kind}…` : kind;
}
