// The question before a tool runs: approve, approve with other arguments, decline with a reason.

import { ArgumentFields } from "./argument_fields.js";
import { element, icon } from "./dom.js";
import { clock, say } from "./page.js";
import { argumentList, isRounded, unmasked } from "./tool_view.js";

let count = 0;

const wellFormed = (text) => text.toWellFormed?.() ?? text;

export class ConfirmView {
  #block;
  #answer;
  #edit = null;
  #fields = null; // While the arguments are edited.
  #id = `confirm-${++count}`;
  #problem = element("p", { className: "invalid", id: `${this.#id}-problem`, role: "alert" });
  #panel = element("div", { className: "confirm-panel" });
  #actions = element("div", { className: "actions" });

  constructor(block, answer) {
    this.#block = block;
    this.#answer = answer;
    const question = element("p", { className: "question", id: this.#id }, icon("ask"), unmasked(block.question));
    const { description } = block;
    const about = description
      ? element("p", { className: "about", id: `${this.#id}-about` }, unmasked(description))
      : null;
    const deadline = say("declined_at", { time: clock(block.deadline) });
    this.element = element(
      "section",
      {
        className: "card confirm",
        role: "group",
        "aria-labelledby": this.#id,
        ...(about && { "aria-describedby": about.id }),
        onkeydown: (event) => this.#onKey(event),
      },
      question,
      about,
      this.#panel,
      this.#problem,
      element("p", { className: "deadline" }, deadline),
      this.#actions,
    );
    this.#showQuestion();
  }

  #showQuestion() {
    const { args } = this.#block;
    this.#fields = null;
    this.#problem.textContent = "";
    const edit = this.#button("edit", "", () => this.#showEditor());
    this.#edit = edit;
    edit.disabled = isRounded(args);
    const note = edit.disabled ? [element("p", { className: "invalid" }, say("rounded"))] : [];
    this.#panel.replaceChildren(argumentList(args), ...note);
    this.#actions.replaceChildren(
      this.#button("approve", "primary", () => this.#send({ approved: true })),
      edit,
      this.#button("decline", "", () => this.#showReason()),
    );
  }

  #showEditor() {
    const { args, parameters } = this.#block;
    const fields = new ArgumentFields(args ?? {}, parameters, this.#problem);
    const approve = () => {
      const edited = fields.read();
      if (edited !== null) this.#send({ approved: true, args: edited });
    };
    this.#fields = fields;
    this.#panel.replaceChildren(fields.element);
    this.#actions.replaceChildren(
      this.#button("approve_edited", "primary", approve),
      this.#button("back", "", () => this.#back("edit")),
    );
    this.#reveal(fields.first);
  }

  #showReason() {
    const reason = element("input", { id: `${this.#id}-reason`, type: "text", maxLength: 2000 });
    const label = element("label", { htmlFor: reason.id }, say("reason"));
    const decline = () => this.#send({ approved: false, feedback: wellFormed(reason.value.trim()) });
    reason.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault(); // The focus moves to the composer, and the Enter would go with it.
      decline();
    });
    this.#panel.replaceChildren(argumentList(this.#block.args), label, reason);
    this.#actions.replaceChildren(
      this.#button("decline", "danger", decline),
      this.#button("back", "", () => this.#back("decline")),
    );
    this.#reveal(reason);
  }

  /** With the buttons that belong to it. */
  #reveal(field) {
    field.focus({ preventScroll: true });
    this.element.scrollIntoView({ block: "nearest" });
  }

  #back(action) {
    this.#showQuestion();
    this.#actions.querySelector(`[data-action="${action}"]`).focus();
  }

  #button(action, kind, onclick) {
    const properties = { type: "button", className: `button ${kind}`, onclick, "data-action": action };
    return element("button", properties, say(action));
  }

  #onKey(event) {
    const back = this.#actions.querySelector('[data-action="back"]');
    if (event.key === "Escape" && back && !event.isComposing) {
      event.preventDefault();
      back.click();
    }
  }

  /** The answer was refused: another may be given. `reason`: a sentence. */
  refuse(reason) {
    this.#enable(true);
    this.#tell(reason);
    this.#actions.firstElementChild.focus();
  }

  #tell(reason) {
    if (this.#fields) this.#fields.say(reason);
    else this.#problem.textContent = reason;
  }

  #enable(isEnabled) {
    for (const button of this.#actions.children) {
      button.disabled = !isEnabled || (button === this.#edit && isRounded(this.#block.args));
    }
  }

  #send(response) {
    this.#tell("");
    this.#enable(false);
    try {
      this.#answer(response);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.refuse(say("unsendable"));
    }
  }
}
