// Requests to the site's REST interface, as programs send them.

import { BASE, page, say } from "./page.js";

/**
 * Throws an Error whose message is for people; if there was an answer with its `status`, and with
 * what is wrong with each of its `fields`, if that is known.
 */
export async function request(method, address, body) {
  const isQuestion = method === "GET";
  const headers = { "Content-Type": "application/json", "X-CSRFToken": page.csrf };
  let answer;
  try {
    answer = await fetch(`${BASE}/api/v1/${address}`, {
      method,
      headers: isQuestion ? {} : headers,
      body: isQuestion ? undefined : JSON.stringify(body ?? {}),
      redirect: "error",
    });
  } catch {
    throw new Error(say("no_answer"));
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

async function refusal(answer) {
  const { status } = answer;
  try {
    const { detail, fields } = await answer.json();
    if (typeof detail === "string") return Object.assign(new Error(detail), { status, fields });
  } catch {
    // No JSON: not an answer of the interface itself.
  }
  return Object.assign(new Error(String(status)), { status });
}
