// What the browser keeps for the page. A browser that keeps nothing is no error: the log is the
// truth, and what is here only finds the way to it.

class Storage {
  #area;

  constructor(name) {
    try {
      this.#area = globalThis[name];
    } catch {
      this.#area = null; // Forbidden by the browser's settings.
    }
  }

  get(key) {
    return this.#area?.getItem(key) ?? null;
  }

  set(key, value) {
    try {
      this.#area?.setItem(key, value);
    } catch {
      // Full.
    }
  }

  getJson(key, otherwise) {
    try {
      return JSON.parse(this.get(key)) ?? otherwise;
    } catch {
      return otherwise; // Somebody else's value.
    }
  }

  setJson(key, value) {
    this.set(key, JSON.stringify(value));
  }

  remove(key) {
    this.#area?.removeItem(key);
  }
}

export const lasting = new Storage("localStorage");
export const ofThisTab = new Storage("sessionStorage");
