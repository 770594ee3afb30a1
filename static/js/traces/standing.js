// How a page of traces stands, above what it shows.

import { say } from "../chat/page.js";

const WORDS = { open: "live", rest: "at_rest", waiting: "lost", closed: "refused", broken: "refused" };
const LOOKS = { rest: "open", broken: "closed" };

const byId = (id) => document.getElementById(id);

/** `state` and `error`: see `follow` in `live.js`. */
export function showStanding(state, error) {
  byId("link-state").dataset.state = LOOKS[state] ?? state;
  const isAnswered = state === "waiting" && error.status;
  byId("link-text").textContent = say(isAnswered ? "trying_again" : WORDS[state]);
  showProblem(problemOf(state, error));
}

/** '': there is none. */
export function showProblem(sentence) {
  const place = byId("problem");
  place.hidden = sentence === "";
  // What is said already is not said again to who listens.
  if (place.textContent !== sentence) place.textContent = sentence;
}

function problemOf(state, error) {
  if (state === "closed") return error.message;
  if (state === "broken") return say("page_failed");
  // Without an answer, that it is not connected says all.
  return state === "waiting" && error.status ? say("not_all_read", { problem: error.message }) : "";
}
