// The list of conversations where nobody logs in: ids, names and dates, kept by this browser. What
// was said is in the log. See `stored_conversations.js` for the other list, which is used alike.

import { STANDINGS } from "./standing.js";
import { lasting } from "./storage.js";
import { endConversation } from "./talk.js";

const MOST = 200;
const LONGEST_TITLE = 80;

export class KeptConversations {
  #key;
  #sought = "";

  isKnown = true; // Whether the list has been read.
  hasMore = false;
  problem = ""; // Why it can't be read.

  /** The list of one service; others on the same host and port have their own. */
  constructor(service) {
    this.#key = `myagent.conversations.${service}`;
  }

  /**
   * Those to be shown, newest first: [{id, title, isNamed, at, standing}]; `at` in milliseconds
   * since 1970, `standing` as it was last observed, see `standing.js`.
   */
  get shown() {
    return this.#all.filter(({ title }) => title.toLocaleLowerCase().includes(this.#sought));
  }

  get #all() {
    const stored = lasting.getJson(this.#key, []);
    return Array.isArray(stored) ? stored.filter(isSound) : [];
  }

  has(id) {
    return this.#all.some((each) => each.id === id);
  }

  titleOf(id) {
    return this.#all.find((each) => each.id === id)?.title ?? null;
  }

  get isSeeking() {
    return this.#sought !== "";
  }

  /** From now on only those with the text in their titles are shown. */
  async seek(text) {
    this.#sought = text.trim().toLocaleLowerCase();
  }

  async more() {}

  /** Something was said; the first words are the name, unless a person has given one. */
  touch(id, words, at) {
    const all = this.#all;
    const known = all.find((each) => each.id === id);
    const title = known?.title ?? shortened(words);
    const isNamed = known?.isNamed ?? false;
    const standing = known?.standing ?? "";
    const newest = { id, title, isNamed, at: Math.max(at, known?.at ?? 0), standing };
    this.#store([newest, ...all.filter((each) => each !== known)]);
  }

  async rename(id, title) {
    const name = shortened(title);
    if (!name) return;
    this.#store(this.#all.map((each) => (each.id === id ? { ...each, title: name, isNamed: true } : each)));
  }

  /** The name that a person has given it, or null; it is not kept here any more. */
  takeName(id) {
    const named = this.#all.find((each) => each.id === id && each.isNamed);
    if (!named) return null;
    this.#forget(id);
    return named.title;
  }

  /** Its standing. */
  mark(id, standing) {
    const isNews = ({ id: other, standing: before }) => other === id && (before ?? "") !== standing;
    if (!this.#all.some(isNews)) return;
    this.#store(this.#all.map((each) => (each.id === id ? { ...each, standing } : each)));
  }

  /** Those with a run, as far as is known. */
  get atWork() {
    return this.#all.filter(({ standing }) => STANDINGS.includes(standing)).map(({ id }) => id);
  }

  /** It leaves the list, and ends. */
  async remove(id) {
    this.#forget(id);
    endConversation(id);
  }

  /** Calls back when another tab changes the list. */
  onChange(callback) {
    addEventListener("storage", (event) => event.key === this.#key && callback());
  }

  #forget(id) {
    this.#store(this.#all.filter((each) => each.id !== id));
  }

  #store(all) {
    lasting.setJson(this.#key, all.sort((one, other) => other.at - one.at).slice(0, MOST));
  }
}

/** Whether a person can be shown it: anybody on this host and port may have written it. */
function isSound(entry) {
  const { id, title, at } = entry ?? {};
  const isDate = typeof at === "number" && !Number.isNaN(new Date(at).getTime());
  return typeof id === "string" && id !== "" && typeof title === "string" && isDate;
}

/** On one line, and not too long for a list. */
export function shortened(text) {
  const line = text.trim().replace(/\s+/g, " ");
  const chars = Array.from(line);
  return chars.length > LONGEST_TITLE ? `${chars.slice(0, LONGEST_TITLE - 1).join("")}…` : line;
}
