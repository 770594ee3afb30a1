// Buttons that copy: a code block's text, or an answer as the Markdown that it was.

import { icon } from "./dom.js";
import { say } from "./page.js";

const SHOWN_MS = 1500;

/** Insecure origins, such as http:// on a local network, have no clipboard interface. */
function copyTheOldWay(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  return isDone;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyTheOldWay(text);
  }
}

export function setUpCopying(root, announce) {
  root.addEventListener("click", async ({ target }) => {
    const button = target.closest(".copy-code, .copy-answer");
    if (!button) return;
    const text = button.copied ?? button.closest(".code").querySelector("code").textContent;
    const isDone = await copy(text);
    button.focus();
    announce(say(isDone ? "copied" : "copy_failed"));
    if (!isDone) return;
    button.replaceChildren(icon("check"), say("copied"));
    setTimeout(() => button.replaceChildren(icon("copy"), say("copy")), SHOWN_MS);
  });
}
