// How a conversation stands, for those who look at another one: "waiting" for somebody's yes,
// "running", or "" where nothing goes on. No elements.

import { isAsking } from "./turns.js";

export const STANDINGS = ["waiting", "running"]; // The most urgent first.

export function standingOf({ current }) {
  if (current?.status !== "running") return "";
  return current.blocks.some(isAsking) ? "waiting" : "running";
}

/** The most urgent of them. */
export function foremost(standings) {
  return STANDINGS.find((each) => standings.includes(each)) ?? "";
}
