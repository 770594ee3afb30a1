// The services: which are listed, which have their details open.

import { arrange } from "../chat/dom.js";
import { LOCALE, page, say } from "../chat/page.js";
import { lasting } from "../chat/storage.js";
import { setText } from "./instances_view.js";
import { whole } from "./numbers.js";
import { ServiceView } from "./service_view.js";

const FEW = 4; // So many that run have their details open until somebody closes them.
const FILTER_FROM = 6;
const OPEN = "myagent.console.open"; // Whether the details are open, by the service's id.

const byId = (id) => document.getElementById(id);
const ORDER = new Intl.Collator(LOCALE, { numeric: true });

export class List {
  #views = new Map();
  #services = [];
  #said = new Map();
  #act;
  #announce;
  #open = lasting.getJson(OPEN, {});

  constructor({ act, announce }) {
    this.#act = act;
    this.#announce = announce;
    byId("filter").addEventListener("input", () => this.#arrange());
    byId("expand-all").addEventListener("click", () => this.#openAll());
  }

  /** The names of the services that processes of the site run, and the tags of these. */
  get known() {
    const own = this.#services.filter((each) => !each.is_external);
    const tags = [...new Set(own.flatMap((each) => each.tags))];
    return { services: own.map((each) => each.name), tags: tags.toSorted(ORDER.compare) };
  }

  show(services, total) {
    this.#services = services.toSorted((one, other) => ORDER.compare(one.name, other.name));
    const ids = new Set(services.map((each) => each.service_id));
    for (const [id, view] of this.#views) {
      if (ids.has(id)) continue;
      view.remove();
      this.#views.delete(id);
      this.#said.delete(id);
    }
    for (const service of this.#services) this.#showOne(service);
    byId("empty").hidden = total > 0;
    byId("listing").hidden = total === 0;
    byId("filter").hidden = services.length < FILTER_FROM;
    byId("only-first").hidden = total <= services.length;
    setText(byId("only-first"), say("only_first", { count: whole(page.maxServices) }));
    this.#arrange();
  }

  refresh() {
    for (const view of this.#views.values()) view.refresh();
  }

  #showOne(service) {
    const { service_id: id, name, state_text: state } = service;
    if (this.#said.has(id) && this.#said.get(id) !== state) {
      this.#announce(say("changed", { name, state }));
    }
    this.#said.set(id, state);
    if (this.#views.has(id)) {
      this.#views.get(id).show(service);
      return;
    }
    const toggled = ({ service_id: which }, isOpen) => this.#keep({ [which]: isOpen });
    const view = new ServiceView(service, { act: this.#act, toggled });
    this.#views.set(id, view);
    view.open(this.#open[id] ?? (this.#services.length <= FEW && service.instances.length > 0));
  }

  #arrange() {
    const { hidden, value } = byId("filter");
    const words = hidden ? "" : value.trim().toLocaleLowerCase(LOCALE);
    const found = this.#services.filter((each) => matches(each, words));
    arrange(byId("services"), found.map((each) => this.#views.get(each.service_id).node));
    byId("none-found").hidden = found.length > 0 || this.#services.length === 0;
    const counts = { some: whole(found.length), all: whole(this.#services.length) };
    setText(byId("list-count"), words ? say("filtered", counts) : "");
    setText(byId("expand-all"), say(this.#areAllOpen() ? "collapse_all" : "expand_all"));
  }

  #areAllOpen() {
    return [...this.#views.values()].every((view) => view.isOpen);
  }

  #openAll() {
    const isOpen = !this.#areAllOpen();
    for (const view of this.#views.values()) view.open(isOpen);
    this.#keep(Object.fromEntries([...this.#views.keys()].map((id) => [id, isOpen])));
  }

  #keep(changes) {
    const known = Object.entries(this.#open).filter(([id]) => this.#views.has(id));
    this.#open = { ...Object.fromEntries(known), ...changes };
    lasting.setJson(OPEN, this.#open);
    setText(byId("expand-all"), say(this.#areAllOpen() ? "collapse_all" : "expand_all"));
  }
}

function matches(service, words) {
  const said = [service.name, service.state_text, ...service.tags];
  return !words || said.some((each) => each.toLocaleLowerCase(LOCALE).includes(words));
}
