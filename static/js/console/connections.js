// Who is connected where: a table that is read while somebody has it open.

import { arrange, element } from "../chat/dom.js";
import { moment, page, say } from "../chat/page.js";
import { setText } from "./instances_view.js";
import { whole } from "./numbers.js";
import { readable } from "./readable.js";
import { closeConnection, readConnections } from "./requests.js";
import { Watched } from "./watched.js";

const LOOK_MS = 2000;
const OPEN = "myagent.console.connections";
const COLUMNS = [
  ["connected_since", (each) => moment(new Date(each.connected_at))],
  ["service", (each) => each.service || "–"],
  ["user", (each) => each.user || each.principal || "–"],
  ["client_address", (each) => each.client_ip],
  ["program", (each) => readable(each.user_agent) || "–"],
  ["server", (each) => each.host],
];

export class Connections {
  #parts;
  #agrees;
  #tell;
  #rows = new Map(); // By the connection's id.
  #listed = [];
  #total = 0;
  #closing = new Set();
  #watched;

  /**
   * `parts`: elements by name. `agrees(connection)` resolves to whether a person wants to close one;
   * `tell(sentence)` says why that could not be done, or nothing.
   */
  constructor(parts, { agrees, tell }) {
    this.#parts = parts;
    this.#agrees = agrees;
    this.#tell = tell;
    const heads = COLUMNS.map(([text]) => element("th", { scope: "col" }, say(text)));
    if (page.mayClose) heads.push(element("td"));
    parts.head.append(...heads);
    parts.filter.addEventListener("input", () => this.#show());
    const read = () => this.#read();
    this.#watched = new Watched(parts.details, OPEN, { isOpen: false, everyMs: LOOK_MS, read });
  }

  async #read() {
    try {
      const { items, total } = await readConnections(page.maxConnections);
      this.#listed = items;
      this.#total = total;
      setText(this.#parts.problem, "");
    } catch (error) {
      setText(this.#parts.problem, say("connections_unread", { reason: error.message }));
    }
    this.#parts.problem.hidden = this.#parts.problem.textContent === "";
    this.#show();
  }

  #show() {
    const { body, table, none, count, only, filter } = this.#parts;
    const words = filter.value.trim().toLocaleLowerCase();
    const found = this.#listed.filter((each) => matches(each, words));
    const former = this.#rows;
    this.#rows = new Map(
      found.map((each) => [each.connection_id, former.get(each.connection_id) ?? this.#row(each)]),
    );
    for (const each of found) this.#fill(this.#rows.get(each.connection_id), each);
    arrange(body, [...this.#rows.values()]);
    table.hidden = found.length === 0;
    none.hidden = found.length > 0;
    setText(none, say(words ? "no_connection_matches" : "no_connections"));
    setText(count, whole(this.#total));
    only.hidden = this.#listed.length >= this.#total;
    setText(only, say("only_newest", { count: whole(this.#listed.length) }));
  }

  #row(connection) {
    const row = element("tr", {}, ...COLUMNS.map(() => element("td")));
    if (page.mayClose) {
      const { user, client_ip: address, connection_id: id } = connection;
      const label = say("close_named", { who: user || address });
      const properties = { type: "button", className: "text-button", "aria-label": label };
      const button = element("button", properties, say("close"));
      button.addEventListener("click", () => this.#close(id, connection, button));
      row.append(element("td", {}, button));
    }
    return row;
  }

  #fill(row, connection) {
    COLUMNS.forEach(([, write], place) => setText(row.children[place], write(connection)));
    row.classList.toggle("leaving", this.#closing.has(connection.connection_id));
  }

  async #close(id, connection, button) {
    if (!(await this.#agrees(connection))) return;
    this.#tell("");
    button.disabled = true;
    this.#closing.add(id);
    this.#show();
    try {
      await closeConnection(id);
    } catch (error) {
      this.#closing.delete(id);
      button.disabled = false;
      // It has gone by itself: the table will say so.
      if (error.status !== 404) this.#tell(say("not_done", { reason: error.message }));
    }
    this.#parts.details.querySelector("summary").focus();
    await this.#watched.look();
  }
}

function matches(connection, words) {
  const said = COLUMNS.map(([, write]) => write(connection).toLocaleLowerCase());
  return !words || said.some((each) => each.includes(words));
}
