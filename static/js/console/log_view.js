// The end of a service's log, read when somebody asks for it.

import { element } from "../chat/dom.js";
import { say } from "../chat/page.js";
import { readable } from "./readable.js";
import { readLog } from "./requests.js";

export class LogView {
  #service;
  #button;
  #text;

  constructor(service) {
    this.#service = service;
    this.#button = element("button", {
      type: "button",
      className: "text-button",
      onclick: () => this.#toggle(),
    });
    const label = say("log_named", { name: service.name });
    this.#text = element("pre", { className: "log", tabIndex: 0, role: "region", hidden: true });
    this.#text.setAttribute("aria-label", label);
    this.node = element("div", { className: "log-part" }, this.#button, this.#text);
    this.#name();
  }

  #name() {
    const isShown = !this.#text.hidden;
    const name = isShown ? "hide_log" : "show_log";
    this.#button.textContent = say(name);
    this.#button.setAttribute("aria-expanded", String(isShown));
    const label = say("named", { what: say(name), name: this.#service.name });
    this.#button.setAttribute("aria-label", label);
  }

  async #toggle() {
    const isShown = !this.#text.hidden;
    this.#text.hidden = isShown;
    this.#name();
    if (isShown) return;
    try {
      const lines = await readLog(this.#service.service_id);
      this.#text.textContent = readable(lines.join("\n")) || say("empty_log");
    } catch {
      this.#text.textContent = say("log_unread");
    }
    this.#text.scrollTop = this.#text.scrollHeight;
  }
}
