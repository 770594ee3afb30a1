// The log of a conversation as turns: what was asked, what happened, how it ended. No elements.
//
// turn   {messageId, runId, text, at, blocks, status, isThinking, isStopping, heldUp, limit, end, rating}
//        status: "sending", "queued", "running", or the kind of its end: "final_answer",
//        "error", "interrupted", "timeout"
//        heldUp: the server's words, while it goes on by itself later; else empty
//        rating: {score, comment}, the reader's own last word on the answer; null: none
//        limit: the same of a message that is above a limit, until it is sent again and taken
// block  {kind: "text", step, text, isLive, isSaid} · {kind: "reasoning", text}
//        {kind: "tool", stepId, tool, args, status, …}; status as in the protocol, or "waiting"

/** Whether a block is an open question. */
export function isAsking({ status, response, question }) {
  return status === "waiting" && !response && question !== undefined;
}

const ENDS = /^agent\.(final_answer|error|interrupted|timeout)$/;
const HOLD_UPS = new Set(["waiting", "continuing"]); // Until "continued", or the run's next sign of life.

export class Turns {
  started = []; // Those that are shown: ended ones, and at last the current one.
  queue = [];
  current = null;
  #onChange;
  #principal;
  #ratings = new Map(); // As the log has them, by their turns.

  /**
   * `onChange(turn)`: the turn looks different; `onChange(null)`: the lists do. `principal`: the
   * reader's key; empty where nobody logs in.
   */
  constructor(onChange, principal = "") {
    [this.#onChange, this.#principal] = [onChange, principal];
  }

  /** A message on its way to the server. */
  expect(messageId, text) {
    this.#place(newTurn({ messageId, text, at: new Date() }), this.#lengthOfLine());
  }

  /** A message that was not taken. */
  withdraw(messageId) {
    const turn = this.#find((each) => each.messageId === messageId);
    const wasCurrent = turn && turn === this.current;
    if (turn) this.#remove(turn);
    if (wasCurrent) this.#next();
    this.#onChange(null);
  }

  /** Forgets the log, and keeps what it does not have yet. */
  reset() {
    const unsent = [...this.started, ...this.queue].filter((turn) => turn.status === "sending");
    Object.assign(this, { started: [], queue: [], current: null });
    this.#ratings.clear();
    for (const turn of unsent) this.#place(turn, this.#lengthOfLine());
    this.#onChange(null);
  }

  /** What the reader says of an answer, on its way to the server. */
  rate(turn, score, comment) {
    turn.rating = score === null ? null : { score, comment };
    this.#onChange(turn);
  }

  /** It was not taken: what was said before stands. */
  withdrawRating(messageId) {
    const turn = this.#find((each) => each.messageId === messageId);
    if (!turn) return;
    turn.rating = this.#ratings.get(turn) ?? null;
    this.#onChange(turn);
  }

  take(frame) {
    const { event } = frame;
    const end = ENDS.exec(event)?.[1];
    if (end) this.#end(frame, end);
    else if (event === "user.message" && frame.seq) this.#accept(frame);
    else if (event === "user.feedback" && frame.seq) this.#onRated(frame);
    else if (event === "system.notice") this.#hear(frame);
    else if (event === "system.error") this.#holdBack(frame);
    else if (this.current) this.#work(this.current, frame);
  }

  /** The text of a step as it is being written. */
  show({ step, text }) {
    const turn = this.current;
    if (!turn) return;
    const block = this.#textBlock(turn, step, text !== "");
    if (!block) return;
    Object.assign(block, { text, isLive: true });
    Object.assign(turn, { isThinking: text === "", heldUp: "" });
    this.#onChange(turn);
  }

  #onRated({ content, metadata }) {
    const { run_id: runId, score, principal = "" } = metadata;
    const turn = this.#find((each) => each.runId === runId);
    if (!turn || principal !== this.#principal) return;
    this.#ratings.set(turn, score === null ? null : { score, comment: content ?? "" });
    turn.rating = this.#ratings.get(turn);
    this.#onChange(turn);
  }

  /** What becomes of the current run while its service has no process for it. */
  #hear({ content, metadata }) {
    const turn = this.current;
    const isHeldUp = HOLD_UPS.has(metadata.code);
    if (!turn || !(isHeldUp || metadata.code === "continued")) return;
    turn.heldUp = isHeldUp ? content : "";
    this.#onChange(turn);
  }

