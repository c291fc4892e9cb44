// Which page of a list is asked for, after the GraphQL cursor connections specification: of collections and of sorted views alike.

/** How many a page has unless it is said. The host knows it too. */
const PAGE_DEFAULT = 20;

/** How many, from which end, and the cursors that they lie between: null where there is none. */
export function pagingOf({ first = null, last = null, after = null, before = null }) {
  if (first !== null && last !== null) throw new TypeError("first and last stand together: say one of them");
  const fromLast = last !== null || (first === null && after === null && before !== null);
  return { size: first ?? last ?? PAGE_DEFAULT, from: fromLast ? "last" : "first", after, before };
}

/** Where a page stands: whether there are more beyond its size, and others on the other side of the cursor that it starts from. */
export function pageInfoOf({ from }, more, others, edges) {
  return {
    hasNextPage: from === "first" ? more : others,
    hasPreviousPage: from === "first" ? others : more,
    startCursor: edges[0]?.cursor ?? null,
    endCursor: edges.at(-1)?.cursor ?? null,
  };
}
