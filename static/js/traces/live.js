// What changes on a page of traces: asked for again and again, as long as somebody looks.

const LONGEST_MS = 15000;

/**
 * Calls `read()`, which says whether there may be news later, every `everyMs`, one call at a time;
 * `state` with "open", "rest" (nothing more will come), "waiting" (it failed, and is tried again) or
 * "closed" (refused), and the error of the last two. While nobody looks, it rests.
 */
export function follow({ read, state, everyMs }) {
  let timer = null;
  let isReading = false;
  let hasEnded = false;
  let delay = everyMs;

  async function turn() {
    timer = null;
    if (document.hidden || hasEnded || isReading) return;
    isReading = true;
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
    if (!hasEnded) timer = setTimeout(turn, delay);
  }

  function again() {
    clearTimeout(timer);
    hasEnded = false;
    delay = everyMs;
    turn();
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !hasEnded) again();
  });
  turn();
  return { again };
}
