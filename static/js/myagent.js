/**
 * A conversation with an agent service, from a browser: one file, no build step, no dependencies.
 *
 *     import { connect } from "/static/js/myagent.js";
 *
 *     const chat = connect("ws://localhost:8080/");
 *     chat.on("text", ({ text }) => (answer.textContent = text));             // while it is written
 *     chat.on("agent.final_answer", (frame) => (answer.textContent = frame.content));
 *     chat.on("state", ({ state }) => (badge.textContent = state));
 *     chat.send("What is the weather in Beijing?");
 *
 * It reconnects by itself (growing waits with jitter; at once when the page becomes visible or
 * the network comes back), resumes where it was, hands on every durable event once and in order,
 * and sends again what the server has not acknowledged, under the same `message_id`, so that
 * nothing runs twice.
 *
 * connect(url, options) → Conversation. Options, all of them optional:
 *   sessionId   go on with this conversation; without it, one is created with the first message
 *   lastSeq     the last `seq` you have (0: everything is replayed)
 *   lang        language of the server's sentences, such as "zh-CN"
 *   service, tags, client   metadata of a conversation that is created
 *   silenceMs   silence after which the connection counts as dead (35,000; the server says
 *               something every 25 s). If nothing is received for 10 s after something was sent,
 *               the server is asked for a sign of life, and has 5 s to answer
 *   on          listeners by event, as for `on` below
 *
 * Conversation:
 *   send(text, {messageId, onBusy})   → the message's id; RangeError if the text is too large,
 *                                     or if it contains a lone surrogate
 *   cancel({messageId, runId, all})   stops a run; without a target the current one
 *   respond(stepId, {approved, args, feedback})   answers an `agent.user_confirm`; RangeError
 *                                     as for send
 *   rate(messageId, score, comment)   says what an answer is worth, from -1 to 1; null takes it
 *                                     back; RangeError as for send
 *   end()                             ends the conversation itself, for everybody
 *   close()                           leaves; the conversation and its run go on
 *   reconnect()                       does not wait for the next try
 *   on(event, listener)               → a function that takes the listener away again
 *   sessionId, lastSeq, state, pending (messages not acknowledged: [{messageId, text}])
 *
 * Events: every frame of the protocol under its own name ("agent.tool_call" …; the frame), "*"
 * for all of them, and
 *   "state"    {state, retryInMs?, code?, content?}: "connecting", "open", "waiting" (for the
 *              next try), "closed" (for good; content says why)
 *   "session"  {sessionId}: the conversation has been created
 *   "text"     {runId, step, text}: all text of the step that is being written
 *   "reset"    drop what you have: the log is replayed from its oldest event
 *   "refused"  {messageId, text, code, content}: a message was refused and won't be sent again
 *              {stepId, code, content}: a response was refused, another may be given
 *              {ratedId, code, content}: feedback on the answer to this message was refused
 *   "pending"  what is not acknowledged has changed
 *
 * Integers beyond 2^53, as in a tool's arguments, keep their digits: `parseExactly` says how.
 */

const ENDS = new Set([
  "agent.final_answer",
  "agent.error",
  "agent.interrupted",
  "agent.timeout",
]);
const CLOSED_FOR_GOOD = new Set([4001, 4003, 4004, 4400]);
const RECONNECT_AT_ONCE = new Set([4008, 4012]);
const MOST_TEXT_BYTES = 256 * 1024;
const MOST_FRAME_BYTES = 512 * 1024;
const ROOM_FOR_IDS = 1024; // For the session's, which a frame gets when it is sent.
const TOO_BIG = 1009; // The close code of a frame that the server didn't take.
const MOST_TRIES = 10;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const HANDSHAKE_MS = 10_000;
const ANSWER_MS = 10_000;
const PROBE_MS = 5_000;

/** A text as UTF-8, in bytes. */
const sizeOf = (text) => new TextEncoder().encode(text).length;

