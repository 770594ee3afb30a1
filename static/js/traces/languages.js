// The links to a page in other languages keep what else is in its address.

export function keepQuery() {
  for (const link of document.querySelectorAll(".languages a")) {
    link.addEventListener("click", () => {
      const query = new URLSearchParams(location.search);
      query.set("lang", new URLSearchParams(link.search).get("lang"));
      link.search = query;
    });
  }
}
