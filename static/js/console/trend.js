// How one service did over the last hour: what the site has kept, then what comes in.

import { BASE, page } from "../chat/page.js";

const EVERY_S = 10; // One live point at most.
const SHORTEST_S = 300;
export const MEASURED = [
  "memory_mb",
  "active_sessions",
  "turns_per_minute",
  "turn_p95_ms",
  "loop_lag_ms",
];

export class Trend {
  restarts = [];
  #serviceId;
  #points = null;
  #loading = null;

  constructor(serviceId) {
    this.#serviceId = serviceId;
  }

  get isLoaded() {
    return this.#points !== null;
  }

  /** Whether nothing at all was measured. */
  get isEmpty() {
    return this.#first === -1;
  }

  /** When charts begin, in seconds: an hour ago, or later while less is known. */
  get begin() {
    const now = Date.now() / 1000;
    const known = this.isEmpty ? now : this.#points.at[this.#first];
    return Math.max(now - page.windowSeconds, Math.min(known, now - SHORTEST_S));
  }

  get #first() {
    const columns = MEASURED.map((name) => this.#points?.[name] ?? []);
    return columns[0].findIndex((_, place) => columns.some((column) => column[place] !== null));
  }

  /** Reads what is kept, anew. Rejects when that fails. */
  load() {
    this.#loading ??= this.#read().finally(() => (this.#loading = null));
    return this.#loading;
  }

  /** Adds what is measured now, unless something was a moment ago; whether it did. */
  add(measured) {
    const now = Date.now() / 1000;
    const times = this.#points?.at;
    if (!times || now - times.at(-1) < EVERY_S) return false;
    times.push(now);
    for (const name of MEASURED) this.#points[name].push(measured[name] ?? null);
    const isPast = times.findIndex((at) => at >= now - page.windowSeconds);
    if (isPast > 0) for (const name of ["at", ...MEASURED]) this.#points[name].splice(0, isPast);
    return true;
  }

  /** `[times, values]` of one measurement. */
  series(name) {
    return this.#points ? [this.#points.at, this.#points[name]] : [[], []];
  }

  async #read() {
    const answer = await fetch(`${BASE}/console/history?service=${encodeURIComponent(this.#serviceId)}`);
    if (!answer.ok) throw new Error(`history: ${answer.status}`);
    const { points, restarts } = await answer.json();
    this.#points = points;
    this.restarts = restarts;
  }
}
