// Requests to the site's REST interface, as programs send them.

import { page, say } from "./page.js";

/** Throws an Error whose message is for people, with the `status` of the answer, if there was one. */
export async function request(method, address, body) {
  const isQuestion = method === "GET";
  const headers = { "Content-Type": "application/json", "X-CSRFToken": page.csrf };
  let answer;
  try {
    answer = await fetch(`/api/v1/${address}`, {
      method,
      headers: isQuestion ? {} : headers,
      body: isQuestion ? undefined : JSON.stringify(body ?? {}),
      redirect: "error",
    });
  } catch {
    throw new Error(say("no_answer"));
  }
  if (!answer.ok) throw Object.assign(new Error(await reasonOf(answer)), { status: answer.status });
  return answer;
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
