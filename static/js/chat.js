// The chat page: puts the parts together. What is said is in the log; the address names which log.

import { Announcer } from "./chat/announcer.js";
import { Composer } from "./chat/composer.js";
import { setUpCopying } from "./chat/copying.js";
import { arrange, element, iconButton } from "./chat/dom.js";
import { KeptConversations } from "./chat/kept_conversations.js";
import { BASE, keyOf, page, say } from "./chat/page.js";
import { Sidebar } from "./chat/sidebar.js";
import { lasting, ofThisTab } from "./chat/storage.js";
import { StoredConversations } from "./chat/stored_conversations.js";
import { Talk } from "./chat/talk.js";
import { Talks } from "./chat/talks.js";
import { setUpTheme } from "./chat/theme.js";
import { Transcript } from "./chat/transcript.js";

const PATIENCE_MS = 600; // A connection that comes back sooner is not worth a word.
const DRAFTS = keyOf("myagent.drafts"); // By the conversation's id.
// Close codes: of a server that has nobody for the service just now, or too many clients, and so
// sends one away for a while; of one that asks who somebody is.
const SENT_AWAY = [4013, 4029];
const NOT_LOGGED_IN = 4001;

const byId = (id) => document.getElementById(id);
const announcer = new Announcer(byId("announcer"));
const kept = new KeptConversations(page.service);
const stored = page.principal ? new StoredConversations(page.service, kept) : null;
const conversations = stored ?? kept;
const talks = new Talks(makeTalk, showStanding);

const composer = new Composer(byId("composer"), byId("message"), byId("send"), send);
const transcript = new Transcript(
  { list: byId("turns"), scroller: byId("scroller"), toEnd: byId("to-end") },
  { answer: (stepId, response) => answer(stepId, response), again: sendAgain, rate },
);
const sidebar = new Sidebar(
  {
    side: byId("side"),
    main: document.querySelector("main"),
    shade: byId("shade"),
    opener: byId("open-side"),
    closer: byId("close-side"),
    search: byId("search"),
    scroller: byId("conversations-scroller"),
    list: byId("conversations"),
    empty: byId("side-empty"),
    more: byId("more"),
  },
  conversations,
  { remove: askToRemove, rename, news: announcer.say },
);

// Which conversation.

function addressed() {
  const name = location.hash.slice(1);
  try {
    return decodeURIComponent(name) || null;
  } catch {
    return name; // Not an address of ours: there is no such conversation.
  }
}

function keepDraft() {
  const { [talks.current.id]: _, ...others } = ofThisTab.getJson(DRAFTS, {});
  ofThisTab.setJson(DRAFTS, composer.text ? { ...others, [talks.current.id]: composer.text } : others);
}

/** Out of the store: what is sent from a new conversation must not come back in the next. */
function takeDraft(id) {
  const { [id]: draft = "", ...others } = ofThisTab.getJson(DRAFTS, {});
  ofThisTab.setJson(DRAFTS, others);
  composer.text = String(draft);
}

function open(id) {
  if (talks.current) keepDraft();
  takeDraft(id);
  showProblem("");
  composer.enable(true);
  delete byId("turns").dataset.ended;
  const wasOpen = talks.show(id);
  const { current } = talks;
  transcript.use(current.turns);
  if (wasOpen) showState(current.state);
  if (current.hasEnded) showEnd();
  sidebar.select(id);
  showTurns(null);
  showTitle();
  composer.focus();
}

function makeTalk(id, moved) {
  const ifShown = (show) => (detail) => talk === talks.current && show(detail);
  const talk = new Talk(id, {
    began: ifShown((began) => {
      history.replaceState(null, "", `#${began}`);
      sidebar.select(began);
    }),
    said: ({ id: session, words, at, hasEnded }) => {
      if (hasEnded && !conversations.has(session)) return; // Somebody has taken it off the list.
      conversations.touch(session, words, at);
      conversations.mark(session, talk.standing);
      sidebar.show();
      showTitle();
    },
    changed: ifShown(showTurns),
    moved: () => moved(talk),
    state: ifShown(showState),
    stopped: ifShown(showStopped),
    refused: ifShown(showRefusal),
    ended: ifShown(showEnd),
    news: ifShown(announcer.say),
  });
  return talk;
}

