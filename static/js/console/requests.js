// What the console asks of the site: to start, stop and restart, and for logs.

import { request } from "../chat/requests.js";

const LOG_LINES = 60;

const addressOf = (serviceId) => `services/${encodeURIComponent(serviceId)}`;

/** Asks for `start`, `stop` or `restart`; throws an Error whose message is for people. */
export async function control(serviceId, verb) {
  await request("POST", `${addressOf(serviceId)}/${verb}`);
}

/** The last lines of the newest instance's log. */
export async function readLog(serviceId) {
  const answer = await request("GET", `${addressOf(serviceId)}/logs?tail=${LOG_LINES}`);
  const { lines } = await answer.json();
  return lines;
}
