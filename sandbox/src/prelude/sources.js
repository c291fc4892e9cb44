// What a view that is maintained reads when it is computed as a whole, and how it gets from documents to elements.

import { shown } from "ext:weir/arguments.js";
import { Collection } from "ext:weir/collections.js";
import { Elements, originOf } from "ext:weir/elements.js";

/**
 * The collection that a source comes from, and `of`, which gives the elements of a document with where they are in it. `maker` is
 * what the source was passed to.
 */
export function sourceOf(source, maker) {
  const origin = originOf(source instanceof Collection ? new Elements(source, []) : source);
  if (origin === undefined) throw new TypeError(`${maker}(${shown(source)}, ...): pass a collection, or filter(...) or flatMap(...) of one`);
  return origin;
}

/** Every document, page by page in the order of their ids: a collection may be larger than the heap. */
export function* documentsOf(collection) {
  for (let after = null; ; ) {
    const { edges, pageInfo } = collection.page({ first: 1000, after });
    for (const { node } of edges) yield node;
    if (!pageInfo.hasNextPage) return;
    after = pageInfo.endCursor;
  }
}