/** A conversation started to run or to wait for an answer, or has ended its run. */
function showStanding(talk, standing, before) {
  conversations.mark(talk.id, standing);
  sidebar.show();
  showTitle();
  const title = conversations.titleOf(talk.id);
  if (talk === talks.current || title === null) return;
  if (standing === "waiting") announcer.say(say("waits_beside", { title }));
  else if (standing === "" && before) announcer.say(say("done_beside", { title }));
}

function followOthers() {
  if (document.visibilityState !== "hidden") talks.follow(conversations.atWork);
}

function openNew() {
  if (addressed()) history.pushState(null, "", location.pathname + location.search);
  open(null);
}

// What people do.

function send(text) {
  try {
    talks.current.send(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    showProblem(say(text.isWellFormed?.() === false ? "half_character" : "too_large"));
    return false;
  }
  showProblem("");
  transcript.follow();
  return true;
}

/** Whether it was taken. */
function sendAgain(text) {
  const isTaken = send(text);
  if (isTaken) composer.focus();
  return isTaken;
}

/** Throws RangeError when the response can't be sent. */
function answer(stepId, response) {
  talks.current.answer(stepId, response);
  composer.focus();
}

function rate(turn, score, comment) {
  talks.current.rate(turn, score, comment);
  showProblem("");
  announcer.say(say(score === null ? "rating_withdrawn" : "thank_you"));
}

function askToRemove(id, title) {
  const dialog = byId("delete-dialog");
  byId("delete-text").textContent = say(stored ? "delete_for_good" : "delete_explained", { title });
  byId("delete-yes").onclick = () => {
    dialog.close();
    remove(id);
  };
  dialog.showModal();
}

async function remove(id) {
  talks.forget(id);
  const removal = conversations.remove(id);
  if (talks.current.id === id) openNew();
  sidebar.show();
  byId("new").focus();
  await orSay(removal);
}

async function rename(id, name) {
  const renaming = conversations.rename(id, name);
  showTitle();
  await orSay(renaming);
}

async function orSay(done) {
  try {
    await done;
  } catch (error) {
    showProblem(error.message);
  }
  sidebar.show();
  showTitle();
}

// What people see.

function showTurns(turn) {
  const { id, turns } = talks.current;
  transcript.changed(turn);
  byId("empty").hidden = turns.started.length > 0 || Boolean(id ?? addressed());
  byId("stop").hidden = !turns.current?.runId;
  byId("stop").disabled = Boolean(turns.current?.isStopping);
  if (turn === null) showQueue(turns.queue);
}

function showQueue(queue) {
  const list = byId("queue");
  list.hidden = queue.length === 0;
  const known = new Map(Array.from(list.children, (item) => [item.turn, item]));
  arrange(list, queue.map((turn) => known.get(turn) ?? queueItem(turn)));
}

function queueItem(turn) {
  const takeBack = () => {
    talks.current.takeBack(turn);
    composer.focus();
  };
  const item = element(
    "li",
    {},
    element("span", { className: "queue-state" }, say("queued")),
    element("span", { className: "queue-text" }, turn.text),
    iconButton("close", say("remove_queued", { text: turn.text.slice(0, 60) }), takeBack),
  );
  item.turn = turn;
  return item;
}

function showTitle() {
  const { current, standing } = talks;
  const title = (current.id && conversations.titleOf(current.id)) || page.agent;
  const whole = title === page.agent ? title : `${title} – ${page.agent}`;
  byId("title").textContent = title;
  document.title = standing ? say(`tab_${standing}`, { title: whole }) : whole;
}

function showRefusal({ text, stepId, ratedId, content }) {
  if (stepId) transcript.askAgain(stepId, content);
  else if (ratedId) showProblem(say("rating_refused", { reason: content }));
  else {
    showProblem(say("refused", { reason: content }));
    if (!composer.text) composer.text = text;
  }
}

let patience = null;

function showState({ state, code, content }) {
  clearTimeout(patience);
  const isWell = state === "open";
  if (state === "connecting") whyStopped = ""; // The next greeting says it again, if it still is so.
  if (state === "waiting") whyAway = SENT_AWAY.includes(code) ? (content ?? "") : "";
  patience = setTimeout(() => drawState(state, code, content), isWell ? 0 : PATIENCE_MS);
}

function drawState(state, code, content) {
  const wasWell = byId("link-state").dataset.state === "open";
  const isAgain = state === "connecting" && (whyAway !== "" || (!wasWell && seenOpen));
  const isRetry = state === "waiting" || isAgain;
  seenOpen ||= state === "open";
  const sentence = state === "open" ? "connected" : isRetry ? "reconnecting" : "connecting";
  byId("link-state").dataset.state = isRetry ? "waiting" : state;
  const text = say(state === "closed" ? "disconnected" : sentence);
  byId("link-text").textContent = (isRetry && whyAway) || (state === "open" && whyStopped) || text;
  byId("link-state").toggleAttribute("data-stopped", state === "open" && whyStopped !== "");
  byId("reconnect").hidden = state !== "waiting";
  if (code === NOT_LOGGED_IN) offerLogin();
  if (state !== "closed" || code === 1000) return;
  byId("link-text").textContent = content ?? say("disconnected");
  showProblem(code === "unknown_session" ? say("gone") : (content ?? say("disconnected")));
  composer.enable(false);
}

/** The login leads back to this conversation. */
function offerLogin() {
  const link = byId("log-in");
  if (!link) return;
  const back = location.pathname + location.search + location.hash;
  link.href = `${BASE}/login/?next=${encodeURIComponent(back)}`;
  link.hidden = false;
}

function showStopped(sentence) {
  whyStopped = sentence;
  if (byId("link-state").dataset.state === "open") drawState("open");
}

let seenOpen = false;
let whyAway = ""; // The server's own words, if it sent us away.
let whyStopped = ""; // And if the service takes no messages.

function showEnd() {
  showProblem(say("ended"));
  composer.enable(false);
  byId("turns").dataset.ended = "";
}

function showProblem(sentence) {
  byId("problem").hidden = sentence === "";
  byId("problem").textContent = sentence;
}

// Once.

const agent = page.agent;
byId("message").placeholder = say("placeholder", { agent });
byId("scroller").setAttribute("aria-label", say("transcript", { agent }));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // The part after the # names a conversation.
  byId("message").focus();
});
byId("new").addEventListener("click", openNew);
byId("stop").addEventListener("click", () => {
  talks.current.stop();
  composer.focus();
});
byId("examples")?.addEventListener("click", ({ target }) => {
  const example = target.closest(".example");
  if (example && send(example.textContent)) composer.focus();
});
byId("reconnect").addEventListener("click", () => talks.current.client.reconnect());
byId("delete-no").addEventListener("click", () => byId("delete-dialog").close());
for (const link of document.querySelectorAll(".languages a")) {
  const query = link.getAttribute("href");
  link.addEventListener("click", () => (link.href = query + location.hash));
}
setUpTheme(byId("theme"), lasting);
setUpCopying(document.body, announcer.say);
addEventListener("hashchange", () => addressed() !== talks.current.id && open(addressed()));
addEventListener("popstate", () => addressed() !== talks.current.id && open(addressed()));
addEventListener("pagehide", () => {
  talks.rememberUnsent();
  keepDraft();
});
conversations.onChange(() => {
  sidebar.show();
  showTitle();
});
open(addressed());
await stored?.open();
document.addEventListener("visibilitychange", followOthers);
followOthers();
