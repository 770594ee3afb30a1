// The console: puts the parts together. What is shown is what the site says, and nothing is kept.

import { Announcer } from "./chat/announcer.js";
import { page, say } from "./chat/page.js";
import { lasting } from "./chat/storage.js";
import { setUpTheme } from "./chat/theme.js";
import { Connections } from "./console/connections.js";
import { Feed } from "./console/feed.js";
import { List } from "./console/list.js";
import { readable } from "./console/readable.js";
import { control } from "./console/requests.js";
import { Rules } from "./console/rules.js";
import { showSummary } from "./console/summary.js";

const PATIENCE_MS = 600; // A line that comes back sooner is not worth a word.
const STALE_MS = 30000; // After a longer rest the charts have a gap, which the site can fill.

// The state's look, and its text.
const STATES = {
  connecting: ["connecting", "connecting"],
  open: ["open", "live"],
  away: ["waiting", "storage_away"],
  waiting: ["waiting", "lost"],
  full: ["waiting", "too_many"],
  loggedOut: ["closed", "logged_out"],
  paused: ["paused", "paused"],
};

const byId = (id) => document.getElementById(id);
const announcer = new Announcer(byId("announcer"));
const list = new List({ act, announce: announcer.say });
let patience = null;
let heardAt = null;

const feed = new Feed({
  snapshot(seen) {
    showSummary(seen);
    list.show(seen.services, seen.totals.services);
    if (heardAt !== null && Date.now() - heardAt > STALE_MS) list.refresh();
    heardAt = Date.now();
  },
  state(state) {
    clearTimeout(patience);
    const isNews = state === "open" || state === "paused";
    patience = setTimeout(() => showState(state), isNews ? 0 : PATIENCE_MS);
  },
});

function showState(state) {
  if (state === "open" && byId("link-state").dataset.state === "open") return;
  const [look, text] = STATES[state];
  // Trying again looks like trying at first, but it is not news.
  if (state === "connecting" && byId("link-state").dataset.state === "waiting") return;
  byId("link-state").dataset.state = look;
  byId("link-text").textContent = say(text);
  byId("reconnect").hidden = !["waiting", "full"].includes(state);
  byId("log-in").hidden = state !== "loggedOut";
}

async function act(service, verb) {
  if (verb === "stop" && !(await agrees("stop", say("stop_explained", { name: service.name })))) return;
  showProblem("");
  try {
    await control(service.service_id, verb);
  } catch (error) {
    showProblem(say("not_done", { reason: error.message }));
  }
}

/** Whether the person means it. `what`: which dialog asks. */
function agrees(what, explained) {
  const dialog = byId(`${what}-dialog`);
  byId(`${what}-text`).textContent = explained;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
  });
}

function showProblem(sentence) {
  byId("problem").hidden = sentence === "";
  byId("problem").textContent = sentence;
}

for (const dialog of document.querySelectorAll("dialog.ask")) {
  dialog.querySelector(".no").addEventListener("click", () => dialog.close());
  dialog.querySelector(".yes").addEventListener("click", () => dialog.close("yes"));
}
byId("reconnect").addEventListener("click", () => feed.reconnect());
setUpTheme(byId("theme"), lasting);
if (page.mayViewConnections) {
  const parts = {
    details: byId("connections"),
    head: byId("connections-head"),
    body: byId("connections-body"),
    table: byId("connections-table"),
    filter: byId("connections-filter"),
    count: byId("connections-count"),
    none: byId("connections-none"),
    only: byId("connections-only"),
    problem: byId("connections-problem"),
  };
  const explained = ({ user, client_ip: address, user_agent: program }) =>
    say("close_explained", { who: [user, address, readable(program)].filter(Boolean).join(" · ") });
  new Connections(parts, { agrees: (one) => agrees("close", explained(one)), tell: showProblem });
}
if (page.rules) {
  const parts = {
    details: byId("rules"),
    list: byId("rules-list"),
    none: byId("rules-none"),
    count: byId("rules-count"),
    notice: byId("rules-notice"),
    problem: byId("rules-problem"),
    add: byId("rule-add"),
    open: byId("rules-try"),
    sheet: byId("rule-sheet"),
    trial: byId("trial-sheet"),
  };
  const explained = ({ name }) => say("rule_remove_explained", { name });
  new Rules(parts, {
    agrees: (rule) => agrees("rule-remove", explained(rule)),
    announce: announcer.say,
    known: () => list.known,
  });
}
