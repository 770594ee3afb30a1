// One service: what it is, how it does, what can be done with it; its details when asked for.

import { element, icon } from "../chat/dom.js";
import { BASE, page, say } from "../chat/page.js";
import { Charts } from "./charts.js";
import { InstancesView, setText } from "./instances_view.js";
import { LogView } from "./log_view.js";
import { MeasuresView } from "./measures_view.js";
import { readable } from "./readable.js";

let count = 0;

/** `act(service, verb)` is called for a button, `toggled(service, isOpen)` for the details. */
export class ServiceView {
  #service;
  #act;
  #toggled;
  #parts = {};
  #measures = new MeasuresView();
  #charts = null;
  #instances = null;
  #log = null;
  #instanceIds = null;
  #isAsking = false;

  constructor(service, { act, toggled }) {
    this.#service = service;
    this.#act = act;
    this.#toggled = toggled;
    this.node = this.#build();
    this.show(service);
  }

  get isOpen() {
    return !this.#parts.more.hidden;
  }

  /** Shows it as it is now. */
  show(service) {
    this.#service = service;
    const { name } = service;
    this.node.dataset.status = service.status;
    setText(this.#parts.name, name);
    setText(this.#parts.state, service.state_text);
    setText(this.#parts.description, service.description);
    this.#parts.description.hidden = !service.description;
    this.#showTags(service);
    this.#measures.show(service);
    this.#showActions(service);
    this.#showError(service);
    this.#showDetails(service);
  }

  open(isOpen) {
    this.#parts.more.hidden = !isOpen;
    this.#parts.toggle.setAttribute("aria-expanded", String(isOpen));
    if (isOpen && !this.#charts) this.#furnish();
    if (!isOpen) this.#empty();
  }

  remove() {
    this.#empty();
    this.node.remove();
  }

  /** The last hour is read anew: the line was down for a while. */
  refresh() {
    this.#charts?.refresh();
  }

  // Building.

  #build() {
    const id = `service-${++count}`;
    const parts = this.#parts;
    parts.toggle = element(
      "button",
      {
        type: "button",
        className: "icon-button toggle",
        "aria-controls": id,
        onclick: () => this.#toggle(),
      },
      icon("chevron"),
    );
    parts.name = element("h3", { className: "name" });
    parts.state = element("span", { className: "state-text" });
    parts.marks = element("span", { className: "marks" });
    parts.description = element("p", { className: "description" });
    parts.error = element("div", { className: "error", hidden: true });
    parts.more = element("div", { className: "more", id, hidden: true });
    const dot = element("span", { className: "dot", "aria-hidden": "true" });
    const state = element("p", { className: "state" }, dot, parts.state, parts.marks);
    const words = element("div", { className: "words" }, parts.name, state, parts.description);
    return element(
      "li",
      { className: "service" },
      element(
        "div",
        { className: "row" },
        parts.toggle,
        words,
        this.#measures.node,
        this.#buildActions(),
      ),
      parts.error,
      parts.more,
    );
  }

  #buildActions() {
    const parts = this.#parts;
    const className = "text-button";
    const button = (verb) =>
      element("button", { type: "button", className, onclick: () => this.#ask(verb()) });
    parts.chat = element("a", { className, rel: "noreferrer", hidden: true }, say("chat"));
    // One button for both, so that the keyboard stays where it is.
    parts.power = button(() => (this.#service.verbs.includes("stop") ? "stop" : "start"));
    parts.restart = button(() => "restart");
    // A service that was given up may still have a process: it can be started again, or stopped.
    parts.again = button(() => "start");
    parts.settings = element("a", { className, hidden: true }, say("settings"));
    return element(
      "div",
      { className: "row-actions" },
      parts.chat,
      parts.again,
      parts.power,
      parts.restart,
      parts.settings,
    );
  }

  #furnish() {
    const { service_id: id, name } = this.#service;
    this.#charts = new Charts(id, name);
    this.#instances = new InstancesView(name);
    this.#log = new LogView(this.#service);
    this.#instances.node.hidden = this.#service.is_external;
    this.#parts.more.replaceChildren(this.#charts.node, this.#instances.node, this.#log.node);
    this.#showDetails(this.#service);
  }

  #empty() {
    this.#charts?.remove();
    this.#charts = this.#instances = this.#log = null;
    this.#parts.more.replaceChildren();
  }

  // Acting.

  #toggle() {
    this.open(!this.isOpen);
    this.#toggled(this.#service, this.isOpen);
  }

  async #ask(verb) {
    // Not disabled meanwhile: a disabled button loses the keyboard.
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      await this.#act(this.#service, verb);
    } finally {
      this.#isAsking = false;
    }
  }

  // Showing.

  #showTags(service) {
    const marks = [
      ...(service.is_external ? [element("span", { className: "tag kind" }, say("external"))] : []),
      ...service.tags.map((tag) => element("span", { className: "tag" }, tag)),
    ];
    const said = JSON.stringify([service.is_external, service.tags]);
    if (this.#parts.marks.dataset.said === said) return;
    this.#parts.marks.dataset.said = said;
    this.#parts.marks.replaceChildren(...marks);
  }

  #showActions(service) {
    const { chat, again, power, restart, settings } = this.#parts;
    const { name } = service;
    const address = chatAddress(service);
    chat.hidden = !address;
    if (address) chat.href = address;
    chat.setAttribute("aria-label", named("chat", name));
    settings.hidden = !page.mayChange;
    settings.href = `${BASE}/admin/services/service/${encodeURIComponent(service.service_id)}/change/`;
    settings.setAttribute("aria-label", named("settings", name));
    const verbs = page.mayControl ? service.verbs : [];
    const verb = verbs.includes("stop") ? "stop" : "start";
    const mayTryAgain = verb === "stop" && verbs.includes("start");
    power.hidden = verbs.length === 0;
    if (document.activeElement === again && !mayTryAgain) power.focus();
    again.hidden = !mayTryAgain;
    setText(again, say("start"));
    again.setAttribute("aria-label", named("start", name));
    setText(power, say(verb));
    power.setAttribute("aria-label", named(verb, name));
    if (document.activeElement === restart && !verbs.includes("restart")) power.focus();
    restart.hidden = !verbs.includes("restart");
    setText(restart, say("restart"));
    restart.setAttribute("aria-label", named("restart", name));
  }

