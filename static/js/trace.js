// One trace: its steps as a tree with their times, and all that is known of the chosen one.

import { Announcer } from "./chat/announcer.js";
import { iconButton } from "./chat/dom.js";
import { BASE, fullMoment, page, say } from "./chat/page.js";
import { lasting } from "./chat/storage.js";
import { setUpTheme } from "./chat/theme.js";
import { detailOf, figureList } from "./traces/detail.js";
import { wordsOf } from "./traces/feedback.js";
import * as forest from "./traces/forest.js";
import { listenToKeys } from "./traces/keys.js";
import { RerunForm, showLineage } from "./traces/lineage.js";
import { follow } from "./traces/live.js";
import { neighboursOf } from "./traces/reading.js";
import { Record } from "./traces/record.js";
import { showStanding } from "./traces/standing.js";
import { Waterfall } from "./traces/waterfall.js";
import { count, cost, statusOf, took, tokensOf } from "./traces/words.js";

const EVERY_MS = 1000;
const GROW_MS = 200; // Between two looks of a bar that grows.
const ZOOM = 2;

const byId = (id) => document.getElementById(id);
const announcer = new Announcer(byId("announcer"));
const record = new Record(page.traceId, update);
const rerun = new RerunForm(page.traceId);
const waterfall = new Waterfall(byId("grid"), byId("rows"), { choose, toggle });
const collapsed = new Set();
let [roots, rows] = [[], []];
let critical = new Set();
let time = null; // What is zoomed to; null: all.
let selected = location.hash.slice(1);
let shownDetail = null;
let hasSurroundings = false;

// What there is.

function update() {
  roots = forest.plant(record.spans);
  critical = forest.criticalPath(record.spans, Date.now());
  const failed = record.spans.filter(forest.isFailed).length;
  byId("next-error").hidden = byId("errors-first").hidden = failed === 0;
  byId("next-error").textContent = `${say("next_error")} (${count(failed)})`;
  showSummary(record.trace);
  arrange();
}

function showSummary(trace) {
  document.title = `${trace.request || trace.trace_id} – ${say("trace")}`;
  byId("title").textContent = trace.request || trace.trace_id;
  const given = [
    ["status", statusOf(trace.status)],
    ["service", trace.service],
    ["model", trace.model || "–"],
    ["duration", took(trace.duration_ms ?? NaN)],
    ["steps", count(trace.steps)],
    ["tokens", tokensOf(trace.usage)],
    ["cost", cost(trace.cost, trace.currency)],
    ["started", fullMoment(new Date(trace.started_at))],
  ];
  if (trace.attempts > 1) given.push(["attempts", count(trace.attempts)]);
  if (trace.error) given.push(["error", trace.error]);
  for (const words of wordsOf(trace.feedback)) given.push(["feedback", words]);
  byId("summary").replaceChildren(...figureList(given).children);
  byId("summary").dataset.status = trace.status;
  byId("download").disabled = false;
  const chat = page.isSite ? `${BASE}/services/${encodeURIComponent(trace.service)}/` : `${BASE}/`;
  byId("conversation").href = `${chat}#${encodeURIComponent(trace.session_id)}`;
  byId("all-of-it").href = `${BASE}/traces/?${new URLSearchParams({ session_id: trace.session_id })}`;
  byId("all-of-it").hidden = byId("conversation").hidden = false;
}

async function showNeighbours(trace) {
  const found = await neighboursOf(trace);
  for (const name of ["previous", "next"]) {
    byId(name).hidden = found[name] === null;
    if (found[name]) byId(name).href = `${BASE}/traces/${encodeURIComponent(found[name])}/`;
  }
}

/** Whether the run goes on. What is around it is read once, and at its end and after that anew. */
async function read() {
  const goesOn = await record.read();
  if (!goesOn || !hasSurroundings) {
    await showLineage(record.trace, byId("lineage"));
    await showNeighbours(record.trace);
    hasSurroundings = true;
  }
  return goesOn;
}

// What is seen of it.

function arrange() {
  const words = byId("search").value.trim();
  const errorsFirst = byId("errors-first").getAttribute("aria-pressed") === "true";
  rows = forest.rowsOf(roots, { collapsed, words, errorsFirst });
  byId("no-steps").hidden = !record.isWhole || rows.length > 0;
  byId("fold").textContent = say(collapsed.size ? "expand_all" : "collapse_all");
  draw();
  const span = record.spans.find((each) => each.span_id === selected);
  if (span && JSON.stringify(span) !== shownDetail) {
    const isFirst = shownDetail === null;
    showDetail(span);
    if (isFirst) waterfall.reveal(placeOf(selected));
  }
}

