// Figures of traces as people read them.

import { LOCALE, page, say } from "../chat/page.js";
import { span, whole } from "../console/numbers.js";

const COSTS = new Intl.NumberFormat(LOCALE, { maximumSignificantDigits: 3 });

export const took = span;
export const count = whole;

export const cost = (amount, currency) =>
  amount === null || amount === undefined ? "–" : `${COSTS.format(amount)} ${currency}`.trim();

export const tokensOf = ({ prompt_tokens: given, completion_tokens: made }) => whole(given + made);

/** A status in the page's language; one that is not known here, as it is. */
export const statusOf = (status) => (page.texts[`status_${status}`] ? say(`status_${status}`) : status);
