// The two traces of the list that are to be compared.

import { element } from "../chat/dom.js";
import { say } from "../chat/page.js";
import { compareAddress } from "./lineage.js";

export class Choice {
  #place;
  #chosen = []; // Their ids; never more than two.

  /** `place` has the link, and is seen once two are chosen. */
  constructor(place) {
    this.#place = place;
    place.firstElementChild.textContent = say("compare_chosen");
  }

  /** A box for one trace. */
  boxFor(id) {
    const box = element("input", { type: "checkbox", className: "choose", title: say("choose_for_comparison") });
    box.setAttribute("aria-label", say("choose_for_comparison"));
    box.dataset.trace = id;
    box.checked = this.#chosen.includes(id);
    box.addEventListener("change", () => this.#choose(id, box.checked));
    return box;
  }

  #choose(id, isChosen) {
    const others = this.#chosen.filter((each) => each !== id);
    // A third takes the place of the one that was chosen first.
    this.#chosen = isChosen ? [...others.slice(-1), id] : others;
    for (const box of document.querySelectorAll("input.choose")) {
      box.checked = this.#chosen.includes(box.dataset.trace);
    }
    this.#place.hidden = this.#chosen.length < 2;
    const [one, other] = this.#chosen.toSorted(); // Ids are in the order of time.
    if (other) this.#place.firstElementChild.href = compareAddress(one, other);
  }
}
