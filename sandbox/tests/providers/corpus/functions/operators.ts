import { query, type JSON } from "weir";

const t = true as boolean, f = false as boolean, n = null as number | null;

export const logical = query((): JSON => [t && f || t, t && (f || t), (n ?? 1) || 2, n ?? (0 || 3), !(t && f), !t || !f, (t || f) && f, t || f && f]);
export const assigning = query((): JSON => {
  let a: number | null = null, b = 1, c = 0;
  a ??= 5; b &&= 6; c ||= 7;
  a **= 2; a %= 7; b <<= 2; b >>>= 1; c ^= 3; c |= 8; c &= ~1;
  a = b = c += 1;
  return [a, b, c];
});
export const arithmetic = query((): JSON => [2 ** 3 ** 2, (2 ** 3) ** 2, 10 % 4 * 3, 10 * (4 % 3), 1 - (2 - 3), 1 - 2 - 3, 8 / (4 / 2), 1 + +"2", "1" + -2, (1 + 2) * 3, -(2 ** 2), (-2) ** 2, +(-"3"), 7 & 3 << 1 | 8 ^ 1]);
export const relational = query((): JSON => ["a" in { a: 1 }, !("a" in {}), [] instanceof Array, !([] instanceof Map), 1 < 2 === true, (1 < 2) as any < 3, typeof typeof 1, typeof (1 + 1), void 0 === undefined, (typeof n)!.length]);
export const updates = query((): JSON => { let i = 1; const a = i++ + ++i, b = i-- - --i, c = - -i, d = +i + +i, e = i - -i, g = i+ ++i, h = i- --i; return [a, b, c, d, e, g, h, i]; });
export const sequences = query((): JSON => { let x = 0; const y = (x++, x++, x); const z = [(1, 2), 3]; if ((x = 0, x)) return "no"; for (x = 0, x = 1; x < 1; x++, x++); return [x, y, z]; });
export const conditionals = query((): JSON => [t ? f ? 1 : 2 : 3, (t ? f : t) ? 4 : 5, t ? (1, 6) : 7, (t as boolean) ? n! ?? 8 : 9, f ? 1 : t ? 2 : 3, (f || t ? "a" : "b") + "c"]);
export const deletes = query((): JSON => { const o: Record<string, number> = { a: 1, b: 2 }; delete o.a; delete o["b" as string]; return o; });
