// The steps of two runs side by side. Values in, values out.
//
// pair  {id, one, other, depth, isKept, differences}: spans that stand for the same step; null where
//       a run has none. isKept: the other run was forked after that step, and has it in its log.
//       differences: some of "missing", "status", "inputs", "outputs".

/** What two steps have in common: their place among their siblings does not have to be the same. */
function keysOf(nodes) {
  const seen = new Map();
  return nodes.map(({ span: { kind, name, step } }) => {
    // Models of replies may differ; tools of a step may come in any order.
    const key = kind === "think" ? `think ${step}` : `${kind} ${name}`;
    const times = seen.get(key) ?? 0;
    seen.set(key, times + 1);
    return `${key} ${times}`;
  });
}

/** Siblings of the one, each with its match; those that only the other has come after what they
 * come after there. */
function siblings(ones, others) {
  const names = keysOf(ones);
  const known = new Set(names);
  const after = new Map(); // What only the other has, by what it comes after; null: the start.
  const matches = new Map();
  let before = null;
  keysOf(others).forEach((name, place) => {
    if (known.has(name)) {
      matches.set(name, others[place]);
      before = name;
      return;
    }
    if (!after.has(before)) after.set(before, []);
    after.get(before).push([null, others[place]]);
  });
  const rest = (name) => after.get(name) ?? [];
  const paired = names.map((name, place) => [[ones[place], matches.get(name) ?? null], ...rest(name)]);
  return [...rest(null), ...paired.flat()];
}

/** The pairs of two forests (see `forest.js`), from top to bottom. `fork`: the step of the one run
 * from which the other ran again; 0: it did not. */
export function pairsOf(ones, others, fork = 0) {
  const found = [];
  const waiting = siblings(ones, others).toReversed();
  while (waiting.length) {
    const [one, other] = waiting.pop();
    const { span, depth } = one ?? other;
    const isKept = !other && one.span.step < fork;
    const spans = { one: one?.span ?? null, other: other?.span ?? null };
    found.push({ id: span.span_id, ...spans, depth, isKept, differences: differencesOf(spans, isKept) });
    waiting.push(...siblings(one?.children ?? [], other?.children ?? []).toReversed());
  }
  return found;
}

const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);

/** Without the ids that each run gives its calls. */
function withoutIds(value) {
  if (Array.isArray(value)) return value.map(withoutIds);
  if (value === null || typeof value !== "object") return value;
  const kept = Object.entries(value).filter(([name]) => name !== "tool_call_id");
  return Object.fromEntries(kept.map(([name, each]) => [name, name === "tool_calls" ? callsIn(each) : withoutIds(each)]));
}

const callsIn = (calls) => calls.map(({ id, ...call }) => withoutIds(call));

function differencesOf({ one, other }, isKept) {
  if (!one || !other) return isKept ? [] : ["missing"];
  const found = [];
  if (one.status !== other.status) found.push("status");
  if (!same(withoutIds(one.inputs), withoutIds(other.inputs))) found.push("inputs");
  if (!same(withoutIds(one.outputs), withoutIds(other.outputs))) found.push("outputs");
  return found;
}

/** The next pair after `place` that differs, from the beginning again after the last; -1: none. */
export function nextDifference(pairs, place) {
  for (let step = 1; step <= pairs.length; step += 1) {
    const at = (place + step + pairs.length) % pairs.length;
    if (pairs[at].differences.length) return at;
  }
  return -1;
}
