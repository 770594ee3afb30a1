// The rules of routing: listed in the order in which they apply, changed and tried by whoever may.

import { arrange } from "../chat/dom.js";
import { page, say } from "../chat/page.js";
import { setText } from "./instances_view.js";
import { whole } from "./numbers.js";
import { addRule, changeRule, readRules, removeRule } from "./requests.js";
import { RuleCard } from "./rule_card.js";
import { RuleForm } from "./rule_form.js";
import { Sheet } from "./sheet.js";
import { Trial } from "./trial.js";
import { Watched } from "./watched.js";

const LOOK_MS = 30000; // Others may change them, but seldom do.
const OPEN = "myagent.console.rules";

export class Rules {
  #parts;
  #agrees;
  #announce;
  #known;
  #cards = new Map(); // By the rule's id.
  #sheet;
  #trial;

  /**
   * `parts`: elements by name. `agrees(rule)` resolves to whether a person wants to delete one;
   * `announce(sentence)` says it to whoever can't see; `known()`: the {services, tags} to offer.
   */
  constructor(parts, { agrees, announce, known }) {
    this.#parts = parts;
    this.#agrees = agrees;
    this.#announce = announce;
    this.#known = known;
    this.#sheet = new Sheet(parts.sheet);
    this.#trial = new Trial(parts.trial);
    parts.add?.addEventListener("click", () => this.#edit(null));
    parts.open.addEventListener("click", () => this.#trial.open());
    const read = () => this.#read();
    new Watched(parts.details, OPEN, { isOpen: true, everyMs: LOOK_MS, read });
  }

  async #read() {
    try {
      this.#show(await readRules(page.rules.most));
      this.#complain("");
    } catch (error) {
      this.#complain(say("rules_unread", { reason: error.message }));
    }
  }

  #show(rules) {
    const former = this.#cards;
    const act = (verb, rule) => this.#act(verb, rule);
    this.#cards = new Map(
      rules.map((each) => [each.rule_id, former.get(each.rule_id) ?? new RuleCard(each, act)]),
    );
    for (const each of rules) this.#cards.get(each.rule_id).show(each);
    arrange(this.#parts.list, [...this.#cards.values()].map((card) => card.node));
    this.#parts.none.hidden = rules.length > 0;
    setText(this.#parts.count, whole(rules.length));
  }

  #act(verb, rule) {
    if (verb === "edit") this.#edit(rule);
    else if (verb === "toggle") this.#toggle(rule);
    else this.#remove(rule);
  }

  /** Opens the form: of a new rule, if `rule` is null. */
  #edit(rule) {
    const form = new RuleForm(rule, this.#known());
    this.#tell(null);
    this.#sheet.open({
      title: rule ? say("rule_change", { name: rule.name }) : say("rule_new"),
      form,
      save: async (close) => {
        const changes = form.changes();
        const saved = rule ? await changeRule(rule.rule_id, changes) : await addRule({ name: "", ...changes });
        close();
        this.#tell(saved, "rule_saved");
        await this.#read();
        this.#cards.get(saved.rule_id)?.focus("edit");
      },
    });
  }

  async #toggle(rule) {
    await this.#attempt(async () => {
      const saved = await changeRule(rule.rule_id, { enabled: !rule.enabled });
      this.#tell(saved, saved.enabled ? "rule_is_enabled" : "rule_is_disabled");
    });
  }

  async #remove(rule) {
    if (!(await this.#agrees(rule))) return;
    await this.#attempt(async () => {
      await removeRule(rule.rule_id);
      this.#tell({ ...rule, warnings: [] }, "rule_removed");
      this.#parts.details.querySelector("summary").focus();
    });
  }

  async #attempt(work) {
    this.#tell(null);
    try {
      await work();
      await this.#read();
    } catch (error) {
      await this.#read(); // Somebody else may have been first.
      this.#complain(say("not_done", { reason: error.message }));
    }
  }

  /** What was done with a rule, and why it may have no effect. */
  #tell(rule, text) {
    const { notice } = this.#parts;
    notice.hidden = rule === null;
    if (rule === null) return;
    const warnings = rule.warnings.map((warning) => say("rule_warns", { warning }));
    const said = [say(text, { name: rule.name }), ...warnings].join(" ");
    notice.classList.toggle("warns", warnings.length > 0);
    setText(notice, said);
    this.#announce(said);
  }

  #complain(sentence) {
    setText(this.#parts.problem, sentence);
    this.#parts.problem.hidden = sentence === "";
  }
}
