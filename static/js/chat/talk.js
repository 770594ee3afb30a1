// One conversation: its connection, its turns, and what of them is news.

import { connect } from "../myagent.js";
import { keyOf, page, say } from "./page.js";
import { standingOf } from "./standing.js";
import { ofThisTab } from "./storage.js";
import { Turns } from "./turns.js";

const UNSENT = keyOf("myagent.unsent");
const TOLD = new Set(["waiting", "continuing", "continued"]); // Notices.
const END_WITHIN_MS = 15_000;

/** Messages that were not acknowledged, [{messageId, text}] by the conversation's id. */
function unsent() {
  const stored = ofThisTab.getJson(UNSENT, {});
  const lists = Object.entries(stored).filter(([, messages]) => Array.isArray(messages));
  return Object.fromEntries(lists);
}

export class Talk {
  #actions;
  #sessionId;
  #isReplaying;
  #isGone = false;
  #hasEnded = false;
  #firstSaid = null;
  #lastReplayed = null; // Of what was said.

  /**
   * `actions`: began(id), said({id, words, at, hasEnded}), changed(turn), state(detail), refused(detail), ended(),
   * moved(): it may stand otherwise, news(sentence), stopped(sentence): why the service takes no
   * messages; empty once it does.
   */
  constructor(sessionId, actions) {
    this.#actions = actions;
    this.#sessionId = sessionId;
    this.#isReplaying = sessionId !== null;
    this.turns = new Turns((turn) => this.#onChange(turn), page.principal);
  }

  /** Connects; until then there is no `client`. */
  open() {
    const sessionId = this.#sessionId;
    this.client = connect(page.socket, {
      sessionId,
      lang: page.lang,
      silenceMs: page.silenceMs,
      client: { app: "chat page" },
      on: {
        "*": (frame) => this.#take(frame),
        text: (text) => this.turns.show(text),
        reset: () => this.#onReset(),
        state: (detail) => this.#onState(detail),
        session: ({ sessionId: id }) => this.#actions.began(id),
        refused: (detail) => this.#onRefused(detail),
      },
    });
    this.#sendWhatWasCutOff();
  }

  get id() {
    return this.client?.sessionId ?? this.#sessionId;
  }

  /** See `standing.js`. */
  get standing() {
    return this.#isGone ? "" : standingOf(this.turns);
  }

  /** Whether all events so far are known here. */
  get isKnown() {
    return this.#isGone || !this.#isReplaying;
  }

  get hasEnded() {
    return this.#hasEnded;
  }

  /** Throws RangeError when the text is too large. */
  send(text, messageId) {
    const id = this.client.send(text, { messageId });
    this.turns.expect(id, text);
  }

  stop() {
    const { current } = this.turns;
    if (!current?.runId) return;
    current.isStopping = true;
    this.client.cancel({ runId: current.runId });
    this.#actions.changed(current);
  }

  takeBack(turn) {
    const wasSent = turn.status !== "sending";
    this.client.cancel({ messageId: turn.messageId });
    if (!wasSent && !this.client.pending.some((each) => each.messageId === turn.messageId)) {
      this.turns.withdraw(turn.messageId);
    }
  }

  answer = (stepId, response) => this.client.respond(stepId, response);

  /** A score of null takes back what was said. */
  rate(turn, score, comment) {
    this.client.rate(turn.messageId, score, comment);
    this.turns.rate(turn, score, comment);
  }

  /** The page goes on to another conversation, or away. */
  leave() {
    this.rememberUnsent();
    this.client.close();
  }

  /** What was not acknowledged is sent when the conversation is opened again in this tab. */
  rememberUnsent() {
    const { pending } = this.client;
    const { [this.id]: _, ...others } = unsent();
    ofThisTab.setJson(UNSENT, pending.length ? { ...others, [this.id]: pending } : others);
  }

  #sendWhatWasCutOff() {
    const { [this.id]: own = [], ...others } = unsent();
    ofThisTab.setJson(UNSENT, others);
    for (const { messageId, text } of own) this.send(text, messageId);
  }

  #onChange(turn) {
    this.#actions.changed(turn);
    this.#actions.moved();
  }

  #onState(detail) {
    this.state = detail;
    this.#isGone = detail.state === "closed" && detail.code !== 1000;
    this.#actions.state(detail);
    if (this.#isGone) this.#actions.moved();
  }

  #onReset() {
    this.#isReplaying = true;
    this.turns.reset();
  }

  #onRefused(detail) {
    if (detail.messageId) this.turns.withdraw(detail.messageId);
    if (detail.ratedId) this.turns.withdrawRating(detail.ratedId);
    this.#actions.refused(detail);
  }

  #take(frame) {
    this.turns.take(frame);
    if (frame.event === "agent.session_end") this.#end();
    if (frame.event === "agent.replay_complete") this.#endReplay();
    if (frame.event === "user.message" && frame.seq) this.#onSaid(frame);
    if (frame.event === "system.notice") this.#onNotice(frame);
    if (!this.#isReplaying) this.#tell(frame);
  }

  #onNotice({ content, metadata }) {
    if (metadata.code === "service_stopped") this.#actions.stopped(content);
    else if (metadata.code === "service_started") this.#actions.stopped("");
  }

  #onSaid(frame) {
    this.#firstSaid ??= frame.content;
    if (this.#isReplaying) this.#lastReplayed = frame;
    else this.#tellSaid(frame);
  }

  #endReplay() {
    this.#isReplaying = false;
    if (this.#lastReplayed) this.#tellSaid(this.#lastReplayed);
    this.#lastReplayed = null;
    this.#actions.moved();
  }

  #tellSaid({ session_id: id, timestamp }) {
    const at = Date.parse(timestamp);
    this.#actions.said({ id, words: this.#firstSaid, at, hasEnded: this.#hasEnded });
  }

  #end() {
    this.#hasEnded = true;
    this.#actions.ended();
  }

  /** What somebody who can't see the page has to know. */
  #tell({ event, content, metadata }) {
    if (event === "user.message" && metadata.position === 0) {
      this.#actions.news(say("writing", { agent: page.agent }));
    } else if (event === "agent.user_confirm") {
      this.#actions.news(say("approval_needed", { question: content }));
    } else if (event === "agent.final_answer") {
      this.#actions.news(`${say("agent_said", { agent: page.agent })} ${content}`);
    } else if (["agent.error", "agent.interrupted", "agent.timeout"].includes(event)) {
      this.#actions.news(content);
    } else if (event === "system.notice" && TOLD.has(metadata.code)) {
      this.#actions.news(content);
    }
  }
}

/** Ends a conversation for good, whether or not it is the one on the screen. */
export function endConversation(sessionId) {
  const client = connect(page.socket, { sessionId, lang: page.lang });
  const giveUp = setTimeout(() => client.close(), END_WITHIN_MS);
  client.on("agent.session_end", () => client.close());
  client.on("state", ({ state }) => state === "closed" && clearTimeout(giveUp));
  client.end();
}
