// Errors that say "not now", and how long to wait after them.

import type { GraphQLFormattedError } from "graphql";

/** The first wait; each further one is twice as long, up to the longest. The server may ask for more. */
const WAIT_FIRST_MS = 200;
const WAIT_MAX_MS = 10_000;

/** Codes of errors that say nothing about what was asked: another try may do. */
const PASSING = new Set<unknown>(["UNAVAILABLE", "OUTCOME_UNKNOWN", "RATE_LIMITED"]);

/** How long to wait before another try, in milliseconds, after so many. Undefined: it would end in the same way. */
export function waitFor(errors: readonly GraphQLFormattedError[] | undefined, made: number): number | undefined {
  const passing = errors?.filter((error) => PASSING.has(error.extensions?.["code"]));
  if (passing === undefined || passing.length === 0) return undefined;
  const asked = passing.map((error) => Number(error.extensions?.["retryAfterMs"] ?? 0));
  const own = Math.min(WAIT_MAX_MS, WAIT_FIRST_MS * 2 ** (made - 1));
  return Math.max(...asked, own * (0.5 + Math.random() / 2));
}

/** Waits so long, or rejects as soon as the signal is given. */
export function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
