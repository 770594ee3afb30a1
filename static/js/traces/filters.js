// The filters of the list: in the form, in the page's address, and in what the site is asked for.

const LIMITS = ["hours", "min_duration_ms", "min_cost"];
const NAMES = ["service", "status", ...LIMITS, "feedback", "text", "session_id"];
export const HOUR_MS = 3600000;

/** Those that the address names. */
export function filtersIn(search) {
  const given = new URLSearchParams(search);
  const found = NAMES.map((name) => [name, given.get(name)?.trim() ?? ""]);
  return Object.fromEntries(found.filter(([, value]) => value !== ""));
}

/** The address's query; what is no filter of ours stays. */
export function queryWith(search, filters) {
  const query = new URLSearchParams(search);
  for (const name of NAMES) query.delete(name);
  for (const [name, value] of Object.entries(filters)) query.set(name, value);
  return query.size ? `?${query}` : "";
}

/** What the site is asked for. */
export function asked({ hours, ...filters }, now) {
  const length = Number(hours) * HOUR_MS;
  return length > 0 ? { ...filters, since: new Date(now - length).toISOString() } : filters;
}

export class FilterForm {
  #form;
  #rest = {};

  /** `changed(filters)` is called when a person has changed something. */
  constructor(form, clear, changed) {
    this.#form = form;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", () => changed(this.value));
    clear.addEventListener("click", () => {
      this.show({});
      changed({});
    });
  }

  get value() {
    const given = { ...this.#rest };
    for (const [name, value] of new FormData(this.#form)) {
      if (value.trim() && this.#form.elements[name].validity.valid) given[name] = value.trim();
    }
    return given;
  }

  show(filters) {
    this.#rest = filters.session_id ? { session_id: filters.session_id } : {};
    for (const field of this.#form.elements) {
      if (field.name) field.value = filters[field.name] ?? "";
    }
  }
}
