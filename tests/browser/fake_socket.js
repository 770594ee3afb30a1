// A WebSocket whose other end is the test.
(() => {
  class FakeSocket {
    static CONNECTING = 0;
    static OPEN = 1;
    static CLOSED = 3;
    static all = [];

    constructor(url) {
      Object.assign(this, { url: String(url), readyState: 0, sent: [], seq: 0 });
      FakeSocket.all.push(this);
    }

    static get last() {
      return FakeSocket.all.at(-1);
    }

    send(data) {
      this.sent.push(JSON.parse(data));
    }

    close() {
      this.readyState = 3;
    }

    /** The server accepts and says hello. */
    open() {
      this.readyState = 1;
      this.onopen({});
      this.say("system.connected", { metadata: { protocol: 1 } });
      return this;
    }

    say(event, fields = {}) {
      this.onmessage({ data: JSON.stringify({ event, content: null, metadata: {}, ...fields }) });
      return this;
    }

    /** An event of the session's log. */
    log(seq, event, fields = {}) {
      return this.say(event, { session_id: "s", seq, ...fields });
    }

    /** Accepts a resume, with nothing to replay. */
    resume(metadata = {}) {
      this.say("agent.session_resumed", { session_id: "s", metadata });
      return this.say("agent.replay_complete", { session_id: "s" });
    }

    breakOff(code = 1006) {
      this.readyState = 3;
      this.onclose({ code });
    }
  }
  window.WebSocket = FakeSocket;
})();
