// Measurements as people read them, in their language.

import { LOCALE, say } from "../chat/page.js";

const WHOLE = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });
const DECIMAL = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 1 });

function inUnit(unit, digits) {
  return new Intl.NumberFormat(LOCALE, {
    style: "unit",
    unit,
    unitDisplay: "short",
    maximumFractionDigits: digits,
  });
}

const MEGABYTES = inUnit("megabyte", 0);
const GIGABYTES = inUnit("gigabyte", 1);
const MILLISECONDS = inUnit("millisecond", 0);
const SECONDS = inUnit("second", 1);

/** Writes a number with the given function; what is not known is a dash. */
const known = (write) => (value) => (Number.isFinite(value) ? write(value) : "–");

export const whole = known((value) => WHOLE.format(value));
export const decimal = known((value) => (value < 10 ? DECIMAL : WHOLE).format(value));
export const memory = known((mb) =>
  mb < 1000 ? MEGABYTES.format(mb) : GIGABYTES.format(mb / 1024),
);
export const span = known((ms) =>
  ms < 1000 ? MILLISECONDS.format(ms) : SECONDS.format(ms / 1000),
);

/** For those who hear it: a dash would be passed over. */
export function spoken(write, value) {
  return Number.isFinite(value) ? write(value) : say("unknown");
}
