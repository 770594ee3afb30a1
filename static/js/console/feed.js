// The events of the site: one line to it, which comes back by itself and rests while nobody looks.

import { BASE } from "../chat/page.js";

const ADDRESS = `${BASE}/console/events`;
const SILENCE_MS = 15000; // The site says something every 5 seconds.
const FIRST_MS = 500;
const LONGEST_MS = 15000;
const SETTLED_MS = 10000; // A line that held so long does not count as a failure when it ends.

const STATES = { 401: "loggedOut", 403: "loggedOut", 503: "full" };

/**
 * Calls `snapshot` with each one, and `state` with: connecting, open, away (the site is there, its
 * database is not), waiting, full, loggedOut, paused.
 */
export class Feed {
  #snapshot;
  #state;
  #source = null;
  #openedAt = 0;
  #delay = FIRST_MS;
  #retry = null;
  #watchdog = null;

  constructor({ snapshot, state }) {
    this.#snapshot = snapshot;
    this.#state = state;
    document.addEventListener("visibilitychange", () => this.#look());
    addEventListener("pagehide", () => this.#close());
    addEventListener("pageshow", (event) => event.persisted && this.#look());
    this.#look();
  }

  reconnect() {
    this.#close();
    this.#delay = FIRST_MS;
    this.#open();
  }

  #look() {
    if (document.hidden) {
      this.#close();
      this.#state("paused");
    } else if (!this.#source) {
      this.reconnect();
    }
  }

  #open() {
    this.#state("connecting");
    const source = new EventSource(ADDRESS);
    this.#source = source;
    this.#openedAt = performance.now();
    source.addEventListener("snapshot", ({ data }) => {
      this.#heard();
      this.#state("open");
      this.#snapshot(JSON.parse(data));
    });
    source.addEventListener("problem", () => {
      this.#heard();
      this.#state("away");
    });
    source.addEventListener("beat", () => this.#heard());
    source.addEventListener("error", () => this.#lost(source));
    this.#heard();
  }

  #heard() {
    clearTimeout(this.#watchdog);
    const source = this.#source;
    this.#watchdog = setTimeout(() => this.#lost(source), SILENCE_MS);
  }

  async #lost(source) {
    if (source !== this.#source) return;
    const hadSettled = performance.now() - this.#openedAt > SETTLED_MS;
    this.#close();
    if (hadSettled) this.#delay = FIRST_MS;
    // An event source does not tell why it was refused.
    const delay = this.#delay * (1 + Math.random());
    const waiting = (this.#retry = setTimeout(() => this.#open(), delay));
    this.#delay = Math.min(LONGEST_MS, this.#delay * 2);
    const state = await why();
    if (this.#retry !== waiting || this.#source) return;
    if (state === "loggedOut") this.#close();
    this.#state(state);
  }

  #close() {
    clearTimeout(this.#watchdog);
    clearTimeout(this.#retry);
    this.#retry = null;
    this.#source?.close();
    this.#source = null;
  }
}

async function why() {
  try {
    const { status } = await fetch(ADDRESS, { method: "HEAD", redirect: "manual" });
    return STATES[status] ?? "waiting";
  } catch {
    return "waiting"; // The site is away.
  }
}
