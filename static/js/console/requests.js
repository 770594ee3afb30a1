// What the console asks of the site: to start, stop and restart, and for logs.

import { page, say } from "../chat/page.js";

const LOG_LINES = 60;

const addressOf = (serviceId) => `/api/v1/services/${encodeURIComponent(serviceId)}`;

/** Asks for `start`, `stop` or `restart`; throws an Error whose message is for people. */
export async function control(serviceId, verb) {
  let answer;
  try {
    answer = await fetch(`${addressOf(serviceId)}/${verb}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": page.csrf },
      body: "{}",
      redirect: "error",
    });
  } catch {
    throw new Error(say("no_answer"));
  }
  if (!answer.ok) throw new Error(await reasonOf(answer));
}

async function reasonOf(answer) {
  try {
    const { detail } = await answer.json();
    if (typeof detail === "string") return detail;
  } catch {
    // No JSON: not an answer of the interface itself.
  }
  return String(answer.status);
}

/** The last lines of the newest instance's log. */
export async function readLog(serviceId) {
  const answer = await fetch(`${addressOf(serviceId)}/logs?tail=${LOG_LINES}`);
  if (!answer.ok) throw new Error(String(answer.status));
  const { lines } = await answer.json();
  return lines;
}