/** Throws RangeError for a lone surrogate or too large a frame: the server could not read it. */
function checkReadable(frame) {
  const json = JSON.stringify(frame); // Writes a lone surrogate as an escape such as \ud800.
  if (sizeOf(json) > MOST_FRAME_BYTES - ROOM_FOR_IDS) {
    throw new RangeError("What is to be sent is larger than 512 KiB.");
  }
  const isBroken = (value) =>
    typeof value === "string"
      ? value.isWellFormed?.() === false
      : Object.entries(value ?? {}).some((entry) => entry.some(isBroken));
  if (isBroken(frame)) throw new RangeError("The text contains an invalid character.");
}

export function connect(url, options = {}) {
  return new Conversation(url, options);
}

/** A random id; `crypto.randomUUID` exists on secure origins only. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * JSON whose every integer keeps its digits: one that a JavaScript number can't hold becomes a
 * `JSON.rawJSON` object, which `JSON.stringify` writes as it came. A browser without
 * `JSON.rawJSON` rounds it; `Number.isSafeInteger` is false then.
 */
export function parseExactly(text) {
  if (!JSON.rawJSON) return JSON.parse(text);
  return JSON.parse(text, (_, value, { source }) => {
    if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
    const isAltered = !Number.isFinite(value) || /^-?\d+$/.test(source);
    return isAltered ? JSON.rawJSON(source) : value;
  });
}

/** Grows with each attempt, and differs from client to client. */
function waitMs(attempt) {
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt);
  return longest * (0.5 + Math.random() / 2);
}

/** The text of the step that is being written, put together from its pieces. */
class LiveText {
  #length = 0; // In code points, as the protocol's offsets.

  constructor() {
    this.clear();
  }

  clear(step = null) {
    Object.assign(this, { runId: null, step, text: "" });
    this.#length = 0;
  }

  /** False when a piece before this one is missing. */
  put({ run_id: runId, step, offset }, piece) {
    if (step !== this.step || (this.runId !== null && runId !== this.runId)) this.clear(step);
    if (offset > this.#length) return false;
    if (offset < this.#length) {
      this.text = Array.from(this.text).slice(0, offset).join("");
      this.#length = offset;
    }
    this.runId = runId;
    this.text += piece;
    for (const _ of piece) this.#length += 1;
    return true;
  }
}

/** Whether it replaces one that is on its way: feedback does, and a cancel of the whole queue. */
function isWider({ event, metadata }, { metadata: before }) {
  return event === "user.feedback" || Boolean(metadata?.all && !before?.all);
}

/** What the server has not acknowledged yet, in the order in which it was asked for. */
class Outgoing {
  #entries = [];

  get messages() {
    return this.#entries.filter((entry) => entry.kind === "message");
  }

  get isEmpty() {
    return this.#entries.length === 0;
  }

  add(entry) {
    const known = this.#entries.find(({ kind, key }) => kind === entry.kind && key === entry.key);
    if (!known) this.#entries.push({ ...entry, isSent: false, tries: 0, notBefore: 0 });
    else if (isWider(entry.frame, known.frame)) {
      Object.assign(known, { frame: entry.frame, isSent: false });
    }
  }

  /** The entry, if it was there. */
  remove(kind, key) {
    const at = this.#entries.findIndex(
      (entry) => entry.kind === kind && (key === undefined || entry.key === key),
    );
    return at < 0 ? undefined : this.#entries.splice(at, 1)[0];
  }

  find(kind, key) {
    return this.#entries.find((entry) => entry.kind === kind && entry.key === key);
  }

  /** Takes what was tried too often out, and returns it. */
  giveUp() {
    const hopeless = this.#entries.filter((entry) => entry.tries >= MOST_TRIES);
    this.#entries = this.#entries.filter((entry) => entry.tries < MOST_TRIES);
    return hopeless;
  }

