// What changes on a page of traces: read when something is new, as long as somebody looks.

import { News } from "./news.js";

const GATHER_MS = 100; // Between two reads, however much is new.
const LONGEST_MS = 15000;

/**
 * Calls `read()`, which says whether there may be news later, one call at a time, whenever the
 * traces of `about()` (parameters of the socket) change. Where no socket says so, `everyMs`.
 *
 * Calls `state` with "open", "rest" (nothing more will come), "waiting" (it failed, and is tried
 * again) or "closed" (refused), and the error of the last two. While nobody looks, it rests.
 */
export function follow({ read, about, state, everyMs }) {
  const news = new News(() => {
    isNew = true;
    if (!isReading && !isFailing()) turnIn(GATHER_MS);
  });
  let timer = null;
  let dueAt = Infinity;
  let isReading = false;
  let isNew = false; // Since the present read began.
  let hasEnded = false;
  let delay = everyMs;

  const isFailing = () => delay > everyMs;

  async function turn() {
    dueAt = Infinity;
    if (document.hidden || hasEnded || isReading) return;
    isReading = true;
    isNew = false;
    try {
      hasEnded = !(await read());
      delay = everyMs;
      state(hasEnded ? "rest" : "open");
    } catch (error) {
      hasEnded = error.status >= 400 && error.status < 500 && error.status !== 429;
      delay = Math.min(LONGEST_MS, delay * 2);
      state(hasEnded ? "closed" : "waiting", error);
    }
    isReading = false;
    goOn();
  }

  function goOn() {
    if (hasEnded || document.hidden) {
      news.stop();
      return;
    }
    news.listen(about());
    if (isNew && !isFailing()) turnIn(GATHER_MS);
    else if (isFailing() || !news.isOpen) turnIn(delay);
  }

  /** At the latest. */
  function turnIn(ms) {
    const at = performance.now() + ms;
    if (at >= dueAt) return;
    clearTimeout(timer);
    dueAt = at;
    timer = setTimeout(turn, ms);
  }

  function again() {
    hasEnded = false;
    delay = everyMs;
    turnIn(0);
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) news.stop();
    else if (!hasEnded) again();
  });
  turnIn(0);
  return { again };
}
