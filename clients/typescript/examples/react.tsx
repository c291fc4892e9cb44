import { useMemo, useSyncExternalStore } from "react";
import type { Client, Live, Request } from "@weir/client";

/** The value of a subscription, undefined until the first has come. `request` must be the same object while it is meant. */
export function useLive<Data, Variables>(client: Client, request: Request<Data, Variables>): Live<Data> | undefined {
  const store = useMemo(() => {
    let live: Live<Data> | undefined;
    return {
      get: () => live,
      subscribe: (changed: () => void) =>
        client.subscribe(request, {
          next: (next) => ((live = next), changed()),
          error: (error) => console.error(error),
          complete: () => {},
        }),
    };
  }, [client, request]);
  return useSyncExternalStore(store.subscribe, store.get, store.get);
}
