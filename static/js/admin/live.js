// Keeps what the admin shows of services up to date while somebody looks at it.

const INTERVAL_MS = 2000;
const LONGEST_MS = 30_000;
const MAX_SERVICES = 200;
const GONE = [403, 404];

/** The server's answer, as `read` reads it; null: there is none for this person any more. */
async function get(address, read) {
  // Without a session the server sends to the login.
  const response = await fetch(address, { redirect: "manual" });
  if (response.type === "opaqueredirect" || GONE.includes(response.status)) return null;
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  return read(response);
}

function offer(verbs, buttons) {
  for (const button of buttons) button.hidden = !verbs.includes(button.dataset.verb);
}

function showCells(services) {
  for (const cell of document.querySelectorAll(".cell[data-service]")) {
    const found = services[cell.dataset.service]?.cells[cell.dataset.cell];
    if (found === undefined) {
      cell.closest("tr")?.remove();
      continue;
    }
    if (cell.textContent !== found.text) cell.textContent = found.text;
    cell.dataset.kind = found.kind;
  }
  for (const [id, { verbs }] of Object.entries(services)) {
    offer(verbs, document.querySelectorAll(`button[data-service="${CSS.escape(id)}"]`));
  }
}

async function refreshList() {
  const cells = document.querySelectorAll('.cell[data-service][data-cell="status"]');
  const ids = [...cells].slice(0, MAX_SERVICES).map((cell) => ["id", cell.dataset.service]);
  if (ids.length === 0) return false;
  const answer = await get(`live/?${new URLSearchParams(ids)}`, (response) => response.json());
  if (answer !== null) showCells(answer.services);
  return answer !== null;
}

/** Makes a node look like another: what is the same stays, with its focus and its scrolling. */
function match(node, wanted) {
  if (node.isEqualNode(wanted)) return;
  if (node.nodeName !== wanted.nodeName) {
    node.replaceWith(wanted);
  } else if (node.nodeType !== Node.ELEMENT_NODE) {
    node.nodeValue = wanted.nodeValue;
  } else {
    matchAttributes(node, wanted);
    const children = [...wanted.childNodes];
    while (node.childNodes.length > children.length) node.lastChild.remove();
    children.forEach((child, at) => {
      if (node.childNodes[at]) match(node.childNodes[at], child);
      else node.append(child);
    });
  }
}

function matchAttributes(node, wanted) {
  for (const { name } of [...node.attributes]) {
    const isReaders = name === "open"; // What its reader has opened stays so.
    if (!isReaders && !wanted.hasAttribute(name)) node.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) node.setAttribute(name, value);
}

/** Shows a part as it is now; a log whose end is in view goes on to its new end. */
function refreshPart(part, fresh) {
  const log = part.querySelector(".log");
  const wasAtEnd = log === null || log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
  match(part, fresh);
  const newLog = part.querySelector(".log");
  if (wasAtEnd && newLog !== null) newLog.scrollTop = newLog.scrollHeight;
}

function showObserved(place, html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const verbs = parsed.querySelector("[data-verbs]").dataset.verbs.split(" ");
  const old = new Map([...place.children].map((part) => [part.dataset.part, part]));
  for (const part of parsed.querySelectorAll("[data-part]")) {
    const known = old.get(part.dataset.part);
    if (known === undefined) place.append(part);
    else refreshPart(known, part);
    old.delete(part.dataset.part);
  }
  for (const part of old.values()) part.remove();
  offer(verbs, document.querySelectorAll("#verbs button"));
}

async function refreshPage(place) {
  const chosen = new URLSearchParams(location.search).get("log");
  const query = chosen === null ? "" : `?${new URLSearchParams({ log: chosen })}`;
  const html = await get(`../observed/${query}`, (response) => response.text());
  if (html !== null) showObserved(place, html);
  return html !== null;
}

/** Until the server has nothing to say any more; while it can't be reached, more seldom. */
async function keepFresh(refresh) {
  let wait = INTERVAL_MS;
  for (;;) {
    await new Promise((done) => { setTimeout(done, wait); });
    await whenVisible();
    try {
      if (!(await refresh())) return;
      wait = INTERVAL_MS;
    } catch {
      wait = Math.min(wait * 2, LONGEST_MS);
    }
  }
}

function whenVisible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => {
    document.addEventListener("visibilitychange", done, { once: true });
  });
}

const place = document.getElementById("observed");
const log = document.querySelector(".log");
if (log !== null) log.scrollTop = log.scrollHeight;
if (place !== null) keepFresh(() => refreshPage(place));
else if (document.getElementById("changelist") !== null) keepFresh(refreshList);
