// Logs and errors as they may be shown: what agents and their libraries wrote is for terminals.

// Colours, movements, titles (ECMA-48).
const ESCAPES =
  /\u001b\][^\u0007\u001b\n]*(?:\u0007|\u001b\\)?|[\u001b\u009b]\[?[0-?]*[ -/]*[@-~]/g;

// All but newline and tab; and what would show a text in another order than it has.
const CONTROLS =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** The text without what would control a terminal, or reorder it. */
export function readable(text) {
  return text.replace(ESCAPES, "").replace(CONTROLS, "");
}
