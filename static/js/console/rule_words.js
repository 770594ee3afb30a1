// Rules as people read and type them, and back as the site takes them. Nothing of the page.

import { page } from "../chat/page.js";

/** A condition as one line, as the command and the admin write it: `user_agent contains/i vip`. */
export function written({ field, operator, value, case_sensitive: isExact }) {
  const how = isExact || !hasCase(operator) ? operator : `${operator}/i`;
  const said = operator === "exists" ? (value === false ? "false" : "") : [value].flat().join(", ");
  return `${field} ${how} ${said}`.trimEnd();
}

export function takesSeveral(operator) {
  return page.rules.lists.includes(operator);
}

/** Whether the case of letters could make a difference. */
export function hasCase(operator) {
  return operator !== "exists" && operator !== "cidr";
}

/** A condition's field as [kind, name]: `header.accept` as `header.` and `accept`. */
export function partsOf(field) {
  const prefix = page.rules.prefixes.find((each) => field.startsWith(each));
  return prefix ? [prefix, field.slice(prefix.length)] : [field, ""];
}

/** The parts of a text that commas separate. */
export function listed(text) {
  return text
    .split(/[,，]/)
    .map((each) => each.trim())
    .filter(Boolean);
}

/**
 * Lines of a name, a separator and a value, as an object; the last of several with one name.
 * Throws the number of the first line that is none.
 */
export function pairsOf(text, separator) {
  const pairs = {};
  for (const [place, line] of text.split("\n").entries()) {
    if (!line.trim()) continue;
    const end = line.indexOf(separator);
    const name = line.slice(0, Math.max(0, end)).trim();
    if (!name) throw new BadLine(place + 1);
    pairs[name] = line.slice(end + separator.length).trim();
  }
  return pairs;
}

export class BadLine extends Error {
  constructor(number) {
    super(`line ${number}`);
    this.number = number;
  }
}

/** The JSON object that a text is, null if it is none; an empty one if nothing is typed. */
export function objectOf(text) {
  try {
    const value = JSON.parse(text.trim() || "{}");
    return value !== null && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