  unsent() {
    for (const entry of this.#entries) entry.isSent = false;
  }

  /** What was sent and is meant waits until `notBefore`, by `performance.now()`. */
  holdBack(isMeant, notBefore) {
    for (const entry of this.#entries) {
      if (entry.isSent && isMeant(entry)) Object.assign(entry, { isSent: false, notBefore });
    }
  }

  /** When the first of what is held back may be sent; Infinity if nothing is. */
  nextAfter(now) {
    const times = this.#entries.filter(({ isSent }) => !isSent).map(({ notBefore }) => notBefore);
    return Math.min(...times.filter((time) => time > now));
  }

  /** Sends what is due; messages keep their order. */
  flush(now, send) {
    let isHeldBack = false;
    for (const entry of this.#entries) {
      if (entry.isSent) continue;
      const isMessage = entry.kind === "message";
      if (now < entry.notBefore || (isMessage && isHeldBack)) {
        isHeldBack ||= isMessage;
        continue;
      }
      entry.isSent = true;
      entry.tries += 1;
      send(entry.frame);
    }
  }
}

export class Conversation {
  #url;
  #options;
  #listeners = new Map();
  #socket = null;
  #state = "connecting";
  #attempts = 0;
  #outgoing = new Outgoing();
  #live = new LiveText();
  #runs = []; // Accepted and not ended: the current one, then the queue.
  #isAttached = false;
  #isCreating = false;
  #isResync = false;
  #isFillingHole = false;
  #lastError = null;
  #heardAt = Date.now();
  #timers = {};
  #resendAt = Infinity; // By `performance.now()`, as all times of what is held back.

  constructor(url, options) {
    this.#url = new URL(url, globalThis.location?.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    if (options.lang) this.#url.searchParams.set("lang", options.lang);
    this.#options = { silenceMs: 35_000, ...options };
    this.sessionId = options.sessionId ?? null;
    this.lastSeq = options.lastSeq ?? 0;
    for (const [event, listener] of Object.entries(options.on ?? {})) this.on(event, listener);
    globalThis.addEventListener?.("online", this.#onWake);
    globalThis.document?.addEventListener("visibilitychange", this.#onWake);
    const watchMs = Math.min(5_000, this.#options.silenceMs / 4);
    this.#timers.watch = setInterval(() => this.#watch(), watchMs);
    this.#open();
  }

  get state() {
    return this.#state;
  }

  get pending() {
    return this.#outgoing.messages.map(({ key, frame }) => ({
      messageId: key,
      text: frame.content,
    }));
  }

  on(event, listener) {
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event).add(listener);
    return () => this.#listeners.get(event).delete(listener);
  }

  send(text, { messageId = newId(), onBusy } = {}) {
    if (sizeOf(text) > MOST_TEXT_BYTES) {
      throw new RangeError("The message is larger than 256 KiB.");
    }
    const metadata = { message_id: messageId, ...(onBusy && { on_busy: onBusy }) };
    this.#request("message", messageId, { event: "user.message", content: text, metadata });
    return messageId;
  }

