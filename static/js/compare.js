// Two traces side by side: what is the same in both runs, and what is not.

import { Announcer } from "./chat/announcer.js";
import { element, iconButton } from "./chat/dom.js";
import { BASE, fullMoment, page, say } from "./chat/page.js";
import { RequestFailed } from "./chat/requests.js";
import { lasting } from "./chat/storage.js";
import { setUpTheme } from "./chat/theme.js";
import { plant } from "./traces/forest.js";
import { listenToKeys } from "./traces/keys.js";
import { keepQuery } from "./traces/languages.js";
import { follow } from "./traces/live.js";
import { bothInFull, pairRows, totalsOf } from "./traces/pairs_view.js";
import { nextDifference, pairsOf } from "./traces/pairs.js";
import { Record } from "./traces/record.js";
import { showStanding } from "./traces/standing.js";
import { count } from "./traces/words.js";

const EVERY_MS = 2000;

const byId = (id) => document.getElementById(id);
const announcer = new Announcer(byId("announcer"));
const view = pairRows(byId("grid"), byId("rows"), ({ id }) => choose(id));
const ids = [page.compares.a, page.compares.b];
const records = ids.map((id) => new Record(id, () => {}));
let traces = [];
let pairs = [];
let shown = [];
let selected = null;
let shownDetail = null;

/** Whether one of them goes on. Both are shown at once. */
async function read() {
  if (!ids.every(Boolean)) throw new RequestFailed(say("names_two_traces"), { status: 404 });
  // Both to their end: a record must not be read twice at a time.
  const reads = await Promise.allSettled(records.map((record) => record.read()));
  const failed = reads.find(({ status }) => status === "rejected");
  if (failed) throw failed.reason;
  traces = records.map(({ trace }) => trace);
  pairs = pairsOf(...records.map(({ spans }) => plant(spans)), forkOf(...traces));
  showTotals();
  arrange();
  return reads.some(({ value: goesOn }) => goesOn);
}

const forkOf = ({ trace_id: id }, { rerun_of: origin }) => (origin?.trace_id === id ? origin.step : 0);

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
  about: () => ids.map((id) => ["trace_id", id]),
  state: showStanding,
  everyMs: EVERY_MS,
});
