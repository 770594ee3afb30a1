// What the console asks of the site: to start, stop and restart; logs; connections, and their end.
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
