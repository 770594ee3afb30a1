// What the pages of traces ask of the site. What fails throws `RequestFailed`.

import { say } from "../chat/page.js";
import { ask, request, RequestFailed } from "../chat/requests.js";
import { HOUR_MS } from "./filters.js";

const MOST = 500; // Of a page of the interface.

const addressOf = (id) => `traces/${encodeURIComponent(id)}`;

/** {items, cursor, complete}; `query`: the parameters of the interface. */
export const readTraces = (query) => ask(`traces?${new URLSearchParams(query)}`);

/** The message of its failure says which trace is not there. */
export async function readTrace(id) {
  try {
    return await ask(addressOf(id));
  } catch (error) {
    if (error.status !== 404) throw error;
    throw new RequestFailed(say("no_trace", { id }), error);
  }
}

/** The spans from a place on, page by page. */
export async function* readSpans(id, from) {
  for (let cursor = from; cursor !== null; ) {
    const page = await ask(`${addressOf(id)}/spans?limit=${MOST}&cursor=${cursor}`);
    yield page.items;
    cursor = page.cursor;
  }
}

/** The ids of the traces before and after one in its conversation; null where there is none. */
export async function neighboursOf({ trace_id: id, session_id: session }) {
  const [previous, next] = await Promise.all(
    ["newest", "oldest"].map((order) =>
      readTraces({ session_id: session, cursor: id, order, limit: 1 }),
    ),
  );
  return { previous: previous.items[0]?.trace_id ?? null, next: next.items[0]?.trace_id ?? null };
}

/** {items}: the newest runs that ran a trace's run again. */
export const readReruns = (id, limit) => readTraces({ rerun_of: id, limit });

/** The trace of a new run, from a step of one on; `question`: another one, or "". */
export const runAgain = async (id, { step, question }) =>
  (await request("POST", `${addressOf(id)}/rerun`, question ? { step, question } : { step })).json();

/** `hours`: of the time until now. */
export const readStats = (by, hours) => {
  const since = new Date(Date.now() - hours * HOUR_MS).toISOString();
  return ask(`traces/stats?${new URLSearchParams({ by, since })}`);
};
