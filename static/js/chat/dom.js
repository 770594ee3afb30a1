// Elements without markup: whatever a model, a tool or a person wrote only ever becomes text.

const SVG = "http://www.w3.org/2000/svg";

/** An element; `on…` properties are listeners, null children are left out. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && name !== "role") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export function iconButton(name, label, onclick, properties = {}) {
  const given = { type: "button", className: "icon-button", title: label, onclick, ...properties };
  return element("button", { ...given, "aria-label": label }, icon(name));
}

/** Puts the nodes into the parent, in order; those in place are not touched. */
export function arrange(parent, nodes) {
  nodes.forEach((node, index) => {
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
  while (parent.children.length > nodes.length) parent.lastElementChild.remove();
}

/** Makes the parent look like the fragment, and leaves alone what is the same already. */
export function patch(parent, fragment) {
  const fresh = [...fragment.childNodes];
  fresh.forEach((node, index) => {
    const there = parent.childNodes[index];
    if (!there) parent.append(node);
    else if (!there.isEqualNode(node)) there.replaceWith(node);
  });
  while (parent.childNodes.length > fresh.length) parent.lastChild.remove();
}
