// Streams that do not end, do not go on, hoard, or do not let go. A value is the list of the first three events; the caller goes
// away after them.

import { stream, type Doc, type Int, type JSON as Json } from "weir";
import { things, type Thing } from "../collections";

/** @expects value [0, 1, 2] */
export const yieldsForEver = stream(async function* (): AsyncGenerator<Int> {
  for (let n = 0; ; n += 1) yield n;
});

/** @expects value [0, 0, 0] */
export const yieldsWhatIsYieldedForEver = stream(async function* (): AsyncGenerator<Int> {
  async function* endless(): AsyncGenerator<Int> {
    for (;;) yield 0;
  }
  async function* through(): AsyncGenerator<Int> {
    yield* endless();
  }
  yield* through();
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const neverYields = stream(async function* (): AsyncGenerator<Int> {
  for (;;);
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const awaitsForEver = stream(async function* (): AsyncGenerator<Int> {
  yield 1;
  for (;;) await null;
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const worksBehindItsBack = stream(async function* (): AsyncGenerator<Int> {
  void (async () => {
    for (;;) await null;
  })();
  for (;;) yield 1;
});

/** @expects FUNCTION_FAILED waits for a promise that nothing can settle */
export const waitsForNothing = stream(async function* (): AsyncGenerator<Int> {
  yield 1;
  await new Promise(() => {});
});

/** @expects value [1, 2, 3] */
export const leavesPromisesPending = stream(async function* (): AsyncGenerator<Int> {
  const hoard: unknown[] = [];
  for (let n = 1; ; n += 1) {
    hoard.push(new Promise(() => {}).then(() => things.all()));
    yield n;
  }
});

/** @expects FUNCTION_FAILED left a rejected promise that nothing awaited */
export const rejectsUnheard = stream(async function* (): AsyncGenerator<Int> {
  yield 1;
  void Promise.reject(new Error("unheard"));
  for (;;) yield 2;
});

/** @expects LIMIT_EXCEEDED result_bytes */
export const yieldsHugeText = stream(async function* (): AsyncGenerator<string> {
  yield "x";
  yield "x".repeat(2 ** 19);
});

/** @expects LIMIT_EXCEEDED result_bytes
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @expects FUNCTION_FAILED Invalid string length */
export const yieldsABillionLaughs = stream(async function* (): AsyncGenerator<Json> {
  let list: unknown[] = ["ha"];
  for (let i = 0; i < 40; i += 1) list = [list, list];
  yield list as Json;
});

/** @expects LIMIT_EXCEEDED result_depth */
export const yieldsDepth = stream(async function* (): AsyncGenerator<Json> {
  let list: unknown[] = [];
  for (let i = 0; i < 5_000; i += 1) list = [list];
  yield list as Json;
});

/** @expects FUNCTION_FAILED yielded the wrong shape */
export const yieldsSomethingElse = stream(async function* (): AsyncGenerator<Int> {
  yield 1;
  yield "two" as unknown as Int;
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const hoardsFromEventToEvent = stream(async function* (): AsyncGenerator<Int> {
  const hoard: unknown[] = [];
  for (let n = 0; ; n += 1) {
    for (let i = 0; i < 3_000; i += 1) hoard.push(new Array(500).fill(i));
    yield n;
  }
});

/** @expects LIMIT_EXCEEDED array_buffer_bytes */
export const hoardsBuffers = stream(async function* (): AsyncGenerator<Int> {
  const hoard: unknown[] = [];
  for (let n = 0; ; n += 1) {
    hoard.push(new Uint8Array(7_000_000));
    yield n;
  }
});

/** @expects LIMIT_EXCEEDED host_calls */
export const asksForEver = stream(async function* (): AsyncGenerator<Int> {
  yield 1;
  for (;;) things.where("size", -1).take(1);
});

/** What one event may read is not all that a stream may.
 * @expects value [100, 100, 100] */
export const readsAgainAndAgain = stream(async function* (): AsyncGenerator<Int> {
  for (;;) yield things.all().length;
});

/** @expects LIMIT_EXCEEDED documents_read */
export const readsTooMuchForAnEvent = stream(async function* (): AsyncGenerator<Int> {
  yield things.all().length;
  yield things.all().length + things.all().length;
});

/** @expects FUNCTION_FAILED which only a procedure may */
export const writes = stream(async function* (): AsyncGenerator<Int> {
  yield 1;
  things.delete(things.all()[0]!.id);
});

/** @expects value [1, 1, 1] */
export const throwsAtItsEnd = stream(async function* (): AsyncGenerator<Int> {
  try {
    for (;;) yield 1;
  } finally {
    throw new Error("at the end");
  }
});

/** @expects value [1, 1, 1] */
export const ignoresThatItIsOver = stream(async function* (): AsyncGenerator<Int> {
  for (;;) {
    try {
      for (;;) yield 1;
    } finally {
      continue;
    }
  }
});

/** @expects value [1, 1, 1] */
export const computesAtItsEnd = stream(async function* (): AsyncGenerator<Int> {
  try {
    for (;;) yield 1;
  } finally {
    for (;;);
  }
});

/** @expects value [1, 1, 1] */
export const waitsAtItsEnd = stream(async function* (): AsyncGenerator<Int> {
  try {
    for (;;) yield 1;
  } finally {
    await new Promise(() => {});
  }
});

/** @expects value [1, 1, 1]
 * @thread a built-in that does not look whether it is to stop */
export const isDeafAtItsEnd = stream(async function* (): AsyncGenerator<Int> {
  try {
    for (;;) yield 1;
  } finally {
    Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1);
  }
});

/** @expects FUNCTION_FAILED not extensible
 * @expects FUNCTION_FAILED read only
 * @expects FUNCTION_FAILED Cannot */
export const poisonsGenerators = stream(async function* (): AsyncGenerator<Int> {
  yield 1;
  const shared = Object.getPrototypeOf(Object.getPrototypeOf((async function* () {})()));
  shared.next = () => Promise.resolve({ value: 7, done: false });
  yield 2;
});

/** What its inner generator does when it is told to return is its own time.
 * @expects value [1, 2, 3] */
export const pretendsToBeAnother = stream(async function* (): AsyncGenerator<Int> {
  const inner = (async function* () {
    yield 1;
    yield 2;
    yield 3;
  })();
  Object.defineProperty(inner, "return", { value: () => new Promise(() => {}) });
  yield* inner;
});

/** @expects value [[], [], []] */
export const yieldsRowsThatLie = stream(async function* (): AsyncGenerator<Doc<Thing>[]> {
  for (;;) yield things.where("size", -1);
});
