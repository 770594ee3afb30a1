// The list of conversations at the side; on a narrow screen a drawer.

import { arrange, element, iconButton } from "./dom.js";
import { moment, say } from "./page.js";
import { STANDINGS } from "./standing.js";

/** A dot, and a word for screen readers. */
function mark(standing) {
  if (!STANDINGS.includes(standing)) return null;
  const words = say(`conversation_${standing}`);
  const properties = { className: `mark ${standing}`, title: words, role: "img" };
  return element("span", { ...properties, "aria-label": words });
}

const NARROW = matchMedia("(max-width: 760px)");

export class Sidebar {
  #parts;
  #conversations;
  #actions;
  #currentId = null;
  #renamingId = null;

  /** `parts`: elements by name. `actions`: remove(id), renamed(). */
  constructor(parts, conversations, actions) {
    this.#parts = parts;
    this.#conversations = conversations;
    this.#actions = actions;
    parts.opener.addEventListener("click", () => this.#slide(true));
    parts.closer.addEventListener("click", () => this.#slide(false));
    parts.shade.addEventListener("click", () => this.#slide(false));
    parts.side.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && NARROW.matches) this.#slide(false);
    });
    NARROW.addEventListener("change", () => this.#slide(false));
    conversations.onChange(() => this.show());
    this.#slide(false);
  }

  /** The current one has changed: the drawer has done its work. */
  select(id) {
    this.#currentId = id;
    if (NARROW.matches && this.#isOpen) this.#slide(false);
    this.show();
  }

  show() {
    if (this.#renamingId !== null) return; // Not while somebody types there.
    const all = this.#conversations.all;
    this.#parts.empty.hidden = all.length > 0;
    const { list } = this.#parts;
    const known = new Map(Array.from(list.children, (item) => [item.dataset.id, item]));
    const items = all.map((each) => this.#shown(known.get(each.id), each));
    const focused = document.activeElement;
    arrange(list, items);
    if (list.contains(focused)) focused.focus(); // Moving an item takes the focus from it.
  }

  get #isOpen() {
    return this.#parts.side.classList.contains("open");
  }

  #slide(isOpen) {
    const { side, shade, opener, main } = this.#parts;
    const wasOpen = this.#isOpen;
    side.classList.toggle("open", isOpen);
    side.inert = NARROW.matches && !isOpen;
    main.inert = NARROW.matches && isOpen;
    shade.hidden = !isOpen;
    opener.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.#parts.closer.focus();
    else if (wasOpen && NARROW.matches) opener.focus();
  }

  /** An item that looks as it should: the one that is there, or a new one. */
  #shown(known, conversation) {
    const { id, title, at, standing } = conversation;
    const looks = JSON.stringify([title, moment(new Date(at)), id === this.#currentId, standing]);
    if (known?.looks === looks) return known;
    const item = this.#item(conversation);
    item.looks = looks;
    if (!known) return item;
    // The same buttons at the same places, so that the focus has somewhere to stay.
    const place = [...known.querySelectorAll("a, button")].indexOf(document.activeElement);
    known.replaceWith(item);
    if (place >= 0) item.querySelectorAll("a, button")[place]?.focus();
    return item;
  }

  #item({ id, title, at, standing }) {
    const link = element(
      "a",
      { href: `#${id}`, title: `${title}\n${moment(new Date(at))}`, className: "conversation" },
      mark(standing),
      title,
    );
    if (id === this.#currentId) link.setAttribute("aria-current", "page");
    const item = element("li", { "data-id": id }, link);
    item.append(
      element(
        "span",
        { className: "item-actions" },
        iconButton("pencil", say("rename_named", { title }), () => this.#rename(item, id, title)),
        iconButton("trash", say("delete_named", { title }), () => this.#actions.remove(id, title)),
      ),
    );
    return item;
  }

  #rename(item, id, title) {
    this.#renamingId = id;
    item.looks = null; // Made anew afterwards.
    const done = (name) => {
      if (this.#renamingId !== id) return;
      this.#renamingId = null;
      if (name !== null) this.#conversations.rename(id, name);
      this.show();
      this.#parts.list.querySelector(`[data-id="${CSS.escape(id)}"] a`)?.focus();
      this.#actions.renamed();
    };
    const input = element("input", {
      type: "text",
      className: "rename",
      value: title,
      maxLength: 200,
      "aria-label": say("new_name"),
      onblur: () => done(input.value),
      onkeydown: (event) => {
        if (event.isComposing) return;
        if (event.key === "Enter") {
          event.preventDefault(); // Or it follows the focus to the link, which opens.
          done(input.value);
        }
        if (event.key === "Escape") {
          event.stopPropagation();
          done(null);
        }
      },
    });
    item.replaceChildren(input);
    input.select();
    input.focus();
  }
}
