// One rule in the list: which clients, where to, and what can be done with it.

import { element } from "../chat/dom.js";
import { page, say } from "../chat/page.js";
import { setText } from "./instances_view.js";
import { written } from "./rule_words.js";

// The texts of the buttons.
const EDIT = "rule_edit";
const REMOVE = "rule_remove";
const toggleOf = ({ enabled }) => (enabled ? "rule_disable" : "rule_enable");

/** `act(verb, rule)` is called for a button: `edit`, `toggle`, `remove`. */
export class RuleCard {
  #rule;
  #act;
  #parts = {};
  #buttons = {};
  #shown = "";

  constructor(rule, act) {
    this.#act = act;
    this.node = this.#build();
    this.show(rule);
  }

  show(rule) {
    this.#rule = rule;
    const said = JSON.stringify(rule);
    if (said === this.#shown) return;
    this.#shown = said;
    const { name, priority, disabled, description, facts, warnings } = this.#parts;
    setText(name, rule.name);
    setText(priority, String(rule.priority));
    disabled.hidden = rule.enabled;
    this.node.classList.toggle("off", !rule.enabled);
    setText(description, rule.description);
    description.hidden = !rule.description;
    facts.replaceChildren(...factsOf(rule));
    warnings.replaceChildren(
      ...rule.warnings.map((warning) =>
        element("p", { className: "rule-warning" }, say("rule_warns", { warning })),
      ),
    );
    this.#nameButtons(rule);
  }

  /** Puts the keyboard on what a person last used here. */
  focus(verb) {
    this.#buttons[verb]?.focus();
  }

  #build() {
    const parts = this.#parts;
    parts.name = element("h3", { className: "name" });
    parts.priority = element("span", { className: "rule-priority", title: say("rule_priority") });
    parts.disabled = element("span", { className: "tag" }, say("rule_disabled"));
    parts.description = element("p", { className: "description" });
    parts.facts = element("dl", { className: "rule-facts" });
    parts.warnings = element("div");
    const unseen = element("span", { className: "unseen" }, `${say("rule_priority")} `);
    const number = element("p", { className: "rule-order" }, unseen, parts.priority);
    const title = element("div", { className: "rule-title" }, parts.name, parts.disabled);
    const words = element("div", { className: "words" }, title, parts.description);
    const actions = element("div", { className: "rule-actions" }, ...this.#buildActions());
    const head = element("div", { className: "rule-head" }, number, words, actions);
    return element("li", { className: "rule" }, head, parts.facts, parts.warnings);
  }

  #buildActions() {
    const { mayChange, mayRemove } = page.rules;
    const verbs = [...(mayChange ? ["edit", "toggle"] : []), ...(mayRemove ? ["remove"] : [])];
    for (const verb of verbs) {
      const onclick = () => this.#act(verb, this.#rule);
      this.#buttons[verb] = element("button", { type: "button", className: "text-button", onclick });
    }
    return Object.values(this.#buttons);
  }

  #nameButtons(rule) {
    const texts = { edit: EDIT, toggle: toggleOf(rule), remove: REMOVE };
    for (const [verb, button] of Object.entries(this.#buttons)) {
      const what = say(texts[verb]);
      setText(button, what);
      button.setAttribute("aria-label", say("named", { what, name: rule.name }));
    }
  }
}

function factsOf(rule) {
  const code = (text) => element("code", {}, text);
  const tag = (text) => element("span", { className: "tag" }, text);
  const strategy = rule.fallback_strategy
    ? say("rule_or_else", { strategy: rule.target_strategy, fallback: rule.fallback_strategy })
    : rule.target_strategy;
  const services = rule.target_services.length ? rule.target_services : [say("rule_any_service")];
  const conditions = rule.conditions.map((each) => code(written(each)));
  return [
    fact("rule_clients", conditions.length ? conditions : [say("rule_everybody")]),
    fact("rule_services", [services.join(", ")]),
    ...(rule.target_tags.length ? [fact("rule_tags", rule.target_tags.map(tag))] : []),
    fact("rule_strategy", [strategy]),
  ];
}

function fact(name, values) {
  return element("div", {}, element("dt", {}, say(name)), element("dd", {}, ...values));
}
