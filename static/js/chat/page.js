// What the server wrote into the page, and the texts in the page's language.

export const page = JSON.parse(document.getElementById("page").textContent);

/** What the site's addresses begin with, where it is below a path of its host. */
export const BASE = new URL("../../..", import.meta.url).pathname.replace(/\/$/, "");

/** A text of `chat_texts.py` or `console_texts.py`, its `{placeholders}` filled in. */
export function say(name, values = {}) {
  return page.texts[name].replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}

/** A key of what the browser keeps: the pages of a host share one storage. */
export function keyOf(name) {
  const own = page.socket === `${BASE}/` ? name : `${name}.${page.service}`;
  return BASE ? `${own}@${BASE}` : own;
}

// English is the page's language; whether its day has 12 or 24 hours is the reader's own affair.
export const LOCALE =
  navigator.languages.find((each) => each.slice(0, 2) === page.lang.slice(0, 2)) ?? page.lang;
const TIME = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short" });
const DAY_OF_YEAR = new Intl.DateTimeFormat(LOCALE, { dateStyle: "short" });
const DAY_AND_TIME = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "short" });

export function clock(date) {
  return TIME.format(date);
}

/** Short today, with its day before that. */
export function moment(date) {
  const isToday = date.toDateString() === new Date().toDateString();
  return (isToday ? TIME : DAY_AND_TIME).format(date);
}

/** Shorter still: today the time, before that the day. */
export function when(date) {
  const now = new Date();
  if (date.toDateString() === now.toDateString()) return TIME.format(date);
  return (date.getFullYear() === now.getFullYear() ? DAY : DAY_OF_YEAR).format(date);
}

export function fullMoment(date) {
  return DAY_AND_TIME.format(date);
}

export function duration(ms) {
  if (ms < 100) return say("milliseconds", { count: ms });
  const seconds = ms / 1000;
  return say("seconds", { count: seconds < 10 ? seconds.toFixed(1) : Math.round(seconds) });
}
