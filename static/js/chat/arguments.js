// The arguments of a tool as fields that a person can fill in, by their JSON schema. No elements.
//
// field  {name, kind, text, preset, isGiven, isNull, isRequired, isNullable, about, choices}
//        kind: "text", "whole", "number", "flag", "choice", "json"
//        text: the value as it is edited; of a choice the place of the value among `choices`
//        preset: what the tool takes where nothing is given, as text; empty if not known

import { parseExactly } from "../myagent.js";

const KINDS = { string: "text", integer: "whole", number: "number", boolean: "flag" };
const DEEPEST = 4; // Of references and alternatives within each other that are followed.
const WHOLE = /^[+-]?\d+$/;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

const DISGUISING = /[\u202A-\u202E\u2066-\u2069]/; // JSON has escapes for them.

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const isRaw = (value) => Boolean(JSON.isRawJSON?.(value));

/** An invalid input: `reason` is the name of a sentence, `field` the field with the input. */
export class Unreadable extends Error {
  constructor(field, reason, detail = "") {
    super(reason);
    Object.assign(this, { field, reason, detail });
  }
}

/** A schema with its reference resolved, and without the alternative null. */
function simplified(schema, root, depth = 0) {
  if (!isObject(schema) || depth > DEEPEST) return {};
  const name = /^#\/\$defs\/([^/]+)$/.exec(schema.$ref ?? "")?.[1];
  const target = name ? { ...root.$defs?.[name], ...schema, $ref: undefined } : schema;
  const some = target.anyOf ?? target.oneOf;
  if (!Array.isArray(some)) return target;
  const others = some.filter((each) => each?.type !== "null");
  if (others.length !== 1) return target;
  const { anyOf: _, oneOf: __, ...rest } = target;
  const isNullable = others.length < some.length;
  return { ...simplified(others[0], root, depth + 1), ...rest, isNullable };
}

function kindBySchema({ type, enum: choices }) {
  const isPlain = (value) => value === null || typeof value !== "object";
  if (Array.isArray(choices) && choices.length && choices.every(isPlain)) return "choice";
  return KINDS[Array.isArray(type) ? type.find((each) => each !== "null") : type] ?? "json";
}

function kindByValue(value) {
  if (isRaw(value)) return "number";
  return KINDS[Number.isInteger(value) ? "integer" : typeof value] ?? "json";
}

/** Whether a value can be edited as that kind without loss. */
function fits(kind, value, { choices, isNullable }) {
  if (value === undefined || kind === "json") return true;
  if (kind === "choice") return choices.includes(value);
  if (value === null) return isNullable;
  if (kind === "text") return typeof value === "string" && !DISGUISING.test(value);
  if (kind === "flag") return typeof value === "boolean";
  return typeof value === "number" || isRaw(value);
}

function textOf(kind, value, choices) {
  if (kind === "choice") return String(choices.indexOf(value));
  if (value === undefined || (value === null && kind !== "json")) return "";
  if (kind === "text") return value;
  return kind === "json" ? JSON.stringify(value, null, 2) : JSON.stringify(value);
}

/** The fields of these arguments: first those of the schema, then the others. */
export function fieldsOf(args, schema) {
  const root = isObject(schema) ? schema : {};
  const known = isObject(root.properties) ? root.properties : {};
  const names = [...new Set([...Object.keys(known), ...Object.keys(args)])];
  return names.map((name) => {
    const isGiven = Object.hasOwn(args, name);
    const value = isGiven ? args[name] : undefined;
    const own = Object.hasOwn(known, name) ? simplified(known[name], root) : null;
    const isNullable = own?.isNullable ?? (Array.isArray(own?.type) && own.type.includes("null"));
    const wanted = own ? kindBySchema(own) : kindByValue(value);
    const choices = wanted === "choice" ? choicesOf(own, isNullable) : [];
    const kind = fits(wanted, value, { choices, isNullable }) ? wanted : "json";
    const isRequired = Array.isArray(root.required) && root.required.includes(name);
    const about = typeof own?.description === "string" ? own.description : "";
    const text = textOf(kind, value, choices);
    const preset = presetOf(own?.default);
    const how = { isGiven, isNull: value === null, isRequired, isNullable };
    return { name, kind, text, preset, ...how, about, choices };
  });
}

function presetOf(value) {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function choicesOf({ enum: choices }, isNullable) {
  return isNullable && !choices.includes(null) ? [...choices, null] : choices;
}

/** The arguments that `texts` (a Map by the fields' names) stand for. Throws Unreadable. */
export function argumentsOf(fields, texts) {
  const args = {};
  for (const field of fields) {
    const text = texts.get(field.name);
    if (text === field.text && !field.isGiven) continue; // Left out, as it was.
    const value = valueOf(field, text);
    if (value !== undefined) defineOwn(args, field.name, value);
  }
  return args;
}

/** Also if it is called `__proto__`. */
function defineOwn(object, name, value) {
  const how = { value, enumerable: true, writable: true, configurable: true };
  Object.defineProperty(object, name, how);
}

function valueOf(field, text) {
  const { kind, choices, isNull, isRequired, isNullable } = field;
  if (kind === "text") return text === "" && isNull ? null : text;
  if (kind === "choice") return choices[Number(text)]; // -1: nothing is chosen.
  const trimmed = text.trim();
  if (trimmed === "" && isNullable) return null;
  if (trimmed === "" && !isRequired) return undefined;
  if (kind === "flag") return trimmed === "true";
  if (kind === "json") return jsonIn(field, trimmed);
  if (!(kind === "whole" ? WHOLE : NUMBER).test(trimmed)) {
    throw new Unreadable(field, kind === "whole" ? "not_whole" : "not_a_number");
  }
  return parseExactly(asJsonNumber(trimmed));
}

/** JSON allows no plus or zero before a number, and requires digits around its point. */
function asJsonNumber(text) {
  const [, sign, rest] = /^([+-]?)0*(?=\d|\.)(.*)$/.exec(text);
  const padded = rest.replace(/^(?=[.e]|$)/i, "0").replace(/\.(?=e|$)/i, "");
  return `${sign === "-" ? "-" : ""}${padded}`;
}

function jsonIn(field, text) {
  try {
    return parseExactly(text);
  } catch (error) {
    throw new Unreadable(field, "not_json", error.message);
  }
}

/** The object in a text. Throws Unreadable. */
export function objectIn(text) {
  const value = jsonIn(null, text);
  if (!isObject(value) || isRaw(value)) throw new Unreadable(null, "not_an_object");
  return value;
}