const placeOf = (id) => rows.findIndex(({ span }) => span.span_id === id);

function draw() {
  const now = Date.now();
  const all = forest.timeOf(record.trace, record.spans, now);
  const seen = time ?? all;
  waterfall.show(rows, { time: seen, now, critical, collapsed, selected });
  const [from, to] = [seen.from - all.from, seen.to - all.from];
  byId("axis").textContent = `${took(from)} – ${took(to)}`;
}

function showDetail(span) {
  shownDetail = JSON.stringify(span);
  const close = iconButton("close", say("close"), closeDetail, { className: "icon-button close" });
  const [title, figures, ...rest] = detailOf(span, record.trace.currency);
  byId("detail").replaceChildren(close, title, figures, rerun.at(span.step), ...rest);
}

function closeDetail() {
  byId("split").classList.remove("is-open");
  byId("grid").focus();
}

// What a person does.

function select(place) {
  const node = rows[Math.min(Math.max(place, 0), rows.length - 1)];
  if (!node) return;
  selected = node.span.span_id;
  history.replaceState(null, "", `#${selected}`);
  showDetail(node.span);
  draw();
  waterfall.reveal(placeOf(selected));
}

function choose(span) {
  select(placeOf(span.span_id));
  byId("split").classList.add("is-open");
}

function toggle({ span_id: id }) {
  if (!collapsed.delete(id)) collapsed.add(id);
  arrange();
}

function showNextError() {
  // What is collapsed or filtered out may have failed as well.
  collapsed.clear();
  byId("search").value = "";
  arrange();
  const place = forest.nextFailed(rows, placeOf(selected));
  if (place === -1) return;
  choose(rows[place].span);
  announcer.say(`${rows[place].span.name}: ${rows[place].span.error}`);
}

function zoom(factor) {
  const all = forest.timeOf(record.trace, record.spans, Date.now());
  const span = record.spans.find((each) => each.span_id === selected);
  const seen = time ?? all;
  const middle = (seen.from + seen.to) / 2;
  const around = span ? Date.parse(span.started_at) : middle;
  const next = forest.zoomed(seen, all, factor, around);
  time = next.to - next.from >= all.to - all.from ? null : next;
  draw();
}

function zoomAll() {
  time = null;
  draw();
}

function foldAll() {
  const parents = roots.filter((node) => node.children.length);
  if (collapsed.size) collapsed.clear();
  else for (const { span } of parents) collapsed.add(span.span_id);
  arrange();
}

function download() {
  const { trace, spans } = record;
  // As `manage.py traces export` writes it.
  const blob = new Blob([JSON.stringify({ trace, spans }, null, 2)], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `trace-${trace.trace_id}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function move(by) {
  const place = placeOf(selected);
  select(place === -1 ? 0 : place + by);
}

/** Into the tree, or out of it. */
function unfold(isOpening) {
  const node = rows[placeOf(selected)];
  if (!node) return;
  const isClosed = collapsed.has(selected);
  if (isOpening && node.children.length && !isClosed) select(placeOf(selected) + 1);
  else if (isOpening ? isClosed : node.children.length && !isClosed) toggle(node.span);
  else if (!isOpening && node.parent) select(placeOf(node.parent.span.span_id));
}

function openChosen() {
  if (placeOf(selected) === -1) return;
  byId("split").classList.add("is-open");
  byId("detail").focus();
}

listenToKeys(byId("grid"), {
  move,
  unfold,
  open: openChosen,
  first: () => select(0),
  last: () => select(rows.length - 1),
  search: () => byId("search").focus(),
  nextError: showNextError,
  zoom: (isIn) => zoom(isIn ? ZOOM : 1 / ZOOM),
  zoomAll,
  close: closeDetail,
});
byId("search").addEventListener("input", arrange);
byId("errors-first").addEventListener("click", ({ currentTarget: button }) => {
  button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  arrange();
});
byId("next-error").addEventListener("click", showNextError);
byId("fold").addEventListener("click", foldAll);
byId("zoom-in").addEventListener("click", () => zoom(ZOOM));
byId("zoom-out").addEventListener("click", () => zoom(1 / ZOOM));
byId("zoom-all").addEventListener("click", zoomAll);
byId("download").addEventListener("click", download);
addEventListener("hashchange", () => {
  selected = location.hash.slice(1);
  shownDetail = null;
  if (record.trace) arrange();
});
setUpTheme(byId("theme"), lasting);
setInterval(() => {
  if (!document.hidden && record.spans.some(forest.isOpen)) draw();
}, GROW_MS);
follow({
  read,
  about: () => ({ trace_id: page.traceId, rerun_of: page.traceId }),
  everyMs: EVERY_MS,
  state: showStanding,
});
