// Says when traces have changed: by the socket of all traces, for as long as that is open.

import { BASE } from "../chat/page.js";

const FIRST_MS = 500;
const LONGEST_MS = 15000;
const FOR_GOOD = new Set([4001, 4003, 4004, 4400]); // It won't be let in later either.

/**
 * Calls `changed()` at every word about a trace, and once it is connected: what happened before is
 * for others to read.
 */
export class News {
  #query;
  #changed;
  #socket = null;
  #timer = null;
  #delay = FIRST_MS;
  #isRefused = false;

  constructor(changed) {
    this.#changed = changed;
  }

  /** Whether it hears what happens. */
  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Listens, unless it does already. `query`: to which traces, as parameters of the socket. */
  listen(query) {
    const asked = new URLSearchParams(query).toString();
    if (asked === this.#query && (this.#socket || this.#timer || this.#isRefused)) return;
    this.stop();
    this.#query = asked;
    this.#isRefused = false;
    this.#dial();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  /** Of traces that are not named, but are of one that is: that they have begun. */
  #concerns(type, { trace_id: id }) {
    if (!id) return false;
    const named = new URLSearchParams(this.#query).getAll("trace_id");
    return named.length === 0 || named.includes(id) || type === "trace_started";
  }

  #dial() {
    this.#timer = null;
    const address = new URL(`${BASE}/ws/traces/?${this.#query}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      if (socket !== this.#socket) return;
      const { event_type: type, data: told } = JSON.parse(data);
      this.#delay = FIRST_MS;
      if (type === "connection_established" || this.#concerns(type, told)) this.#changed();
    });
    socket.addEventListener("close", ({ code }) => {
      if (socket !== this.#socket) return;
      this.#socket = null;
      this.#changed(); // Somebody has to ask from now on.
      this.#isRefused = FOR_GOOD.has(code);
      if (this.#isRefused) return;
      this.#timer = setTimeout(() => this.#dial(), this.#delay * (0.5 + Math.random()));
      this.#delay = Math.min(LONGEST_MS, this.#delay * 2);
    });
  }
}
