// What people said of answers, on the pages of traces.

import { element, icon } from "../chat/dom.js";
import { LOCALE, say } from "../chat/page.js";
import { count } from "./words.js";

const SCORES = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 2, signDisplay: "exceptZero" });
const HEADS = ["feedback", "count", "positive", "negative", "avg_score"];

/** A thumb for each who said something; one that is neither good nor bad is a figure. */
export function thumbsOf(given) {
  return given.map(({ score, comment }) => {
    const label = [SCORES.format(score), comment].filter(Boolean).join(": ");
    const shown = score === 0 ? "0" : icon(score > 0 ? "thumb-up" : "thumb-down");
    const kind = score > 0 ? "good" : score < 0 ? "bad" : "";
    const known = { className: `given ${kind}`, title: label, role: "img", "aria-label": label };
    return element("span", known, shown);
  });
}

/** In words, one for each. */
export function wordsOf(given) {
  return given.map(({ score, comment, principal }) => {
    const who = principal ? ` (${principal})` : "";
    return `${SCORES.format(score)}${who}${comment ? `: ${comment}` : ""}`;
  });
}

/** What it adds up to, a row for each service or model; null if nobody said anything. */
export function feedbackTable(items) {
  if (!items.length) return null;
  const head = HEADS.map((name) => element("th", { scope: "col" }, say(name)));
  const rows = items.map(({ group, avg_score: average, ...counts }) => {
    const figures = [counts.count, counts.positive, counts.negative].map(count);
    const cells = [group || "–", ...figures, SCORES.format(average)];
    return element("tr", {}, ...cells.map((text) => element("td", {}, text)));
  });
  return element(
    "table",
    { className: "feedback" },
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows),
  );
}
