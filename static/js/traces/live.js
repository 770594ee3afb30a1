// What changes on a page of traces: read when something is new, as long as somebody looks.

import { RequestFailed } from "../chat/requests.js";
import { News } from "./news.js";

const GATHER_MS = 100; // Between two reads, however much is new.
const LONGEST_MS = 15000;

/**
 * Calls `read()`, which says whether what it read goes on, one call at a time, whenever the traces of
 * `about()` (parameters of the socket) change. Where no socket says so, every `everyMs`, as long as
 * it goes on.
 *
 * Calls `state` with "open", "rest" (it has ended; news of it are read still), "waiting" (a request
 * failed, and is tried again), "closed" (refused: no more is read), or "broken" (the page's own
 * fault, which is thrown: with the next news, it is read again); and with the error of the last
 * three. While nobody looks, it rests.
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
  let goesOn = true;
  let isRefused = false;
  let delay = everyMs;

  const isFailing = () => delay > everyMs;

  async function turn() {
    dueAt = Infinity;
    if (document.hidden || isRefused || isReading) return;
    isReading = true;
    isNew = false;
    try {
      goesOn = await read();
      delay = everyMs;
      state(goesOn ? "open" : "rest");
    } catch (error) {
      fail(error);
    } finally {
      isReading = false;
      proceed();
    }
  }

  /** Throws what is no failed request. */
  function fail(error) {
    if (!(error instanceof RequestFailed)) {
      goesOn = false;
      delay = everyMs;
      state("broken", error);
      throw error;
    }
    isRefused = error.status >= 400 && error.status < 500 && error.status !== 429;
    delay = Math.min(LONGEST_MS, delay * 2);
    state(isRefused ? "closed" : "waiting", error);
  }

  function proceed() {
    if (isRefused || document.hidden) {
      news.stop();
      return;
    }
    news.listen(about());
    if (isNew && !isFailing()) turnIn(GATHER_MS);
    else if (isFailing() || (goesOn && !news.isOpen)) turnIn(delay);
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
    isRefused = false;
    delay = everyMs;
    turnIn(0);
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) news.stop();
    else if (!isRefused) again();
  });
  turnIn(0);
  return { again };
}