  cancel({ messageId, runId, all } = {}) {
    const unsent = messageId && this.#outgoing.messages.find((entry) => entry.key === messageId);
    if (unsent && unsent.tries === 0) {
      this.#settle("message", messageId);
      return;
    }
    // Named, so that a cancel that is sent again can't stop the next run.
    const target = runId ?? (messageId ? undefined : this.#runs[0]?.runId);
    const metadata = {
      ...(target && { run_id: target }),
      ...(messageId && { message_id: messageId }),
      ...(all && { all: true }),
    };
    this.#request("cancel", target ?? messageId ?? "", { event: "user.cancel", metadata });
  }

  respond(stepId, { approved, args, feedback }) {
    const content = { approved, ...(args && { args }), ...(feedback && { feedback }) };
    this.#request("response", stepId, { event: "user.response", step_id: stepId, content });
  }

  rate(messageId, score, comment = "") {
    const content = (score !== null && comment.trim()) || null;
    const metadata = { message_id: messageId, score };
    this.#request("feedback", messageId, { event: "user.feedback", content, metadata });
  }

  end() {
    if (this.sessionId) this.#request("end", "", { event: "user.close_session" });
  }

  close() {
    if (this.#state !== "closed") this.#finish({ code: 1000 });
  }

  reconnect() {
    if (this.#state !== "waiting") return;
    this.#attempts = 0;
    this.#open();
  }

  // The connection.

  #open() {
    clearTimeout(this.#timers.retry);
    this.#setState("connecting");
    this.#isAttached = this.#isCreating = false;
    this.#lastError = null;
    this.#heardAt = Date.now();
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#timers.handshake = setTimeout(() => this.#lost({}), HANDSHAKE_MS);
    const ifCurrent = (handle) => (event) => this.#socket === socket && handle(event);
    socket.onopen = ifCurrent(() => clearTimeout(this.#timers.handshake));
    socket.onmessage = ifCurrent(({ data }) => this.#hear(data));
    socket.onclose = ifCurrent(({ code }) => this.#lost({ code }));
  }

  /** Gives the socket up, whatever became of it; a dead one may take minutes to say so. */
  #drop() {
    for (const name of ["handshake", "resend"]) clearTimeout(this.#timers[name]);
    this.#resendAt = Infinity;
    this.#stopDoubting();
    const socket = this.#socket;
    this.#socket = null;
    this.#isAttached = this.#isCreating = this.#isFillingHole = false;
    socket?.close();
  }

  #lost({ code }) {
    this.#drop();
    this.#outgoing.unsent();
    if (code === TOO_BIG) {
      this.#giveUp({ content: "The server did not take it.", metadata: { code: "too_large" } });
    }
    if (CLOSED_FOR_GOOD.has(code)) {
      this.#finish({ code, content: this.#lastError?.content });
      return;
    }
    const isFirst = this.#attempts === 0;
    const retryInMs =
      isFirst && RECONNECT_AT_ONCE.has(code) ? Math.random() * 200 : waitMs(this.#attempts);
    this.#attempts += 1;
    this.#timers.retry = setTimeout(() => this.#open(), retryInMs);
    this.#setState("waiting", { retryInMs, code, content: this.#lastError?.content });
  }

  #finish(detail) {
    this.#drop();
    clearTimeout(this.#timers.retry);
    clearInterval(this.#timers.watch);
    globalThis.removeEventListener?.("online", this.#onWake);
    globalThis.document?.removeEventListener("visibilitychange", this.#onWake);
    this.#setState("closed", detail);
  }

  #watch() {
    const isSilent = Date.now() - this.#heardAt > this.#options.silenceMs;
    if (this.#socket?.readyState === WebSocket.OPEN && isSilent) this.#lost({});
  }

  #onWake = () => {
    if (globalThis.document?.visibilityState === "hidden") return;
    if (this.#state === "waiting") this.reconnect();
    else if (this.#state === "open" && this.sessionId) this.#probe();
  };

  /** Asks a connection that may have died unnoticed; an answer is as good as a resume. */
  #probe() {
    this.#stopDoubting();
    this.#attach();
    this.#timers.probe = setTimeout(() => this.#lost({}), PROBE_MS);
  }

  /** Something was sent: checks the connection, because a dead one gives no sign. */
  #doubt() {
    if (this.#timers.answer) return;
    this.#timers.answer = setTimeout(() => this.#isAttached && this.#probe(), ANSWER_MS);
  }

  #stopDoubting() {
    for (const name of ["answer", "probe"]) {
      clearTimeout(this.#timers[name]);
      this.#timers[name] = null;
    }
  }

  #transmit(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify(frame));
    this.#doubt();
  }

  // What is asked for.

  #request(kind, key, frame) {
    if (this.#state === "closed") throw new Error("The conversation is closed.");
    checkReadable(frame);
    this.#outgoing.add({ kind, key, frame });
    this.#emit("pending");
    this.#flush();
  }

  #flush() {
    if (this.#outgoing.isEmpty || this.#socket?.readyState !== WebSocket.OPEN) return;
    if (!this.sessionId) this.#create();
    else if (this.#isAttached) {
      const now = performance.now();
      const send = (frame) => this.#transmit({ ...frame, session_id: this.sessionId });
      this.#outgoing.flush(now, send);
      this.#resendBy(this.#outgoing.nextAfter(now));
    }
  }

  #create() {
    if (this.#isCreating) return;
    this.#isCreating = true;
    const { service, tags, client, lang } = this.#options;
    const metadata = Object.fromEntries(
      Object.entries({ service, tags, client, lang }).filter(([, value]) => value !== undefined),
    );
    this.#transmit({ event: "user.create_session", metadata });
  }

  #attach() {
    const metadata = { last_seq: this.lastSeq };
    this.#transmit({ event: "user.reconnect", session_id: this.sessionId, metadata });
  }

  #settle(kind, key) {
    const entry = this.#outgoing.remove(kind, key);
    if (entry) this.#emit("pending");
    return entry;
  }

  /**
   * What was refused again in a moment, at the earliest after `retry_after_s`. A refusal that names
   * nothing may mean anything that was sent: it is idempotent, so more than was refused may go along.
   */
  #resendLater({ message_id: messageId, step_id: stepId, retry_after_s: leastS = 0 }) {
    const at = performance.now() + Math.max(waitMs(this.#attempts), leastS * 1000);
    const isMeant = ({ kind, key }) => {
      if (messageId) return ["message", "feedback"].includes(kind) && key === messageId;
      return !stepId || (kind === "response" && key === stepId);
    };
    this.#outgoing.holdBack(isMeant, at);
    this.#resendBy(at);
  }

  /** An earlier time stands: then it is seen what is due. */
  #resendBy(at) {
    if (at >= this.#resendAt) return;
    clearTimeout(this.#timers.resend);
    this.#resendAt = at;
    this.#timers.resend = setTimeout(() => {
      this.#resendAt = Infinity;
      this.#attempts += 1;
      this.#isCreating = false;
      if (this.sessionId && !this.#isAttached) this.#attach();
      this.#flush();
    }, at - performance.now());
  }

  // What is heard.

  #hear(data) {
    this.#heardAt = Date.now();
    this.#stopDoubting();
    const frame = parseExactly(data);
    if (frame.event === "agent.session_created" && this.#isCreating) this.#begin(frame);
    if (frame.session_id && frame.session_id !== this.sessionId) return;
    if (frame.seq !== undefined && !this.#isNext(frame)) return;
    this.#take(frame);
    this.#emit(frame.event, frame);
    this.#emit("*", frame);
  }

  #begin(frame) {
    this.sessionId = frame.session_id;
    this.#isCreating = false;
    this.#emit("session", { sessionId: this.sessionId });
  }

  /** Whether a durable event is the next one; a gap sends us back to the log. */
  #isNext({ seq }) {
    if (seq <= this.lastSeq && !this.#isResync) return false;
    if (seq > this.lastSeq + 1 && !this.#isResync) {
      this.#lost({});
      return false;
    }
    this.#isResync = false;
    this.lastSeq = seq;
    return true;
  }

  #take(frame) {
    const { event, metadata = {} } = frame;
    if (ENDS.has(event)) this.#onEnd(metadata);
    else if (event === "system.connected") this.#onConnected();
    else if (event === "agent.session_created") this.#onAttached();
    else if (event === "agent.session_resumed") this.#onResumed(metadata);
    else if (event === "agent.replay_complete") this.#onAttached();
    else if (event === "user.message") this.#onEcho(frame);
    else if (event === "user.cancel") this.#onCancelled(metadata);
    else if (event === "user.feedback") this.#onRated(frame);
    else if (event === "user.response" || event === "agent.tool_result") {
      this.#settle("response", frame.step_id);
    } else if (event === "agent.thinking") this.#onThinking(metadata);
    else if (event === "agent.partial_answer") this.#onText(frame);
    else if (event === "agent.session_end") this.#settle("end", "");
    else if (event === "system.error") this.#onError(frame);
    else if (event === "system.notice" && metadata.code === "not_running") {
      this.#settle("cancel", metadata.run_id);
    }
  }

  #onConnected() {
    if (this.sessionId) {
      this.#attach();
      return;
    }
    this.#attempts = 0;
    this.#setState("open");
    this.#flush();
  }

  #onResumed({ resync }) {
    this.#isFillingHole = false;
    if (!resync) return;
    this.#isResync = true;
    this.lastSeq = 0;
    this.#runs = [];
    this.#live.clear();
    this.#emit("reset");
  }

  #onAttached() {
    this.#isAttached = true;
    this.#attempts = 0;
    if (this.#state !== "open") this.#setState("open");
    this.#flush();
  }

  #onEcho({ seq, metadata }) {
    if (this.#settle("message", metadata.message_id)) this.#attempts = 0;
    if (seq === undefined) return;
    const run = { runId: metadata.run_id, messageId: metadata.message_id };
    this.#runs.splice(metadata.position, 0, run);
  }

  #onCancelled({ run_id: runId }) {
    const run = this.#runs.find((each) => each.runId === runId);
    for (const key of [runId, run?.messageId, ""]) if (this.#settle("cancel", key)) return;
  }

  /** What is replayed before ours was sent, and what others say, is no answer to ours. */
  #onRated({ content, metadata: { message_id: messageId, score } }) {
    const { isSent, frame } = this.#outgoing.find("feedback", messageId) ?? {};
    const isOurs = isSent && frame.metadata.score === score && frame.content === content;
    if (isOurs) this.#settle("feedback", messageId);
  }

  #onEnd({ run_id: runId, message_id: messageId }) {
    const place = this.#runs.findIndex((run) => run.runId === runId);
    this.#runs = this.#runs.filter((run) => run.runId !== runId);
    this.#settle("cancel", runId);
    this.#settle("cancel", messageId);
    if (place <= 0) this.#live.clear(); // Another one only leaves the queue.
  }

  #onThinking({ step, status }) {
    if (status !== "started") return;
    this.#live.clear(step);
    this.#emitText();
  }

  #onText({ content, metadata }) {
    if (this.#live.put(metadata, content)) {
      this.#emitText();
    } else if (!this.#isFillingHole) {
      this.#isFillingHole = true;
      this.#attach(); // The answer to it begins with all the text so far.
    }
  }

  #emitText() {
    const { runId, step, text } = this.#live;
    this.#emit("text", { runId, step, text });
  }

