// Requests to the site's REST interface, as programs send them.

import { BASE, page, say } from "./page.js";

/** Its message is for people. `status`: of the answer, if there was one; `fields`: what is wrong with
 * each of the request's, if that is known. */
export class RequestFailed extends Error {
  constructor(message, { status, fields } = {}) {
    super(message);
    [this.status, this.fields] = [status, fields];
  }
}

/** Throws `RequestFailed`. */
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
    throw new RequestFailed(say("no_answer"));
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

/** What an address answers, as JSON. Throws `RequestFailed`. */
export async function ask(address) {
  const answer = await request("GET", address);
  try {
    return await answer.json();
  } catch {
    throw new RequestFailed(say("no_answer")); // It was cut off.
  }
}

async function refusal(answer) {
  const { status } = answer;
  try {
    const { detail, fields } = await answer.json();
    if (typeof detail === "string") return new RequestFailed(detail, { status, fields });
  } catch {
    // No JSON: not an answer of the interface itself.
  }
  return new RequestFailed(String(status), { status });
}
