// The steps of a run as trees, and what a waterfall shows of them. Values in, values out.
//
// node  {span, children, parent, depth, hasFailed}; hasFailed: it failed, or something below it did

const FAILED = new Set(["error", "cut_off", "unknown"]);
const TOLERANCE_MS = 1; // Times are whole milliseconds: one step may seem to begin before the end of another.

export const isFailed = (span) => FAILED.has(span.status);

export const isOpen = (span) => span.status === "running" || span.status === "waiting";

const startOf = (span) => Date.parse(span.started_at);

/** When it ended, in milliseconds; `now` while it is open. */
export function endOf(span, now) {
  if (span.ended_at) return Date.parse(span.ended_at);
  return isOpen(span) ? Math.max(now, startOf(span)) : startOf(span);
}

/** The roots, in the order in which they are given; a span whose parent is unknown is one. */
export function plant(spans) {
  const nodes = new Map();
  for (const span of spans) {
    nodes.set(span.span_id, { span, children: [], parent: null, depth: 0, hasFailed: false });
  }
  const roots = [];
  for (const node of nodes.values()) {
    const parent = nodes.get(node.span.parent_span_id);
    node.parent = parent && parent !== node ? parent : null;
    (node.parent?.children ?? roots).push(node);
  }
  const waiting = [...roots];
  while (waiting.length) {
    const node = waiting.pop();
    for (const child of node.children) {
      child.depth = node.depth + 1;
      waiting.push(child);
    }
    for (let at = isFailed(node.span) ? node : null; at && !at.hasFailed; at = at.parent) {
      at.hasFailed = true;
    }
  }
  return roots;
}

/**
 * The nodes that are seen, from top to bottom. `collapsed`: ids of those whose children are not;
 * `words`: only spans that contain them and what is above those; `errorsFirst`: among siblings.
 */
export function rowsOf(roots, { collapsed = new Set(), words = "", errorsFirst = false } = {}) {
  const rows = [];
  const wanted = words ? matching(roots, words.toLowerCase()) : null;
  const order = (nodes) =>
    errorsFirst ? nodes.toSorted((one, other) => other.hasFailed - one.hasFailed) : nodes;
  const waiting = order(roots).toReversed();
  while (waiting.length) {
    const node = waiting.pop();
    if (wanted && !wanted.has(node)) continue;
    rows.push(node);
    if (!wanted && collapsed.has(node.span.span_id)) continue;
    waiting.push(...order(node.children).toReversed());
  }
  return rows;
}

function matching(roots, words) {
  const found = new Set();
  const waiting = [...roots];
  while (waiting.length) {
    const node = waiting.pop();
    waiting.push(...node.children);
    const { name, status, error, inputs, outputs, attributes } = node.span;
    const said = [name, status, error, ...[inputs, outputs, attributes].map((each) => JSON.stringify(each))];
    if (!said.join(" ").toLowerCase().includes(words)) continue;
    for (let at = node; at && !found.has(at); at = at.parent) found.add(at);
  }
  return found;
}

/**
 * The ids of what the run waited for: back from its end, each time the last to end; and so within
 * each tool, by the parts of its work that were recorded.
 */
export function criticalPath(spans, now) {
  const isPart = ({ kind }) => kind === "work";
  const parts = Map.groupBy(spans.filter(isPart), (span) => span.parent_span_id);
  const path = new Set();
  const waiting = [spans.filter((span) => !isPart(span))];
  while (waiting.length) {
    for (const { span_id: id } of backFromTheEnd(waiting.pop(), now)) {
      if (!path.has(id) && parts.has(id)) waiting.push(parts.get(id));
      path.add(id);
    }
  }
  return path;
}

function backFromTheEnd(spans, now) {
  const byEnd = spans.toSorted((one, other) => endOf(other, now) - endOf(one, now));
  const found = [];
  let before = Infinity;
  for (const span of byEnd) {
    if (endOf(span, now) > before + TOLERANCE_MS) continue;
    found.push(span);
    before = startOf(span);
  }
  return found;
}

/** From when to when there is something to see, in milliseconds. Never empty. */
export function timeOf(trace, spans, now) {
  let from = Date.parse(trace.started_at);
  let to = trace.ended_at ? Date.parse(trace.ended_at) : now;
  for (const span of spans) {
    from = Math.min(from, startOf(span));
    to = Math.max(to, endOf(span, now));
  }
  return { from, to: Math.max(to, from + 1) };
}

/** Where a bar is within a time, as parts of it: {left, width}; null if outside. */
export function barOf(span, time, now) {
  const whole = time.to - time.from;
  const from = Math.max(startOf(span), time.from);
  const to = Math.min(endOf(span, now), time.to);
  if (to < time.from || from > time.to) return null;
  return { left: (from - time.from) / whole, width: Math.max(0, to - from) / whole };
}

/** The time zoomed around a moment, which stays where it is; within `all`. */
export function zoomed(time, all, factor, around) {
  const most = all.to - all.from;
  const length = Math.min(most, Math.max(Math.min(1, most), (time.to - time.from) / factor));
  const part = (around - time.from) / (time.to - time.from);
  const wish = around - length * Math.min(1, Math.max(0, part));
  const from = Math.min(Math.max(wish, all.from), all.to - length);
  return { from, to: from + length };
}

/** The first after `place` that failed, from the beginning again after the last; -1 if none did. */
export function nextFailed(rows, place) {
  for (let step = 1; step <= rows.length; step += 1) {
    const at = (place + step + rows.length) % rows.length;
    if (isFailed(rows[at].span)) return at;
  }
  return -1;
}