  #showError(service) {
    const { error } = this.#parts;
    error.hidden = !service.error_message;
    if (error.hidden) {
      error.replaceChildren();
      return;
    }
    const said = readable(service.error_message);
    if (error.firstElementChild) {
      setText(error.firstElementChild, said);
      return;
    }
    const text = element("pre", { className: "error-text", tabIndex: 0, role: "region" });
    text.setAttribute("aria-label", `${say("error")}: ${service.name}`);
    text.textContent = said;
    error.append(text, ...(service.is_external ? [] : [new LogView(service).node]));
  }

  #showDetails(service) {
    this.#parts.toggle.setAttribute("aria-label", say("details", { name: service.name }));
    const ids = service.instances.map((each) => each.instance_id).join();
    const hasChanged = this.#instanceIds !== null && ids !== this.#instanceIds;
    this.#instanceIds = ids;
    if (!this.#charts) return;
    this.#charts.add(service.measured);
    this.#instances.show(service.instances);
    // Beside the error is another one.
    this.#log.node.hidden = service.is_external || Boolean(service.error_message);
    if (hasChanged) this.#charts.refresh();
  }
}

/** A button's own words, then whose button it is. */
function named(text, name) {
  return say("named", { what: say(text), name });
}

/** The chat page's address: of the site, or elsewhere; empty if there is none. */
function chatAddress({ chat }) {
  if (!chat || !URL.canParse(chat, location.href)) return "";
  const { protocol, href } = new URL(chat, location.href);
  return ["http:", "https:"].includes(protocol) ? href : "";
}
