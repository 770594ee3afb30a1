// The list of conversations at the side; on a narrow screen a drawer.

import { element, iconButton } from "./dom.js";
import { moment, say } from "./page.js";

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
    this.#parts.list.replaceChildren(...all.map((each) => this.#item(each)));
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

  #item({ id, title, at }) {
    const link = element(
      "a",
      { href: `#${id}`, title: `${title}\n${moment(new Date(at))}`, className: "conversation" },
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
