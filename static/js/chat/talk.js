// One conversation: its connection, its turns, and what of them is news.

import { connect } from "../myagent.js";
import { page, say } from "./page.js";
import { ofThisTab } from "./storage.js";
import { Turns } from "./turns.js";

const UNSENT = "myagent.unsent";
const END_WITHIN_MS = 15_000;

export class Talk {
  #actions;
  #isReplaying;

  /**
   * `actions`: began(id), said(frame), changed(turn), state(detail), refused(detail), ended(),
   * news(sentence).
   */
  constructor(sessionId, actions) {
    this.#actions = actions;
    this.#isReplaying = sessionId !== null;
    this.turns = new Turns((turn) => actions.changed(turn));
    this.client = connect(page.socket, {
      sessionId,
      lang: page.lang,
      client: { app: "chat page" },
      on: {
        "*": (frame) => this.#take(frame),
        text: (text) => this.turns.show(text),
        reset: () => this.#onReset(),
        state: actions.state,
        session: ({ sessionId: id }) => actions.began(id),
        refused: (detail) => this.#onRefused(detail),
      },
    });
    this.#sendWhatAReloadCutOff();
  }

  get id() {
    return this.client.sessionId;
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

  /** The page goes on to another conversation. */
  leave() {
    this.client.close();
  }

  /** The page goes away; what was not acknowledged is sent by the next one. */
  rememberUnsent() {
    const { pending } = this.client;
    if (pending.length) ofThisTab.setJson(UNSENT, { id: this.id, pending });
  }

  #sendWhatAReloadCutOff() {
    const { id, pending } = ofThisTab.getJson(UNSENT, { id: undefined, pending: [] });
    if (id !== this.id) return;
    ofThisTab.remove(UNSENT);
    for (const { messageId, text } of pending) this.send(text, messageId);
  }

  #onReset() {
    this.#isReplaying = true;
    this.turns.reset();
  }

  #onRefused(detail) {
    if (detail.messageId) this.turns.withdraw(detail.messageId);
    this.#actions.refused(detail);
  }

  #take(frame) {
    this.turns.take(frame);
    if (frame.event === "agent.replay_complete") this.#isReplaying = false;
    if (frame.event === "user.message" && frame.seq) this.#actions.said(frame);
    if (frame.event === "agent.session_end") this.#actions.ended();
    if (!this.#isReplaying) this.#tell(frame);
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