  /** Messages that were not taken, and are sent again. */
  #holdBack({ content, metadata }) {
    if (!metadata.retryable || metadata.code === "busy") return;
    const { message_id: messageId } = metadata;
    for (const turn of [...this.started, ...this.queue]) {
      if (turn.status !== "sending" || (messageId && turn.messageId !== messageId)) continue;
      Object.assign(turn, { heldUp: content, limit: metadata.limit ? content : "" });
      this.#onChange(turn);
    }
  }

  #work(turn, frame) {
    const { event, metadata } = frame;
    if (event === "agent.thinking") this.#think(turn, frame);
    else if (event === "user.cancel") {
      if (metadata.run_id === turn.runId) turn.isStopping = true;
    } else if (frame.step_id) this.#use(turn, frame);
    else if (event !== "agent.session_resumed") return;
    if (event.startsWith("agent.")) turn.heldUp = "";
    this.#onChange(turn);
  }

  #think(turn, { content, metadata }) {
    turn.isThinking = metadata.status === "started";
    if (turn.isThinking) return;
    if (content) {
      const said = turn.blocks.findIndex((block) => block.step === metadata.step);
      const at = said < 0 ? turn.blocks.length : said;
      turn.blocks.splice(at, 0, { kind: "reasoning", text: content });
    }
    const block = this.#textBlock(turn, metadata.step, Boolean(metadata.text));
    if (!block) return;
    block.isLive = false;
    if (metadata.text) Object.assign(block, { text: metadata.text, isSaid: true });
  }

  #use(turn, { event, step_id: stepId, content, metadata, timestamp }) {
    let block = turn.blocks.find((each) => each.stepId === stepId);
    if (!block) turn.blocks.push((block = { kind: "tool", stepId, args: {}, status: "waiting" }));
    const { tool, args, status, duration_ms: durationMs, truncated } = metadata;
    if (event === "agent.user_confirm") {
      const deadline = new Date(Date.parse(timestamp) + metadata.timeout_s * 1000);
      const { description = "", parameters = null } = metadata;
      Object.assign(block, { tool, args, question: content, deadline, description, parameters });
      block.status = "waiting";
    } else if (event === "user.response") {
      block.response = content;
      if (content.approved && content.args) block.args = content.args;
    } else if (event === "agent.tool_call") {
      Object.assign(block, { tool, args, status: "running" });
    } else if (event === "agent.tool_result") {
      Object.assign(block, { tool, status, durationMs, truncated, result: content });
    }
  }

  #accept({ content, metadata, timestamp }) {
    const { message_id: messageId, run_id: runId, position } = metadata;
    const turn =
      this.#find((each) => each.messageId === messageId) ?? newTurn({ messageId, text: content });
    this.#remove(turn);
    const at = new Date(timestamp);
    Object.assign(turn, { runId, text: content, at, status: "queued", heldUp: "" });
    this.#place(turn, position);
  }

  #end(frame, kind) {
    const turn = this.#find((each) => each.runId === frame.metadata.run_id);
    if (!turn) return;
    const hasBegun = turn === this.current;
    if (!hasBegun) this.#remove(turn);
    // A message that was taken back before its turn leaves no trace.
    if (!hasBegun && kind !== "interrupted") this.started.push(turn);
    const atRest = { isThinking: false, isStopping: false, heldUp: "" };
    Object.assign(turn, { status: kind, ...atRest, end: frame });
    if (kind === "final_answer") this.#answer(turn, frame);
    else if (frame.metadata.text) this.#putPreview(turn, "unfinished", frame.metadata.text);
    for (const block of turn.blocks) {
      block.isLive = false;
      if (block.status === "waiting" || block.status === "running") block.status = "cancelled";
    }
    if (hasBegun) this.#next();
    this.#onChange(null);
    this.#onChange(turn);
  }

  #answer(turn, { content, metadata }) {
    this.#putPreview(turn, `${metadata.steps}.`, content);
  }

  /** Replaces the preview, which is the text that was not written before tools. */
  #putPreview(turn, step, text) {
    const preview = turn.blocks.findLast((block) => block.kind === "text" && !block.isSaid);
    const block = preview ?? this.#textBlock(turn, step, text !== "");
    if (block) block.text = text;
  }

  /** Of a step; a new one goes to the end. */
  #textBlock(turn, step, mayAdd) {
    let block = turn.blocks.find((each) => each.kind === "text" && each.step === step);
    if (!block && mayAdd) turn.blocks.push((block = { kind: "text", step, text: "" }));
    return block;
  }

  #find(isWanted) {
    return this.queue.find(isWanted) ?? this.started.findLast(isWanted);
  }

  #remove(turn) {
    this.queue = this.queue.filter((each) => each !== turn);
    this.started = this.started.filter((each) => each !== turn);
    if (this.current === turn) this.current = null;
  }

  #lengthOfLine() {
    return this.queue.length + (this.current ? 1 : 0);
  }

  /** At a place in the line: 0 is the current one. */
  #place(turn, position) {
    if (position > 0 && this.current) {
      this.queue.splice(position - 1, 0, turn);
    } else {
      const displaced = this.current;
      if (displaced) {
        this.#remove(displaced);
        this.queue.unshift(displaced);
      }
      this.#begin(turn);
    }
    this.#onChange(null);
  }

  #begin(turn) {
    this.current = turn;
    this.started.push(turn);
    if (turn.status === "queued") Object.assign(turn, { status: "running", isThinking: true });
    this.#onChange(turn);
  }

  #next() {
    this.current = null;
    const next = this.queue.shift();
    if (next) this.#begin(next);
  }
}

function newTurn({ messageId, text, at = null }) {
  const none = { runId: null, blocks: [], isThinking: false, heldUp: "", limit: "", rating: null };
  return { messageId, text, at, status: "sending", ...none };
}
