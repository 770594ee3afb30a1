// The question before a tool runs: approve, approve with other arguments, decline with a reason.

import { parseExactly } from "../myagent.js";
import { element, icon } from "./dom.js";
import { clock, say } from "./page.js";
import { argumentList, isRounded, unmasked } from "./tool_view.js";

let count = 0;

const wellFormed = (text) => text.toWellFormed?.() ?? text;

/** The object that a text holds. Throws a sentence. */
function objectIn(text) {
  let value;
  try {
    value = parseExactly(text);
  } catch (error) {
    throw new Error(say("not_an_object", { detail: error.message }), { cause: error });
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new Error(say("not_an_object"));
  }
  return value;
}

export class ConfirmView {
  #block;
  #answer;
  #edit = null;
  #id = `confirm-${++count}`;
  #panel = element("div", { className: "confirm-panel" });
  #actions = element("div", { className: "actions" });

  constructor(block, answer) {
    this.#block = block;
    this.#answer = answer;
    const question = element("p", { className: "question", id: this.#id }, icon("ask"), unmasked(block.question));
    const deadline = say("declined_at", { time: clock(block.deadline) });
    this.element = element(
      "section",
      {
        className: "card confirm",
        role: "group",
        "aria-labelledby": this.#id,
        onkeydown: (event) => this.#onKey(event),
      },
      question,
      this.#panel,
      element("p", { className: "deadline" }, deadline),
      this.#actions,
    );
    this.#showQuestion();
  }

  #showQuestion() {
    const { args } = this.#block;
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
    const escapes = (code) => `\\u${code}`;
    const json = unmasked(JSON.stringify(this.#block.args, null, 2), escapes);
    const problem = element("p", { className: "invalid", id: `${this.#id}-problem`, role: "alert" });
    const editor = element("textarea", {
      id: `${this.#id}-editor`,
      className: "editor",
      value: json,
      rows: Math.min(12, json.split("\n").length + 1),
      spellcheck: false,
      "aria-describedby": problem.id,
    });
    const label = element("label", { htmlFor: editor.id }, say("arguments_json"));
    const approve = () => {
      try {
        this.#send({ approved: true, args: objectIn(editor.value) });
      } catch (error) {
        problem.textContent = error.message;
        editor.setAttribute("aria-invalid", "true");
        editor.focus();
      }
    };
    this.#panel.replaceChildren(label, editor, problem);
    this.#actions.replaceChildren(
      this.#button("approve_edited", "primary", approve),
      this.#button("back", "", () => this.#back("edit")),
    );
    this.#reveal(editor);
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

  /** Whether an answer may be given. */
  enable(isEnabled) {
    for (const button of this.#actions.children) {
      button.disabled = !isEnabled || (button === this.#edit && isRounded(this.#block.args));
    }
  }

  #send(response) {
    this.enable(false);
    try {
      this.#answer(response);
    } catch (error) {
      this.enable(true);
      const isSize = error instanceof RangeError;
      throw isSize ? new Error(say("unsendable"), { cause: error }) : error;
    }
  }
}
