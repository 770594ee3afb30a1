// Colours for code in answers. The library is loaded with the first piece of code.
//
// It turns the code into markup, which passes DOMPurify like all markup here.

import DOMPurify from "../../vendor/dompurify/dompurify.js";

const LANGUAGES =
  "bash c cpp csharp css diff go ini java javascript json kotlin markdown php python ruby rust sql " +
  "typescript xml yaml";
const LIBRARY = "../../vendor/highlight";
const LONGEST = 30_000; // Characters; a longer text costs more time than its colours are worth.
const POLICY = { ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"], RETURN_DOM_FRAGMENT: true };

let library = null;
let coming = null;

async function load() {
  const names = LANGUAGES.split(" ");
  const modules = names.map((name) => import(`${LIBRARY}/languages/${name}.js`));
  const { default: highlighter } = await import(`${LIBRARY}/core.js`);
  for (const [place, { default: language }] of (await Promise.all(modules)).entries()) {
    highlighter.registerLanguage(names[place], language);
  }
  library = highlighter;
}

function paint(code, language) {
  if (!library.getLanguage(language)) return;
  const { value } = library.highlight(code.textContent, { language, ignoreIllegals: true });
  code.replaceChildren(DOMPurify.sanitize(value, POLICY));
}

/** Colours an element's text, now or once the library is loaded, if its language is known. */
export function highlight(code, language) {
  if (!language || code.textContent.length > LONGEST) return;
  if (library) {
    paint(code, language);
    return;
  }
  coming ??= load();
  coming.then(
    () => paint(code, language),
    () => (coming = null), // The server is away: the next piece of code tries again.
  );
}
