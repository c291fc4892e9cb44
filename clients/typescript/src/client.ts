// The client: graphql-ws, told to come back, with what Weir adds to its messages.

import {
  createClient as createSocketClient,
  type Client as SocketClient,
  type ClientOptions as SocketOptions,
  type FormattedExecutionResult,
} from "graphql-ws";
import type { GraphQLFormattedError } from "graphql";

import { payloadOf, type Request } from "./document.js";
import { iterate } from "./iterate.js";
import { watch, type Live, type Sink } from "./live.js";
import { mutate, newKey, Refused, type Mutated, type MutationOptions } from "./mutation.js";

/** Those of graphql-ws. It tries again for ever unless told otherwise. */
export type ClientOptions = SocketOptions;

/** A client of one Weir server, over one WebSocket. */
export interface Client {
  /**
   * Watches a query or view, or takes the events of a stream. What is called ends it.
   *
   * After a cut it goes on by itself: nothing comes until the value is another one than that which came last.
   */
  subscribe<Data = Record<string, any>, Variables = Record<string, unknown>>(
    request: Request<Data, Variables>,
    sink: Sink<Data>,
  ): () => void;
  /** The same for `for await`. Of values that come faster than they are taken it gives the newest. */
  iterate<Data = Record<string, any>, Variables = Record<string, unknown>>(
    request: Request<Data, Variables>,
  ): AsyncGenerator<Live<Data>, void, undefined>;
  /**
   * Makes a mutation once, whatever happens on the way: it is repeated with the same idempotency key until its outcome is
   * known. Rejects with [`Refused`] where the document was refused.
   */
  mutate<Data = Record<string, any>, Variables = Record<string, unknown>>(
    request: Request<Data, Variables>,
    options?: MutationOptions,
  ): Promise<Mutated<Data>>;
  /** The client of graphql-ws below: `on`, `terminate`. */
  readonly socket: SocketClient;
  /** Ends all subscriptions and closes the socket. */
  dispose(): Promise<void>;
}

/** A client of the server at `url`: `ws://HOST:PORT/graphql`. */
export function createClient(options: ClientOptions): Client {
  const socket = createSocketClient({ retryAttempts: Infinity, shouldRetry: () => true, ...options });
  const closed = new AbortController();

  const subscribe = <Data, Variables>(request: Request<Data, Variables>, sink: Sink<Data>): (() => void) => {
    const payload = payloadOf(request, { delta: "json-patch" });
    return watch<Data>(socket, payload, sink, closed.signal);
  };

  return {
    subscribe,
    iterate: <Data, Variables>(request: Request<Data, Variables>) =>
      iterate<Data>((sink) => subscribe(request, sink)),
    mutate: <Data, Variables>(request: Request<Data, Variables>, options: MutationOptions = {}) => {
      const payload = payloadOf(request, { idempotencyKey: options.idempotencyKey ?? newKey() });
      return mutate<Data>((signal) => once<Data>(socket, payload, signal), options);
    },
    socket,
    dispose: async () => {
      closed.abort();
      await socket.dispose();
    },
  };
}

/** The one result of an operation that is no subscription. */
function once<Data>(
  socket: SocketClient,
  payload: ReturnType<typeof payloadOf>,
  signal: AbortSignal | undefined,
): Promise<FormattedExecutionResult<Data>> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    let result: FormattedExecutionResult<Data> | undefined;
    const stop = () => {
      unsubscribe();
      reject(signal?.reason);
    };
    const ended = (settle: () => void) => {
      signal?.removeEventListener("abort", stop);
      settle();
    };
    const unsubscribe = socket.subscribe<Data>(payload, {
      next: (message) => void (result = message as FormattedExecutionResult<Data>),
      error: (error) =>
        ended(() => reject(Array.isArray(error) ? new Refused(error as GraphQLFormattedError[]) : error)),
      complete: () => ended(() => (result === undefined ? reject(new Error("the client was disposed")) : resolve(result))),
    });
    signal?.addEventListener("abort", stop, { once: true });
  });
}
