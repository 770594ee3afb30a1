// The list of conversations of somebody who is logged in: the site keeps it, so it is the same in
// every browser. It is read page by page, and again while somebody looks at it.

import { shortened } from "./kept_conversations.js";
import { page } from "./page.js";
import { request } from "./requests.js";
import { STANDINGS } from "./standing.js";

const AT_ONCE = 50;
const LOOK_MS = 3_000; // Until it is asked what has changed; longer and longer while nothing does.
const LONGEST_LOOK_MS = 12_000;
const WHOLE_MS = 30_000; // Until the newest page is read: what was removed elsewhere is not there.
const SLACK_MS = 10_000; // The clocks of the site's servers may differ.
const REMOVE_TRIES = 5; // While another server has it, which gives it up soon.
const TRY_MS = 1_000;
const LONGEST_TITLE = 200;
const AWAY = [401, 403]; // Logged out: nothing to ask until somebody comes back.

export class StoredConversations {
  #service;
  #kept;
  // By their ids: {id, title, at, standing, isLoose, since}. A loose one was not read with a page, so
  // others may be missing beside it; `since`: when the page came to know it, by its own clock.
  #rows = new Map();
  #removed = new Set();
  #callbacks = [];
  #sought = "";
  #found = null; // The ids of those found, if somebody seeks; null while that is not known.
  #foundCount = 0;
  #isSeekDue = false; // Whether the last search failed.
  #count = 0; // All there are.
  #pauseMs = LOOK_MS;
  #wholeAt = -Infinity; // When the newest page was read, by the page's own clock.
  #lookedAt = -Infinity;
  #timer = null;

  isKnown = false; // Whether the list has been read.
  problem = "";

