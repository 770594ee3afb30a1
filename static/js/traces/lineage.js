// A run again: the form that begins one at a step, and the links between it and what it ran again.

import { element } from "../chat/dom.js";
import { BASE, fullMoment, say } from "../chat/page.js";
import { readReruns, runAgain } from "./reading.js";

const MOST = 5; // Links to runs again.

const addressOf = (id) => `${BASE}/traces/${encodeURIComponent(id)}/`;

export const compareAddress = (one, other) =>
  `${BASE}/traces/compare/?${new URLSearchParams({ a: one, b: other })}`;

/** One form for all steps: what is typed stays while the trace grows. */
export class RerunForm {
  #trace;
  #step = 1;
  #question = element("textarea", { rows: 1, maxLength: 65536 });
  #button = element("button", { className: "button" });
  #problem = element("p", { className: "problem", role: "alert", hidden: true });
  #form;

  /** `trace`: its id. */
  constructor(trace) {
    this.#trace = trace;
    this.#question.placeholder = say("another_question");
    this.#question.setAttribute("aria-label", say("another_question"));
    this.#form = element("form", { className: "rerun" }, this.#question, this.#button, this.#problem);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
  }

  /** The form, for a span of that step. */
  at(step) {
    if (step !== this.#step) this.#problem.hidden = true;
    this.#step = step;
    this.#question.hidden = step !== 1;
    this.#button.textContent = say("run_again", { step });
    return this.#form;
  }

  async #send() {
    const question = this.#step === 1 ? this.#question.value.trim() : "";
    this.#button.disabled = true;
    this.#problem.hidden = true;
    try {
      const { trace_id: id } = await runAgain(this.#trace, { step: this.#step, question });
      location.assign(addressOf(id));
    } catch (error) {
      this.#problem.textContent = error.message;
      this.#problem.hidden = false;
      this.#button.disabled = false;
    }
  }
}

/** Fills `place` with links to what the trace ran again, and to what ran it again. */
export async function showLineage(trace, place) {
  const links = [];
  if (trace.rerun_of) {
    const { trace_id: origin, step } = trace.rerun_of;
    links.push(link(addressOf(origin), say("runs_again", { step })));
    links.push(link(compareAddress(origin, trace.trace_id), say("compare_with_it")));
  }
  const { items } = await readReruns(trace.trace_id, MOST);
  for (const again of items) {
    const at = fullMoment(new Date(again.started_at));
    links.push(link(addressOf(again.trace_id), say("was_run_again", { step: again.rerun_of.step, at })));
  }
  place.replaceChildren(...links);
  place.hidden = links.length === 0;
}

const link = (href, words) => element("a", { className: "text-button", href }, words);
