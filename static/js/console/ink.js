// The page's colours for canvases, which know no variables of style sheets.

const NAMES = ["accent", "accent-soft", "line", "muted", "bad", "warn"];
const ink = {};
const drawings = new Set();
const probe = document.createElement("span");

function mix() {
  for (const name of NAMES) {
    probe.style.color = `var(--${name})`;
    ink[name] = getComputedStyle(probe).color;
  }
  for (const draw of drawings) draw();
}

export const colour = (name) => ink[name];

/** Calls it whenever the colours change, until the returned function is called. */
export function onChange(draw) {
  drawings.add(draw);
  return () => drawings.delete(draw);
}

probe.hidden = true;
document.body.append(probe);
new MutationObserver(mix).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", mix);
mix();
