// What the console asks of the site: to start, stop and restart; logs; connections, and their end;
// rules of routing.
// What fails throws an Error whose message is for people.

import { request } from "../chat/requests.js";

const LOG_LINES = 60;

const addressOf = (serviceId) => `services/${encodeURIComponent(serviceId)}`;

/** Asks for `start`, `stop` or `restart`. */
export async function control(serviceId, verb) {
  await request("POST", `${addressOf(serviceId)}/${verb}`);
}

/** The last lines of the newest instance's log. */
export async function readLog(serviceId) {
  const answer = await request("GET", `${addressOf(serviceId)}/logs?tail=${LOG_LINES}`);
  const { lines } = await answer.json();
  return lines;
}

/** The newest connections, at most `limit`, as {items, total}. */
export async function readConnections(limit) {
  return (await request("GET", `connections?limit=${limit}`)).json();
}

export async function closeConnection(connectionId) {
  await request("DELETE", `connections/${encodeURIComponent(connectionId)}`);
}

const RULES = "routing/rules";
const addressOfRule = (ruleId) => `${RULES}/${encodeURIComponent(ruleId)}`;

/** The rules, at most `limit`, in the order in which they apply. */
export async function readRules(limit) {
  return (await (await request("GET", `${RULES}?limit=${limit}`)).json()).items;
}

/** The rule as it is stored, with its `warnings`. */
export async function addRule(fields) {
  return (await request("POST", RULES, fields)).json();
}

export async function changeRule(ruleId, fields) {
  return (await request("PATCH", addressOfRule(ruleId), fields)).json();
}

export async function removeRule(ruleId) {
  await request("DELETE", addressOfRule(ruleId));
}

/** What would become of a client with these facts. */
export async function explain(facts) {
  return (await request("POST", "routing/explain", facts)).json();
}
