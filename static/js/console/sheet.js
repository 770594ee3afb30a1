// A dialog with a form that is saved, or not.

export class Sheet {
  #dialog;
  #title;
  #body;
  #problem;
  #form = null;
  #save = null;
  #isSaving = false;

  /** `dialog`: has a form, a title, a body, a problem and a button `.no`. */
  constructor(dialog) {
    this.#dialog = dialog;
    this.#title = dialog.querySelector("h2");
    this.#body = dialog.querySelector(".sheet-body");
    this.#problem = dialog.querySelector(".problem");
    dialog.querySelector(".no").addEventListener("click", () => dialog.close());
    dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /**
   * `form`: has a `node`, and `blame(problems)`, which returns what belongs to none of its fields;
   * `save(close)` stores what was typed, and
   * closes the dialog before it moves the keyboard.
   */
  open({ title, form, save }) {
    this.#form = form;
    this.#save = save;
    this.#title.textContent = title;
    this.#complain("");
    this.#body.replaceChildren(form.node);
    this.#dialog.showModal();
    this.#body.scrollTop = 0;
    form.node.querySelector("input, select, textarea").focus();
  }

  async #submit() {
    // Not disabled meanwhile: a disabled button loses the keyboard.
    if (this.#isSaving) return;
    this.#isSaving = true;
    try {
      this.#complain("");
      this.#form.blame({});
      await this.#save(() => this.#dialog.close());
    } catch (error) {
      const rest = this.#form.blame(error.fields ?? {});
      this.#complain(error.fields ? rest : error.message);
    } finally {
      this.#isSaving = false;
    }
  }

  #complain(sentence) {
    this.#problem.textContent = sentence;
    this.#problem.hidden = sentence === "";
  }
}
