// Starts an agent and watches its runs, step by step: a React component for the trace dialect.
//
//   createRoot(document.querySelector("#app")).render(<Traces />)
//
// `scripts/server examples/ws_weather_agent.py` serves an agent at the default address. What the
// frames hold is in docs/protocol.md, "The trace dialect".
import { useEffect, useReducer, useRef, useState } from "react";

const OPEN = 1; // WebSocket.OPEN
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15_000;
const CLOSED_FOR_GOOD = [4001, 4003, 4004, 4400]; // To come back would not help.
const UNSEEN = "unseen"; // Nobody watched its end.
const STATES = { connecting: "Connecting…", connected: "", closed: "Not connected." };
const STEPS = ["think_completed", "tool_completed", "run_error"];

/** What there is to see: runs, each with its steps; `seen`: the messages that it is made of. */
const NOTHING = { runs: [], seen: new Set(), problem: "" };

/** One more message of the server. Told again, as after a reconnect, it adds nothing. */
function told(view, { event_type: type, message_id: id, data }) {
  const isMeant = (run) => run.trace_id === data.trace_id;
  if (view.seen.has(id)) {
    if (type !== "trace_started") return view;
    // It goes on after all.
    const isOn = (run) => isMeant(run) && run.status === UNSEEN;
    return { ...view, runs: view.runs.map((run) => (isOn(run) ? { ...run, status: null } : run)) };
  }
  const seen = new Set(view.seen).add(id);
  if (type === "connection_established" || type === "trace_started") {
    // Of a run that ended while nobody watched, no end is told.
    const runs = view.runs.map((run) => ({ ...run, status: run.status ?? UNSEEN }));
    if (type === "trace_started") runs.push({ ...data, steps: [], doing: "" });
    return { runs, seen, problem: "" };
  }
  if (type === "run_error" && !data.trace_id) return { ...view, seen, problem: data.error };
  const runs = view.runs.map((run) => (isMeant(run) ? grown(run, type, data) : run));
  return { ...view, runs, seen };
}

function grown(run, type, data) {
  if (type === "status_update") return { ...run, doing: data.message };
  if (type === "trace_completed") return { ...run, ...data, doing: "" };
  if (!STEPS.includes(type)) return run;
  // The run as a whole has failed, and no step of it.
  if (!data.run_id) return { ...run, error: data.error };
  return { ...run, steps: [...run.steps, data], doing: "" };
}

const took = (ms) =>
  ms == null ? "" : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;

/** What came out of a step, in one line. */
function outcome({ outputs, error }) {
  const message = outputs?.message;
  const calls = message?.tool_calls?.map((call) => (call.function ?? call).name);
  return error ?? outputs?.result ?? (calls ? `→ ${calls.join(", ")}` : message?.content) ?? "";
}

function Steps({ of, parent = null }) {
  const known = new Set(of.map((step) => step.run_id));
  // A step whose parent is not told stands by itself.
  const parentOf = (step) => (known.has(step.parent_run_id) ? step.parent_run_id : null);
  const here = of.filter((step) => parentOf(step) === parent);
  if (!here.length) return null;
  return (
    <ul>
      {here.map((step) => (
        <li key={step.run_id} data-status={step.status}>
          <b>{step.name}</b> <small>{took(step.duration_ms)}</small> {String(outcome(step))}
          <Steps of={of} parent={step.run_id} />
        </li>
      ))}
    </ul>
  );
}

function Run({ run, pages }) {
  const { trace_id: id, request, steps, doing, status, error, final_response: answer } = run;
  return (
    <article aria-live="polite" data-status={status ?? "running"}>
      <h2>{request ?? run.trace_name}</h2>
      <Steps of={steps} />
      {doing && !status && <p className="doing">{doing}</p>}
      {error && <p className="error">{error}</p>}
      {answer != null && <p className="answer" style={{ whiteSpace: "pre-wrap" }}>{answer}</p>}
      {status && (
        <p>
          <small>{[status, took(run.duration_ms)].filter(Boolean).join(" · ")}</small>{" "}
          <a href={`${pages}/traces/${id}/`}>All of it</a>
        </p>
      )}
    </article>
  );
}

/** `address`: of the server; `label`: who comes back with it goes on with its conversation. */
export default function Traces({ address = "ws://localhost:8080", label = "ann" }) {
  const [view, see] = useReducer(told, NOTHING);
  const [state, setState] = useState("connecting");
  const socket = useRef(null);

  useEffect(() => {
    let timer, wait = FIRST_WAIT_MS;
    const connect = () => {
      setState("connecting");
      const opened = new WebSocket(`${address}/ws/${encodeURIComponent(label)}`);
      socket.current = opened;
      opened.onmessage = (event) => {
        const message = JSON.parse(event.data);
        if (message.event_type === "connection_established") {
          wait = FIRST_WAIT_MS;
          setState("connected");
        }
        see(message);
      };
      opened.onclose = ({ code }) => {
        if (CLOSED_FOR_GOOD.includes(code)) return setState("closed");
        setState("connecting");
        // Not all clients of a server come back at the same moment.
        timer = setTimeout(connect, wait * (0.5 + Math.random()));
        wait = Math.min(2 * wait, LONGEST_WAIT_MS);
      };
    };
    connect();
    return () => {
      clearTimeout(timer);
      socket.current.onclose = null;
      socket.current.close();
    };
  }, [address, label]);

  const send = (frame) => {
    if (socket.current.readyState !== OPEN) return false;
    socket.current.send(JSON.stringify(frame));
    return true;
  };
  const start = (event) => {
    event.preventDefault();
    const { question } = event.target;
    if (send({ action: "start_agent", question: question.value })) event.target.reset();
  };

  const isRunning = view.runs.some((run) => !run.status);
  const pages = address.replace("ws", "http");
  return (
    <main>
      {view.runs.map((run) => (
        <Run key={run.trace_id} run={run} pages={pages} />
      ))}
      {view.problem && <p className="error" role="alert">{view.problem}</p>}
      <p role="status">{STATES[state]}</p>
      <form onSubmit={start}>
        <input name="question" aria-label="Question" autoComplete="off" required />
        <button>Start</button>{" "}
        <button type="button" disabled={!isRunning} onClick={() => send({ action: "cancel" })}>
          Stop
        </button>
      </form>
    </main>
  );
}
