// The list of traces: what was asked for, what came since, and what operations took.

import { element } from "./chat/dom.js";
import { BASE, fullMoment, moment, say } from "./chat/page.js";
import { lasting } from "./chat/storage.js";
import { setUpTheme } from "./chat/theme.js";
import { Choice } from "./traces/choice.js";
import { thumbsOf } from "./traces/feedback.js";
import { asked, FilterForm, filtersIn, queryWith } from "./traces/filters.js";
import { follow } from "./traces/live.js";
import { keepQuery } from "./traces/languages.js";
import { Operations } from "./traces/operations.js";
import { readTraces } from "./traces/reading.js";
import { count, cost, statusOf, took, tokensOf } from "./traces/words.js";

const EVERY_MS = 2000;
const PAGE = 50;
const STATES = { open: "live", rest: "live", waiting: "lost", closed: "refused" };

const byId = (id) => document.getElementById(id);
let filters = filtersIn(location.search);
let traces = new Map(); // By their ids.
let views = new Map(); // Their rows, by their ids.
let cursor = null;
let isComplete = true;
let asking = 0; // Answers to earlier questions are too late.

const choice = new Choice(byId("compare"));
const form = new FilterForm(byId("filters"), byId("clear"), (changed) => {
  filters = changed;
  history.pushState(null, "", location.pathname + queryWith(location.search, filters));
  begin();
});

function begin() {
  asking += 1;
  [traces, views, cursor, isComplete] = [new Map(), new Map(), null, true];
  line.again();
}

async function readNewest() {
  const question = asking;
  const isFirst = traces.size === 0;
  const found = await readTraces({ ...asked(filters, Date.now()), limit: PAGE });
  if (question !== asking) {
    queueMicrotask(() => line.again());
    return true;
  }
  const isApart = !isFirst && isAfterAGap(found);
  if (isApart) [asking, traces, views] = [asking + 1, new Map(), new Map()];
  if (isFirst || isApart) ({ cursor, complete: isComplete } = found);
  keep(found.items);
  return true;
}

/** Whether more came than a page holds: what lies between is read as what is older. */
function isAfterAGap({ items, cursor: next, complete }) {
  return complete && next !== null && !items.some(({ trace_id: id }) => traces.has(id));
}

async function readOlder() {
  const question = asking;
  byId("more").disabled = true;
  try {
    const found = await readTraces({ ...asked(filters, Date.now()), limit: PAGE, cursor });
    if (question !== asking) return;
    ({ cursor, complete: isComplete } = found);
    keep(found.items);
  } catch (error) {
    showProblem(error.message);
  } finally {
    byId("more").disabled = false;
  }
}

function keep(items) {
  for (const item of items) {
    const before = traces.get(item.trace_id);
    if (before && JSON.stringify(before) === JSON.stringify(item)) continue;
    traces.set(item.trace_id, item);
    views.set(item.trace_id, rowOf(item));
  }
  const newestFirst = [...traces.keys()].sort().reverse();
  byId("rows").replaceChildren(...newestFirst.map((id) => views.get(id)));
  byId("services").replaceChildren(
    ...[...new Set([...traces.values()].map((each) => each.service))].map((name) =>
      element("option", { value: name }),
    ),
  );
  const isFiltered = Object.keys(filters).length > 0;
  byId("list").hidden = traces.size === 0;
  byId("none").hidden = traces.size > 0;
  byId("none").textContent = say(isFiltered ? "none_match" : "none");
  byId("more").hidden = cursor === null;
  byId("more").textContent = say(isComplete ? "more" : "look_further");
  byId("clear").hidden = !isFiltered;
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
    element("td", { className: "request" }, element("a", { href: `${BASE}/traces/${id}/` }, words)),
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

/** How many steps failed, whatever became of the run. */
function failuresOf({ errors }) {
  if (!errors) return null;
  const words = say("failed_steps", { count: count(errors) });
  return element("span", { className: "failures", title: words, "aria-label": words, role: "img" }, `✕ ${count(errors)}`);
}

function showProblem(sentence) {
  byId("problem").hidden = sentence === "";
  byId("problem").textContent = sentence;
}

function showState(state, error) {
  byId("link-state").dataset.state = state === "rest" ? "open" : state;
  byId("link-text").textContent = say(STATES[state]);
  showProblem(state === "closed" ? error.message : "");
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
