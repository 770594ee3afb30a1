// The keys of a trace's page. In a field, keys write.

const LONG = 10; // Rows of a leap.

/** `does`: move(by), unfold(isOpening), open(), first(), last(), search(), nextError(), zoom(isIn), zoomAll(), close(). */
export function listenToKeys(grid, does) {
  const inGrid = {
    ArrowDown: () => does.move(1),
    ArrowUp: () => does.move(-1),
    PageDown: () => does.move(LONG),
    PageUp: () => does.move(-LONG),
    ArrowRight: () => does.unfold(true),
    ArrowLeft: () => does.unfold(false),
    Home: does.first,
    End: does.last,
    Enter: does.open,
  };
  const anywhere = {
    "/": does.search,
    e: does.nextError,
    "+": () => does.zoom(true),
    "-": () => does.zoom(false),
    0: does.zoomAll,
    Escape: does.close,
  };
  document.addEventListener("keydown", (event) => {
    const { key, target, ctrlKey, metaKey, altKey } = event;
    if (ctrlKey || metaKey || altKey) return;
    const isField = target.matches("input, textarea, select");
    if (isField && key !== "Escape") return;
    const act = (target === grid && inGrid[key]) || anywhere[key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
