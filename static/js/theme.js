// Before the first paint: the colours that were chosen, if not the system's. See chat/theme.js.
try {
  const chosen = localStorage.getItem("myagent.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be forbidden; then the system's colours are right.
}
