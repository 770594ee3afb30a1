// Two traces side by side: what is the same in both runs, and what is not.

import { Announcer } from "./chat/announcer.js";
import { element, iconButton } from "./chat/dom.js";
import { BASE, fullMoment, page, say } from "./chat/page.js";
import { lasting } from "./chat/storage.js";
import { setUpTheme } from "./chat/theme.js";
import { plant } from "./traces/forest.js";
import { listenToKeys } from "./traces/keys.js";
import { keepQuery } from "./traces/languages.js";
import { follow } from "./traces/live.js";
import { bothInFull, pairRows, totalsOf } from "./traces/pairs_view.js";
import { nextDifference, pairsOf } from "./traces/pairs.js";
import { readSpans, readTrace } from "./traces/reading.js";
import { count } from "./traces/words.js";

const EVERY_MS = 2000;
const STATES = { open: "live", rest: "at_rest", waiting: "lost", closed: "refused" };

const byId = (id) => document.getElementById(id);
const announcer = new Announcer(byId("announcer"));
const view = pairRows(byId("grid"), byId("rows"), ({ id }) => choose(id));
let traces = [];
let pairs = [];
let shown = [];
let selected = null;
let shownDetail = null;

async function readOne(id) {
  const trace = await readTrace(id);
  const spans = [];
  for await (const items of readSpans(id, 0)) spans.push(...items);
  return { trace, spans };
}

async function read() {
  const [one, other] = await Promise.all([page.compares.a, page.compares.b].map(readOne));
  traces = [one.trace, other.trace];
  pairs = pairsOf(plant(one.spans), plant(other.spans), forkOf(one.trace, other.trace));
  showTotals();
  arrange();
  return traces.some(({ status }) => status === "running");
}

const forkOf = ({ trace_id: id }, { rerun_of: origin }) => (origin?.trace_id === id ? origin.step : 0);

function showState(state, error) {
  byId("link-state").dataset.state = state === "rest" ? "open" : state;
  byId("link-text").textContent = say(STATES[state]);
  byId("problem").hidden = state !== "closed";
  byId("problem").textContent = state === "closed" ? error.message : "";
}

const nameOf = (place) => say(place === 0 ? "first_run" : "second_run");

function linkTo({ trace_id: id, request, started_at: at }, place) {
  const words = `${nameOf(place)} · ${fullMoment(new Date(at))}`;
  const href = `${BASE}/traces/${encodeURIComponent(id)}/`;
  return element("a", { href, title: request || id }, words);
}

function showTotals() {
  byId("totals").replaceChildren(...totalsOf(...traces, traces.map(linkTo)));
  const questions = [...new Set(traces.map(({ request, trace_id: id }) => request || id))];
  byId("title").textContent = questions.join(" · ");
}

function arrange() {
  const differing = pairs.filter(({ differences }) => differences.length);
  const isNarrowed = byId("only").getAttribute("aria-pressed") === "true";
  shown = isNarrowed ? differing : pairs;
  byId("next-difference").textContent = `${say("next_difference")} (${count(differing.length)})`;
  byId("next-difference").disabled = differing.length === 0;
  byId("no-steps").hidden = shown.length > 0;
  byId("no-steps").textContent = say(pairs.length ? "no_difference" : "no_steps");
  view.show(shown, selected);
  const pair = shown[placeOf(selected)];
  if (pair && JSON.stringify(pair) !== shownDetail) showDetail(pair);
}

function showDetail(pair) {
  shownDetail = JSON.stringify(pair);
  const close = iconButton("close", say("close"), leave, { className: "icon-button close" });
  const sides = bothInFull(pair, [nameOf(0), nameOf(1)], traces[0].currency);
  byId("detail").replaceChildren(close, element("div", { className: "sides" }, ...sides));
}

const placeOf = (id) => shown.findIndex((pair) => pair.id === id);

function select(place) {
  const pair = shown[Math.min(Math.max(place, 0), shown.length - 1)];
  if (!pair) return;
  selected = pair.id;
  showDetail(pair);
  view.show(shown, selected);
  view.reveal(placeOf(selected));
}

function choose(id) {
  select(placeOf(id));
  byId("split").classList.add("is-open");
}

function showNextDifference() {
  const place = nextDifference(shown, placeOf(selected));
  if (place === -1) return;
  choose(shown[place].id);
  const { one, other } = shown[place];
  announcer.say((one ?? other).name);
}

function open() {
  if (placeOf(selected) === -1) return;
  byId("split").classList.add("is-open");
  byId("detail").focus();
}

function leave() {
  byId("split").classList.remove("is-open");
  byId("grid").focus();
}

const nothing = () => {};
listenToKeys(byId("grid"), {
  move: (by) => select(placeOf(selected) === -1 ? 0 : placeOf(selected) + by),
  unfold: nothing,
  open,
  first: () => select(0),
  last: () => select(shown.length - 1),
  search: nothing,
  nextError: showNextDifference,
  zoom: nothing,
  zoomAll: nothing,
  close: leave,
});
byId("only").addEventListener("click", ({ currentTarget: button }) => {
  button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  arrange();
});
byId("next-difference").addEventListener("click", showNextDifference);
setUpTheme(byId("theme"), lasting);
keepQuery();
follow({
  read,
  about: () => [page.compares.a, page.compares.b].map((id) => ["trace_id", id]),
  state: showState,
  everyMs: EVERY_MS,
});
