// `@weir/client`: live queries of a Weir server over `graphql-ws`.
//
// | file          | what |
// |---|---|
// | `client.ts`   | `createClient`: subscriptions, iterators, mutations |
// | `live.ts`     | one subscription: what it was sent last, and where it goes on after a cut |
// | `mutation.ts` | one mutation under an idempotency key, repeated until its outcome is known |
// | `retry.ts`    | errors that say "not now" |
// | `iterate.ts`  | a subscription as an async iterator that never falls behind |
// | `patch.ts`    | JSON Patches that leave what they apply to as it is |
// | `share.ts`    | a new value with all parts of the old one that have not changed |
// | `document.ts` | documents, and the types that they carry |

export { createClient, type Client, type ClientOptions } from "./client.js";
export type { Document, Request, TypedDocument } from "./document.js";
export { EventsWaiting, EVENTS_WAITING_MAX } from "./iterate.js";
export type { Live, Sink } from "./live.js";
export { Refused, type Mutated, type MutationOptions } from "./mutation.js";
export { applyPatch, PatchMismatch, type Operation } from "./patch.js";
export { share } from "./share.js";
