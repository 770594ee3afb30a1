// The list of conversations at the side; on a narrow screen a drawer.

import { arrange, element, iconButton } from "./dom.js";
import { moment, say, when } from "./page.js";
import { STANDINGS } from "./standing.js";

/** A dot, and a word for screen readers. */
function mark(standing) {
  if (!STANDINGS.includes(standing)) return null;
  const words = say(`conversation_${standing}`);
  const properties = { className: `mark ${standing}`, title: words, role: "img" };
  return element("span", { ...properties, "aria-label": words });
}

const TYPING_MS = 250; // A pause of somebody who types.
const NARROW = matchMedia("(max-width: 760px)");

export class Sidebar {
  #parts;
  #conversations;
  #actions;
  #currentId = null;
  #renamingId = null;
  #typing = null;

  /** `parts`: elements by name. `actions`: remove(id, title), rename(id, name), news(sentence). */
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
    parts.search.addEventListener("input", () => this.#soon());
    parts.more.addEventListener("click", () => this.#more());
    // Whoever gets to the end of the list reads on.
    const atEnd = ([{ isIntersecting }]) => isIntersecting && !parts.more.hidden && this.#more();
    new IntersectionObserver(atEnd, { root: parts.scroller }).observe(parts.more);
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
    const all = this.#conversations.shown;
    const { list, empty, more } = this.#parts;
    empty.textContent = this.#whyEmpty;
    empty.hidden = all.length > 0 || !empty.textContent;
    more.hidden = !this.#conversations.hasMore;
    const known = new Map(Array.from(list.children, (item) => [item.dataset.id, item]));
    const items = all.map((each) => this.#shown(known.get(each.id), each));
    const focused = document.activeElement;
    arrange(list, items);
    if (list.contains(focused)) focused.focus(); // Moving an item takes the focus from it.
  }

  get #whyEmpty() {
    const { problem, isKnown, isSeeking } = this.#conversations;
    if (problem) return say("list_away", { reason: problem });
    if (!isKnown) return "";
    return say(isSeeking ? "nothing_found" : "no_conversations");
  }

  #soon() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#seek(), TYPING_MS);
  }

  async #seek() {
    await this.#conversations.seek(this.#parts.search.value);
    this.show();
    const { isSeeking, shown, hasMore, problem } = this.#conversations;
    const count = `${shown.length}${hasMore ? "+" : ""}`;
    const found = problem ? say("list_away", { reason: problem }) : say("found", { count });
    if (isSeeking) this.#actions.news(found);
  }

  async #more() {
    const { more } = this.#parts;
    if (more.disabled) return;
    more.disabled = true;
    await this.#conversations.more();
    more.disabled = false;
    this.show();
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
    const looks = JSON.stringify([title, when(new Date(at)), id === this.#currentId, standing]);
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

  #item({ id, title: given, at, standing }) {
    const title = given || say("new_conversation"); // Nothing was said in it yet.
    const date = new Date(at);
    const link = element(
      "a",
      { href: `#${id}`, title: `${title}\n${moment(date)}`, className: "conversation" },
      mark(standing),
      title,
    );
    if (id === this.#currentId) link.setAttribute("aria-current", "page");
    const time = element("time", { className: "when", dateTime: date.toISOString() }, when(date));
    const item = element("li", { "data-id": id }, link, time);
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
      if (name !== null) this.#actions.rename(id, name);
      this.show();
      this.#parts.list.querySelector(`[data-id="${CSS.escape(id)}"] a`)?.focus();
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
