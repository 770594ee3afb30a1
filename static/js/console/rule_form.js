// The form in which a rule is made or changed.

import { element } from "../chat/dom.js";
import { page, say } from "../chat/page.js";
import { ConditionFields } from "./condition_fields.js";
import { areaField, choiceField, flagField, focusWrong, textField } from "./form_fields.js";
import { listed } from "./rule_words.js";

const BLANK = {
  name: "",
  description: "",
  priority: 100,
  weight: 1,
  enabled: true,
  conditions: [],
  target_strategy: "round_robin",
  target_services: [],
  target_tags: [],
  fallback_strategy: null,
};
const MOST_OFFERED = 24;

export class RuleForm {
  #rule;
  #fields;
  #conditions;

  /**
   * `rule`: what it begins with, or null for a new one. `known`: {services, tags} that can be
   * offered, names of each.
   */
  constructor(rule, known) {
    this.#rule = { ...BLANK, ...rule };
    this.#conditions = new ConditionFields(this.#rule.conditions);
    this.#fields = this.#build(this.#rule);
    const { name, description, enabled, priority, weight, target_services: services } = this.#fields;
    const { target_tags: tags, target_strategy: strategy, fallback_strategy: fallback } = this.#fields;
    this.node = element(
      "div",
      { className: "fields" },
      ...[name, enabled, priority, weight].map((each) => each.node),
      this.#conditions.node,
      ...[services, tags, strategy, fallback, description].map((each) => each.node),
    );
    this.#offer(services, known.services);
    this.#offer(tags, known.tags);
  }

  /** What differs from what the rule was, as REST takes it. */
  changes() {
    const typed = this.#read();
    const isOther = ([name, value]) => JSON.stringify(value) !== JSON.stringify(this.#rule[name]);
    return Object.fromEntries(Object.entries(typed).filter(isOther));
  }

  /** Says what is wrong with each field; returns what belongs to none of them. */
  blame(problems) {
    for (const field of Object.values(this.#fields)) field.blame("");
    this.#conditions.clear();
    const rest = Object.entries(problems).filter(([name, sentence]) => !this.#place(name, sentence));
    focusWrong(this.node);
    return rest.map(([, sentence]) => sentence).join(" ");
  }

  #place(name, sentence) {
    const [first, place, part] = name.split(".");
    if (first === "conditions") return this.#conditions.blame(Number(place), part, sentence);
    this.#fields[first]?.blame(sentence);
    return first in this.#fields;
  }

  #build(rule) {
    const strategies = page.rules.strategies.map((each) => [each, `${each} – ${say(`strategy_${each}`)}`]);
    const named = { className: "named" };
    const number = { type: "number", min: 0, step: 1, required: true };
    return {
      name: textField(say("rule_name"), rule.name, { maxLength: 100, required: true }),
      enabled: flagField(say("rule_enabled"), rule.enabled),
      priority: textField(say("rule_priority"), rule.priority, { ...number, hint: say("rule_priority_hint") }),
      weight: textField(say("rule_weight"), rule.weight, { ...number, hint: say("rule_weight_hint") }),
      target_services: textField(say("rule_services"), rule.target_services.join(", "), {
        ...named,
        hint: say("rule_services_hint"),
      }),
      target_tags: textField(say("rule_tags"), rule.target_tags.join(", "), {
        ...named,
        hint: say("rule_tags_hint"),
      }),
      target_strategy: choiceField(say("rule_strategy"), strategies, rule.target_strategy),
      fallback_strategy: choiceField(
        say("rule_fallback"),
        [["", say("rule_no_fallback")], ...strategies],
        rule.fallback_strategy ?? "",
      ),
      description: areaField(say("rule_description"), rule.description, {
        className: "wide",
        maxLength: 2000,
      }),
    };
  }

  #read() {
    const texts = Object.fromEntries(
      Object.entries(this.#fields).map(([name, field]) => [name, field.value]),
    );
    return {
      ...texts,
      priority: whole(texts.priority),
      weight: whole(texts.weight),
      conditions: this.#conditions.read(),
      target_services: listed(texts.target_services),
      target_tags: listed(texts.target_tags),
      fallback_strategy: texts.fallback_strategy || null,
    };
  }

  /** Buttons that add names which are not typed yet. */
  #offer(field, names) {
    const offers = element("p", { className: "offers" });
    const show = () => {
      const typed = listed(field.value);
      const left = names.filter((each) => !typed.includes(each)).slice(0, MOST_OFFERED);
      offers.replaceChildren(...left.map((name) => this.#button(name, () => add(name))));
      offers.hidden = left.length === 0;
    };
    const add = (name) => {
      field.control.value = [...listed(field.value), name].join(", ");
      show();
      field.control.focus();
    };
    field.control.addEventListener("input", show);
    field.node.append(offers);
    show();
  }

  #button(name, onclick) {
    const label = say("rule_add_named", { name });
    const given = { type: "button", className: "tag", onclick, "aria-label": label };
    return element("button", given, `+ ${name}`);
  }
}

/** A number as it is typed; null, which the site refuses, if it is none. */
function whole(text) {
  return /^-?\d{1,15}$/.test(text.trim()) ? Number(text) : null;
}