  /** `kept`: a list that this browser kept before, from which the names are taken over. */
  constructor(service, kept) {
    this.#service = service;
    this.#kept = kept;
    document.addEventListener("visibilitychange", () => this.#resume());
    for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, () => this.#hasten());
  }

  /** Reads the list for the first time, and goes on looking. */
  async open() {
    await this.#look();
  }

  /** Those to be shown, newest first: as in `KeptConversations`. */
  get shown() {
    const rows = this.#found?.map((id) => this.#rows.get(id)).filter(Boolean) ?? [...this.#rows.values()];
    return rows.sort((one, other) => other.at - one.at);
  }

  get hasMore() {
    return this.#found ? this.#found.length < this.#foundCount : this.#depth < this.#count;
  }

  get isSeeking() {
    return this.#sought !== "";
  }

  has(id) {
    return this.#rows.has(id);
  }

  titleOf(id) {
    return this.#rows.get(id)?.title ?? null;
  }

  get atWork() {
    return [...this.#rows.values()].filter(({ standing }) => STANDINGS.includes(standing)).map(({ id }) => id);
  }

  /** Something was said; the site knows its title, and whose it is. */
  touch(id, words, at) {
    if (this.#removed.has(id)) return;
    const known = this.#rows.get(id);
    if (known) known.at = Math.max(at, known.at);
    else {
      const title = shortened(words);
      this.#rows.set(id, { id, title, at, standing: "", isLoose: true, since: performance.now() });
      this.#ask(id);
    }
  }

  mark(id, standing) {
    const row = this.#rows.get(id);
    if (row) row.standing = standing;
  }

  /** Throws an Error whose message is for people. */
  async rename(id, title) {
    const row = this.#rows.get(id);
    const name = Array.from(title.trim()).slice(0, LONGEST_TITLE).join("");
    if (!row || !name || name === row.title) return;
    const before = row.title;
    row.title = name;
    try {
      const answer = await request("PATCH", `sessions/${encodeURIComponent(id)}`, { title: name });
      row.title = (await answer.json()).title;
    } catch (error) {
      row.title = before;
      throw error;
    } finally {
      this.#tell();
    }
  }

  /** It leaves the list at once, and is gone; throws an Error whose message is for people. */
  async remove(id) {
    const row = this.#rows.get(id);
    if (row && !row.isLoose) this.#count -= 1;
    this.#rows.delete(id);
    this.#removed.add(id);
    try {
      await this.#removeStored(id, REMOVE_TRIES);
    } catch (error) {
      this.#removed.delete(id);
      this.#resume();
      throw error;
    }
  }

  /** From now on only those are shown in which the text is found. */
  async seek(text) {
    this.#sought = text.trim();
    if (this.#sought) await this.#guarded(() => this.#seekMore(0));
    else [this.#found, this.#isSeekDue] = [null, false];
    this.#tell();
  }

  /** Reads on. */
  async more() {
    await this.#guarded(async () => {
      if (this.#found) await this.#seekMore(this.#found.length);
      else this.#takePage(await this.#read({ offset: this.#depth }));
    });
    this.#tell();
  }

  /** Calls back when something has changed that was not changed here. */
  onChange(callback) {
    this.#callbacks.push(callback);
  }

  /** The number of those read without a gap. */
  get #depth() {
    return [...this.#rows.values()].filter(({ isLoose }) => !isLoose).length;
  }

  #tell() {
    for (const callback of this.#callbacks) callback();
  }

  #resume() {
    clearTimeout(this.#timer);
    if (document.visibilityState === "hidden") return;
    this.#wholeAt = -Infinity;
    this.#pauseMs = LOOK_MS;
    this.#look();
  }

  /** Somebody is there again. */
  #hasten() {
    // Not as often as somebody types.
    if (performance.now() - this.#lookedAt > LOOK_MS) this.#look();
    this.#pauseMs = LOOK_MS;
  }

  async #look() {
    clearTimeout(this.#timer);
    this.#lookedAt = performance.now();
    const isWhole = performance.now() - this.#wholeAt >= WHOLE_MS;
    const before = JSON.stringify([...this.#rows.values()]);
    const goesOn = await this.#guarded(async () => {
      await (isWhole ? this.#readNewest() : this.#readChanges());
      if (this.#isSeekDue) await this.#seekMore(0);
    });
    const isNews = JSON.stringify([...this.#rows.values()]) !== before;
    this.#pauseMs = isNews ? LOOK_MS : Math.min(this.#pauseMs * 1.5, LONGEST_LOOK_MS);
    this.#tell();
    clearTimeout(this.#timer);
    if (goesOn && document.visibilityState !== "hidden") {
      this.#timer = setTimeout(() => this.#look(), this.#pauseMs);
    }
  }

  /** False: somebody has to come back first. */
  async #guarded(read) {
    try {
      await read();
      this.problem = "";
    } catch (error) {
      this.problem = error.message;
      this.#wholeAt = -Infinity;
      return !AWAY.includes(error.status);
    }
    return true;
  }

  async #readNewest() {
    const askedAt = performance.now();
    const answer = await this.#read({});
    this.#takePage(answer);
    this.#leaveOut(answer, askedAt);
    this.#count = answer.total;
    this.#wholeAt = askedAt;
    this.isKnown = true;
  }

  async #readChanges() {
    const newest = Math.max(0, ...[...this.#rows.values()].map(({ at }) => at));
    this.#takePage(await this.#read({ since: new Date(Math.max(0, newest - SLACK_MS)).toISOString() }));
  }

  async #read(query) {
    const given = { service: this.#service, status: "open", mine: true, limit: AT_ONCE, ...query };
    const answer = await request("GET", `sessions?${new URLSearchParams(given)}`);
    return answer.json();
  }

  async #seekMore(offset) {
    const sought = this.#sought;
    let answer;
    try {
      answer = await this.#read({ text: sought, offset });
    } catch (error) {
      if (this.#sought !== sought) return; // Somebody has typed on.
      if (!offset) [this.#found, this.#foundCount, this.#isSeekDue] = [[], 0, true];
      throw error;
    }
    if (this.#sought !== sought) return;
    this.#isSeekDue = false;
    const { items, total } = answer;
    for (const item of items) this.#take(item, true);
    const ids = items.map(({ session_id: id }) => id);
    this.#found = [...new Set([...(offset ? (this.#found ?? []) : []), ...ids])];
    this.#foundCount = total;
  }

  #takePage({ items }) {
    for (const item of items) this.#take(item, false);
  }

  /** What should be in the newest page, and is not, has been removed. */
  #leaveOut({ items, total }, askedAt) {
    const listed = new Set(items.map(({ session_id: id }) => id));
    const isAll = items.length >= total;
    const oldest = isAll ? -Infinity : Math.min(...items.map(({ updated_at: at }) => Date.parse(at)));
    for (const [id, { at, since }] of this.#rows) {
      // What has begun meanwhile may not be in it yet.
      if (at > oldest && since < askedAt && !listed.has(id)) this.#rows.delete(id);
    }
  }

  #take({ session_id: id, title, updated_at: at, status }, isLoose) {
    if (this.#removed.has(id)) return;
    const known = this.#rows.get(id);
    const standing = STANDINGS.includes(status) ? status : "";
    const since = known?.since ?? performance.now();
    const isStillLoose = isLoose && (known?.isLoose ?? true);
    this.#rows.set(id, { id, title, at: Date.parse(at), standing, isLoose: isStillLoose, since });
    const name = this.#kept.takeName(id);
    // It can be given again by hand.
    if (name) this.rename(id, name).catch(() => {});
  }

  /** About one that was opened by its address: somebody else's is not listed. */
  async #ask(id) {
    try {
      const answer = await request("GET", `sessions/${encodeURIComponent(id)}`);
      const row = await answer.json();
      if (row.principal === page.principal) this.#take(row, true);
      else this.#rows.delete(id);
    } catch {
      return; // The next page tells.
    }
    this.#tell();
  }

  async #removeStored(id, tries) {
    try {
      await request("DELETE", `sessions/${encodeURIComponent(id)}`);
    } catch (error) {
      if (error.status === 404) return; // It is gone already.
      if (error.status !== 503 || tries <= 1) throw error;
      await new Promise((resolve) => setTimeout(resolve, TRY_MS));
      await this.#removeStored(id, tries - 1);
    }
  }
}
