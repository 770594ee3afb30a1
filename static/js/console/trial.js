// What would become of a client: its facts as a form, and the site's explanation.

import { element } from "../chat/dom.js";
import { say } from "../chat/page.js";
import { areaField, focusWrong, textField } from "./form_fields.js";
import { explain } from "./requests.js";
import { BadLine, objectOf, pairsOf } from "./rule_words.js";

const TEXTS = {
  client_ip: "try_client_ip",
  user_agent: "try_user_agent",
  path: "try_path",
  user: "try_user",
};
const PAIRS = { headers: ":", query: "=" };

export class Trial {
  #dialog;
  #fields;
  #answer;
  #problem;

  /** `dialog`: has a form, a body, an answer, a problem and a button `.no`. */
  constructor(dialog) {
    this.#dialog = dialog;
    this.#answer = dialog.querySelector(".answer");
    this.#problem = dialog.querySelector(".problem");
    this.#fields = fields();
    const nodes = Object.values(this.#fields).map((each) => each.node);
    dialog.querySelector(".sheet-body").prepend(element("div", { className: "fields" }, ...nodes));
    dialog.querySelector(".no").addEventListener("click", () => dialog.close());
    dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask();
    });
  }

  open() {
    this.#answer.replaceChildren();
    this.#dialog.showModal();
    this.#fields.client_ip.control.focus();
  }

  async #ask() {
    this.#blame({});
    this.#answer.replaceChildren();
    try {
      this.#answer.replaceChildren(...told(await explain(this.#facts())));
      this.#answer.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (error.fields) this.#blame(error.fields);
      else this.#complain(error.message);
    }
  }

  /** Throws an Error with `fields`: what is wrong with each. */
  #facts() {
    const wrong = {};
    const facts = {};
    for (const name of Object.keys(TEXTS)) facts[name] = this.#fields[name].value.trim();
    for (const [name, separator] of Object.entries(PAIRS)) {
      try {
        facts[name] = pairsOf(this.#fields[name].value, separator);
      } catch (error) {
        if (!(error instanceof BadLine)) throw error;
        wrong[name] = say("try_no_pair", { number: error.number, separator });
      }
    }
    facts.metadata = objectOf(this.#fields.metadata.value);
    if (facts.metadata === null) wrong.metadata = say("try_no_object");
    if (Object.keys(wrong).length) throw Object.assign(new Error("fields"), { fields: wrong });
    return facts;
  }

  #blame(problems) {
    for (const field of Object.values(this.#fields)) field.blame("");
    const rest = [];
    for (const [name, sentence] of Object.entries(problems)) {
      const field = this.#fields[name.split(".")[0]];
      if (field) field.blame(sentence);
      else rest.push(sentence);
    }
    this.#complain(rest.join(" "));
    focusWrong(this.#dialog);
  }

  #complain(sentence) {
    this.#problem.textContent = sentence;
    this.#problem.hidden = sentence === "";
  }
}

function fields() {
  const line = ([name, label]) => [name, textField(say(label), "", { maxLength: 2048 })];
  const area = (label, hint, more) => areaField(say(label), "", { hint: say(hint), ...more });
  return {
    ...Object.fromEntries(Object.entries(TEXTS).map(line)),
    headers: area("try_headers", "try_headers_hint"),
    query: area("try_query", "try_query_hint"),
    metadata: area("try_metadata", "try_metadata_hint", { className: "wide" }),
  };
}

function told({ rule, strategy, candidates, rejected, chosen }) {
  const name = element("strong", {}, chosen ?? "");
  const [before, after] = say("try_chosen", { service: "\n" }).split("\n");
  const outcome = chosen ? [before, name, after] : [say("try_none")];
  return [
    element("p", { className: "outcome" }, ...outcome),
    chosen && element("p", {}, how(rule, strategy)),
    ...part("try_candidates", candidates.map(candidate)),
    ...part("try_rejected", rejected.map(refused)),
  ].filter(Boolean);
}

function how(rule, strategy) {
  if (rule) return say("try_by_rule", { rule, strategy });
  return say(strategy ? "try_by_tags" : "try_by_default");
}

function part(title, entries) {
  if (entries.length === 0) return [];
  const items = entries.map(([name, about]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, about)),
  );
  return [element("h3", {}, say(title)), element("dl", { className: "told" }, ...items)];
}

function candidate({ service, connections, weight, healthy }) {
  const about = say("try_candidate", { connections, weight });
  return [service, healthy ? about : `${about} · ${say("try_unhealthy")}`];
}

function refused({ rule, service, why }) {
  const name = rule ? say("try_of_rule", { name: rule }) : say("try_of_service", { name: service });
  return [name, why];
}
