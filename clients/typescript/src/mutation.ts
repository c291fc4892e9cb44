// One mutation under an idempotency key, repeated until its outcome is known.
//
// All attempts carry the same key, also those that graphql-ws makes by itself after a cut: the server runs each root field
// once and returns its first outcome again.

import type { FormattedExecutionResult } from "graphql-ws";
import type { GraphQLFormattedError } from "graphql";

import { sleep, waitFor } from "./retry.js";

/** What came of a mutation. */
export interface Mutated<Data> {
  data: Data | null;
  /** There where a field failed. */
  errors?: readonly GraphQLFormattedError[];
  /** The newest commit that it made, as a decimal string. */
  commit?: string;
}

/** How a mutation is made. */
export interface MutationOptions {
  /** One of your own, of at most 255 bytes, where the same mutation may be made again by another page or after a restart. */
  idempotencyKey?: string;
  /** How often it is tried where the server says that another try may do. 6 unless told. */
  attempts?: number;
  /** Gives up waiting. What was sent may still happen. */
  signal?: AbortSignal;
}

/** A document or variables that the server refused: nothing has run. */
export class Refused extends Error {
  override name = "Refused";
  constructor(readonly errors: readonly GraphQLFormattedError[]) {
    super(errors.map((error) => error.message).join("; "));
  }
}

const ATTEMPTS_MAX = 6;

/** Makes attempts until one of them tells the outcome. */
export async function mutate<Data>(
  attempt: (signal: AbortSignal | undefined) => Promise<FormattedExecutionResult<Data>>,
  options: MutationOptions,
): Promise<Mutated<Data>> {
  const attempts = options.attempts ?? ATTEMPTS_MAX;
  for (let made = 1; ; made++) {
    const outcome = await attempt(options.signal).catch((error: unknown) => {
      if (error instanceof Refused) return error;
      throw error;
    });
    const wait = made < attempts ? waitFor(outcome.errors, made) : undefined;
    if (wait !== undefined) {
      await sleep(wait, options.signal);
      continue;
    }
    if (outcome instanceof Refused) throw outcome;
    const { data, errors, extensions } = outcome;
    const commit = (extensions?.["weir"] as { commit?: string } | undefined)?.commit;
    return { data: data ?? null, ...(errors === undefined ? {} : { errors }), ...(commit === undefined ? {} : { commit }) };
  }
}

/** A new key: 128 random bits. `crypto.randomUUID` is missing on pages that came over plain HTTP. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
