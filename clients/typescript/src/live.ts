// One subscription: what it was sent last, and where it goes on after a cut.
//
// The cursor of the last value stands in the payload, which graphql-ws writes anew whenever it subscribes again. After an
// error there is none: the server would send nothing as long as the value is still the one before the error.
// What the server cannot serve now is asked for again later.

import type { Client, FormattedExecutionResult } from "graphql-ws";
import type { GraphQLFormattedError } from "graphql";

import type { Payload } from "./document.js";
import { applyPatch, PatchMismatch, type Operation } from "./patch.js";
import { sleep, waitFor } from "./retry.js";
import { share } from "./share.js";

/** What came of a subscription: the whole value as of one commit. Never changed after it was handed out. */
export interface Live<Data> {
  /** The value. Parts that are as they were before are the same objects as before. */
  data: Data | null;
  /** There where the value could not be computed, or only in part. Another one may follow. */
  errors?: readonly GraphQLFormattedError[];
  /** The commit that it is of, as a decimal string. */
  commit?: string;
  /** What this client sends to go on from here. Events of streams have none. */
  cursor?: string;
  /** Of a view that is computed now and then: how many milliseconds ago. */
  ageMs?: number;
}

/** Who gets it. */
export interface Sink<Data> {
  next(live: Live<Data>): void;
  /** The end, as graphql-ws tells it: `GraphQLError`s where the document was refused, an `Error`, or a `CloseEvent`. */
  error(error: unknown): void;
  /** The end of a stream, or of a subscription that was given up. */
  complete(): void;
}

/** `extensions.weir` of a message. */
interface WeirExtensions {
  cursor?: string;
  commit?: string;
  ageMs?: number;
  patch?: readonly Operation[];
}

/** Watches until the function that it gives is called, or `closed` is given. */
export function watch<Data>(socket: Client, payload: Payload, sink: Sink<Data>, closed: AbortSignal): () => void {
  const weir = payload.extensions.weir;
  let last: unknown;
  let refusals = 0;
  let stop = () => {};
  /** Set where this has come to an end before graphql-ws tells of it. */
  let ended = false;

  const next = (message: FormattedExecutionResult<Data>) => {
    const { cursor, commit, ageMs, patch } = (message.extensions?.["weir"] ?? {}) as WeirExtensions;
    const { errors } = message;
    refusals = 0;
    last = patch === undefined ? share(last, message.data ?? null) : applyPatch(last, patch);
    if (cursor === undefined || errors !== undefined) delete weir["after"];
    else weir["after"] = cursor;
    sink.next({
      data: last as Data | null,
      ...(errors === undefined ? {} : { errors }),
      ...(commit === undefined ? {} : { commit }),
      ...(cursor === undefined ? {} : { cursor }),
      ...(ageMs === undefined ? {} : { ageMs }),
    });
  };

  const fail = (error: unknown) => {
    ended = true;
    stop();
    sink.error(error);
  };

  /** Subscribes again after a while. Unsubscribing and the end of the client end the wait. */
  const wait = (ms: number) => {
    const waiting = new AbortController();
    const end = () => waiting.abort();
    stop = end;
    closed.addEventListener("abort", end, { once: true });
    sleep(ms, waiting.signal)
      .then(begin, () => sink.complete())
      .finally(() => closed.removeEventListener("abort", end));
  };

  const begin = () => {
    stop = socket.subscribe<Data>(payload, {
      next(message) {
        if (ended) return;
        try {
          next(message as FormattedExecutionResult<Data>);
        } catch (error) {
          if (!(error instanceof PatchMismatch)) throw error;
          fail(error);
        }
      },
      error(error) {
        if (ended) return;
        const ms = Array.isArray(error) ? waitFor(error, ++refusals) : undefined;
        if (ms === undefined || closed.aborted) fail(error);
        else wait(ms);
      },
      complete: () => void (ended || sink.complete()),
    });
  };
  begin();
  return () => stop();
}
