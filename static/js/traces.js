// The list of traces: what was asked for, what came since, and what operations took.

import { element } from "./chat/dom.js";
import { BASE, fullMoment, moment, say } from "./chat/page.js";
import { RequestFailed } from "./chat/requests.js";
import { lasting } from "./chat/storage.js";
import { setUpTheme } from "./chat/theme.js";
import { Choice } from "./traces/choice.js";
import { thumbsOf } from "./traces/feedback.js";
import { asked, FilterForm, filtersIn, queryWith } from "./traces/filters.js";
import { follow } from "./traces/live.js";
import { keepQuery } from "./traces/languages.js";
import { Listed } from "./traces/listed.js";
import { Operations } from "./traces/operations.js";
import { readTraces } from "./traces/reading.js";
import { showProblem, showStanding } from "./traces/standing.js";
import { count, cost, statusOf, took, tokensOf } from "./traces/words.js";

const EVERY_MS = 2000;
const PAGE = 50;

const byId = (id) => document.getElementById(id);
let filters = filtersIn(location.search);
let list = new Listed(PAGE);
let views = new Map(); // By the ids of traces: {trace, row}.
let asking = 0; // Answers to earlier questions are too late.

const choice = new Choice(byId("compare"));
const form = new FilterForm(byId("filters"), byId("clear"), (changed) => {
  filters = changed;
  history.pushState(null, "", location.pathname + queryWith(location.search, filters));
  begin();
});

function begin() {
  asking += 1;
  list = new Listed(PAGE);
  line.again();
}

async function readNewest() {
  const question = asking;
  const found = await readTraces({ ...asked(filters, Date.now()), limit: list.limit });
  if (question !== asking) {
    queueMicrotask(() => line.again());
    return true;
  }
  list.renew(found);
  show();
  return true;
}

async function readOlder() {
  const question = asking;
  byId("more").disabled = true;
  try {
    const cursor = list.reach();
    const found = await readTraces({ ...asked(filters, Date.now()), limit: PAGE, cursor });
    if (question !== asking) return;
    list.add(found, cursor);
    show();
  } catch (error) {
    if (!(error instanceof RequestFailed)) throw error;
    showProblem(error.message);
  } finally {
    byId("more").disabled = false;
  }
}

function show() {
  const { items, cursor, isComplete } = list;
  views = new Map(items.map((trace) => [trace.trace_id, viewOf(trace)]));
  place([...views.values()].map(({ row }) => row));
  byId("services").replaceChildren(
    ...[...new Set(items.map(({ service }) => service))].map((name) => element("option", { value: name })),
  );
  const isFiltered = Object.keys(filters).length > 0;
  byId("list").hidden = items.length === 0;
  byId("none").hidden = items.length > 0;
  byId("none").textContent = say(isFiltered ? "none_match" : "none");
  byId("more").hidden = cursor === null;
  byId("more").textContent = say(isComplete ? "more" : "look_further");
  byId("clear").hidden = !isFiltered;
}

/** That of before, if it would look the same. */
function viewOf(trace) {
  const before = views.get(trace.trace_id);
  const isSame = before && JSON.stringify(before.trace) === JSON.stringify(trace);
  return isSame ? before : { trace, row: rowOf(trace) };
}

/** Rows that stay are not moved: one of them may have the focus. */
function place(rows) {
  const wanted = new Set(rows);
  for (const row of [...byId("rows").children]) if (!wanted.has(row)) row.remove();
  let next = byId("rows").firstElementChild;
  for (const row of rows) {
    if (row === next) next = next.nextElementSibling;
    else byId("rows").insertBefore(row, next);
  }
}

function rowOf(trace) {
  const { trace_id: id, status, request, service, duration_ms: ms, started_at: at } = trace;
  const date = new Date(at);
  const words = request || say("hidden_question");
  const cell = (...children) => element("td", { className: "number" }, ...children);
  const row = element(
    "tr",
    {},
    element("td", {}, choice.boxFor(id), element("span", { className: "badge" }, statusOf(status)), failuresOf(trace)),
    element("td", { className: "request" }, markOf(trace), element("a", { href: `${BASE}/traces/${id}/` }, words)),
    element("td", {}, service),
    element("td", {}, ...thumbsOf(trace.feedback)),
    cell(count(trace.steps)),
    cell(tokensOf(trace.usage)),
    cell(cost(trace.cost, trace.currency)),
    cell(took(ms ?? NaN)),
    cell(element("time", { dateTime: at, title: fullMoment(date) }, moment(date))),
  );
  row.dataset.status = status;
  return row;
}

/** Of a run that ran another one again. */
function markOf({ rerun_of: origin }) {
  if (!origin) return null;
  const words = say("is_a_rerun", { step: origin.step });
  return element("span", { className: "rerun-mark", title: words, "aria-label": words, role: "img" }, "↻");
}

/** How many steps failed, whatever became of the run. */
function failuresOf({ errors }) {
  if (!errors) return null;
  const words = say("failed_steps", { count: count(errors) });
  return element("span", { className: "failures", title: words, "aria-label": words, role: "img" }, `✕ ${count(errors)}`);
}

function showState(state, error) {
  showStanding(state, error);
  if (state === "closed") byId("clear").hidden = Object.keys(filters).length === 0;
}

addEventListener("popstate", () => {
  filters = filtersIn(location.search);
  form.show(filters);
  begin();
});
byId("more").addEventListener("click", readOlder);
setUpTheme(byId("theme"), lasting);
keepQuery();
form.show(filters);
const line = follow({
  read: readNewest,
  about: () => (filters.service ? { service: filters.service } : {}),
  state: showState,
  everyMs: EVERY_MS,
});
new Operations(byId("operations"), byId("by"), byId("period"), byId("charts"), byId("figures"));