  #onError(frame) {
    const { code, retryable, message_id: messageId, session_id: sessionId } = frame.metadata;
    const { step_id: stepId } = frame.metadata;
    this.#lastError = frame;
    if (retryable && code !== "busy") {
      this.#giveUp(frame);
      this.#resendLater(frame.metadata);
    } else if (messageId) {
      const refused = this.#settle("message", messageId) ?? this.#settle("feedback", messageId);
      this.#refuse(refused, frame);
    } else if (stepId) {
      this.#refuse(this.#settle("response", stepId), frame);
    } else if (code === "unknown_session" || code === "forbidden") {
      this.#finish({ code, content: frame.content });
    } else if (code === "unknown_event") {
      this.#refuse(this.#settle("feedback"), frame); // A service that runs elsewhere may take none.
    } else if (code === "not_waiting") {
      this.#settle("response");
    } else if (this.#isCreating && !sessionId) {
      this.#finish({ code, content: frame.content });
    }
  }

  #giveUp(frame) {
    const hopeless = this.#outgoing.giveUp();
    for (const entry of hopeless) this.#refuse(entry, frame);
    if (hopeless.length) this.#emit("pending");
  }

  #refuse(entry, { content, metadata }) {
    const { code } = metadata;
    if (entry?.kind === "message") {
      this.#emit("refused", { messageId: entry.key, text: entry.frame.content, code, content });
    } else if (entry?.kind === "response") {
      this.#emit("refused", { stepId: entry.key, code, content });
    } else if (entry?.kind === "feedback") {
      this.#emit("refused", { ratedId: entry.key, code, content });
    }
  }

  // Listeners.

  #setState(state, detail = {}) {
    this.#state = state;
    this.#emit("state", { state, ...detail });
  }

  #emit(event, value) {
    for (const listener of this.#listeners.get(event) ?? []) {
      try {
        listener(value);
      } catch (error) {
        reportError(error); // A listener's mistake must not cost the connection.
      }
    }
  }
}
