import { query, type JSON } from "weir";

const date = /(?<year>\d{4})-(?<month>\d{2})/u;
const slashes = /[/\]]\/(?:a|b)+?/gimsuy as RegExp;
const sets = /[\p{L}--[a-z]]/v;
const indices = /a(b)?/d;

export const groups = query((): JSON => ({ ...date.exec("on 2026-11-24")!.groups! }));
export const flags = query((): JSON => [date.flags, slashes.flags, sets.flags, indices.flags, slashes.source, /\//.source, /[/]/.source, /(?:)/.source]);
export const matches = query((): JSON => [sets.test("a"), sets.test("Ä"), indices.exec("ab")!.indices![1]!, "a/b".split(/\//), /\u{1F600}/u.test("😀"), /😀/u.test("\u{1F600}"), /[é\n\t\x41\cA]/.test("A")]);
export const divisions = query((): JSON => {
  const a = 8, b = 2, g = 1;
  const divided = a / b / g;
  const after = (a) / b / g;
  const block = [1].map((x) => { return x } ) /b/g as any;
  const typed = (a as number) /b/ g;
  const nonNull = a! / b / g;
  return [divided, after, String(block), typed, nonNull];
});
export const replaced = query((): JSON => ["a-b".replace(/(?<l>\w)-(?<r>\w)/, "$<r>-$<l>"), "x\u2028y".split(/\u2028/), "aB".replace(/(?i:b)/, "!"), /^.$/s.test("\n"), /(?<=\$)\d+/.exec("$42")![0]]);
export const duplicates = query((): JSON => ({ ...(/(?<y>\d{4})-\d\d|\d\d-(?<y>\d{4})/.exec("11-2026")!.groups!) }));
