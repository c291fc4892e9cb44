/** How names are compared: "São Paulo" is found as "sao paulo". */
export function folded(name: string): string {
  return name.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/** The names that start with a prefix, as a range. No name holds the last code point of all. */
export function startingWith(prefix: string): { gte: string; lt: string } {
  return { gte: prefix, lt: `${prefix}\u{10ffff}` };
}
