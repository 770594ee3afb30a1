// The colours: as the system, light, dark. What was chosen is applied before the first paint by
// ../theme.js.

import { icon } from "./dom.js";
import { say } from "./page.js";

const ORDER = ["auto", "light", "dark"];
const KEY = "myagent.theme";

export function setUpTheme(button, storage) {
  let theme = document.documentElement.dataset.theme ?? "auto";

  function show() {
    const label = say(`theme_${theme}`);
    button.replaceChildren(icon(`theme-${theme}`));
    button.setAttribute("aria-label", label);
    button.title = label;
  }

  button.addEventListener("click", () => {
    theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    storage.set(KEY, theme);
    show();
  });
  show();
}
