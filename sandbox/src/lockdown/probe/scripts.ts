import { action, query } from "weir";

/** Allocates far more than the heap holds, keeps little of it. */
export const fillHeap = query((): number => {
  let kept: number[][] = [];
  for (let round = 0; round < 300; round++) {
    kept.push(new Array(100_000).fill(round));
    if (kept.length > 20) kept = kept.slice(-20);
  }
  return kept.length;
});

/** A loop that is worth compiling. */
export const warmUp = query((): number => {
  let sum = 0;
  for (let round = 0; round < 200; round++) {
    sum = 0;
    for (let i = 0; i < 10_000; i++) sum += i;
  }
  return sum;
});

/** Often enough for the expression to be compiled. */
export const matchText = query((): string => {
  let host = "";
  for (let round = 0; round < 1_000; round++) {
    host = /^(?<name>[a-z.]+)@(?<host>\w+)\.(com|org)$/u.exec("ada.l@example.org")?.groups?.["host"] ?? "";
  }
  return host;
});

export const formatNumber = query((): string => new Intl.NumberFormat("de").format(1234.5));

export const multiply = query((): string => (2n ** 1_000n).toString().slice(0, 30));

export const overflow = query((): string => {
  const deeper = (depth: number): number => deeper(depth + 1) + 1;
  try {
    return `${deeper(0)}`;
  } catch (error) {
    return (error as Error).name;
  }
});

export const wait = action(async (): Promise<number> => {
  const parts = await Promise.all([1, 2].map(async (part) => part));
  return parts.reduce((sum, part) => sum + part, 0);
});
