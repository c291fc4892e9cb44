// Too much of what is allowed: log lines, reads, counts, writes, calls.

import { action, call, metric, procedure, query, type Doc, type Int, type JSON as Json } from "weir";
import { things, type Thing } from "../collections";
import { dawdle, sumTo } from "./neighbour";

/** @expects LIMIT_EXCEEDED log_bytes
 * @expects LIMIT_EXCEEDED host_calls */
export const logsForEver = query((): Int => {
  for (let i = 0; ; i += 1) console.log("a line of the log, again and again", i);
});

/** @expects LIMIT_EXCEEDED host_calls */
export const logsNothingForEver = query((): Int => {
  for (;;) console.log("");
});

/** @expects LIMIT_EXCEEDED log_bytes */
export const logsOneLongLine = query((): Int => {
  console.error("x".repeat(33_000));
  return 1;
});

/** @expects LIMIT_EXCEEDED log_bytes
 * @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const logsTheLongestLine = query((): Int => {
  console.log("x".repeat(2 ** 28));
  return 1;
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const logsAnEndlessObject = query((): Int => {
  console.log({
    toJSON: () => {
      for (;;);
    },
  });
  return 1;
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED log_bytes */
export const logsABillionLaughs = query((): Int => {
  let list: unknown[] = ["ha"];
  for (let i = 0; i < 40; i += 1) list = [list, list];
  console.log(list);
  return 1;
});

/** Control characters do not start lines of their own in the log.
 * @expects value 1 */
export const logsControlCharacters = query((): Int => {
  console.warn("one\n2026-11-24 ERROR forged\u001b[2J\u0000");
  return 1;
});

/** @expects value 1
 * @expects FUNCTION_FAILED */
export const logsOddValues = query((): Int => {
  const cycle: unknown[] = [];
  cycle.push(cycle);
  console.log(cycle, 1n, Symbol("s"), () => 1, undefined, null, new Map([[1, 2]]), Object.create(null));
  return 1;
});

/** @expects LIMIT_EXCEEDED metrics_emitted */
export const measuresForEver = procedure((): Int => {
  for (let i = 0; ; i += 1) metric("flood", i);
});

/** @expects LIMIT_EXCEEDED host_calls
 * @expects LIMIT_EXCEEDED log_bytes
 * @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects FUNCTION_FAILED */
export const measuresWithALongName = procedure((): Int => {
  for (let i = 0; ; i += 1) metric("x".repeat(2 ** 20), i);
});

/** @expects FUNCTION_FAILED procedures and actions only */
export const measuresInAQuery = query((): Int => {
  metric("flood", 1);
  return 1;
});

/** @expects FUNCTION_FAILED finite number */
export const measuresNaN = procedure((): Int => {
  metric("nan", NaN);
  return 1;
});

/** @expects LIMIT_EXCEEDED documents_read */
export const getsForEver = query((): Int => {
  for (;;) things.get("0123456789abcdefghjkmnpqrs");
});

/** @expects LIMIT_EXCEEDED documents_read */
export const readsEverythingAgain = query((): Int => {
  for (;;) things.orderBy("size").all();
});

/** @expects LIMIT_EXCEEDED documents_read */
export const readsEverythingAtOnce = query((): Int => {
  const all: Doc<Thing>[] = [];
  for (let i = 0; i < 5; i += 1) all.push(...things.all());
  return all.length;
});

/** @expects LIMIT_EXCEEDED documents_read */
export const pagesForEver = query((): Int => {
  for (;;) things.orderBy("size").page({ first: 10 });
});

/** @expects LIMIT_EXCEEDED documents_counted */
export const countsForEver = query((): Int => {
  for (;;) things.count();
});

/** @expects LIMIT_EXCEEDED host_calls */
export const countsNothingForEver = query((): Int => {
  for (;;) things.where("name", "no such name").count();
});

/** @expects LIMIT_EXCEEDED documents_written */
export const insertsForEver = procedure((): Int => {
  for (let i = 0; ; i += 1) things.insert({ name: "flood", size: i });
});

/** @expects LIMIT_EXCEEDED documents_written */
export const patchesForEver = procedure((): Int => {
  const { id } = things.insert({ name: "flood", size: 1 });
  for (let i = 0; ; i += 1) things.patch(id, { size: i });
});

/** @expects LIMIT_EXCEEDED documents_written */
export const deletesForEver = procedure((): Int => {
  for (;;) things.delete("0123456789abcdefghjkmnpqrs");
});

/** Each of them as large as a document may be.
 * @expects LIMIT_EXCEEDED written_bytes */
export const insertsLargeDocuments = procedure((): Int => {
  const data = "y".repeat(900_000);
  for (let i = 0; ; i += 1) things.insert({ name: "large", size: i, data });
});

/** @expects LIMIT_EXCEEDED written_bytes */
export const patchesALargeDocument = procedure((): Int => {
  const { id } = things.insert({ name: "large", size: 1, data: "x".repeat(20_000) });
  for (let i = 0; i < 30; i += 1) things.patch(id, { size: i });
  return 1;
});

/** @expects LIMIT_EXCEEDED read_bytes */
export const readsALargeDocument = procedure((): Int => {
  const { id } = things.insert({ name: "large", size: 1, data: "x".repeat(100_000) });
  return things.get(id)!.size + things.get(id)!.size;
});

/** @expects LIMIT_EXCEEDED read_bytes */
export const listsLargeDocuments = procedure((): Int => {
  for (let i = 0; i < 5; i += 1) things.insert({ name: "large", size: i, data: "x".repeat(40_000) });
  return things.where("name", "large").all().length;
});

/** @expects FUNCTION_FAILED
 * @expects LIMIT_EXCEEDED cpu_ms */
export const insertsTooLargeADocument = procedure((): Int => {
  things.insert({ name: "large", size: 1, data: "x".repeat(2_000_000) });
  return 1;
});

/** @expects FUNCTION_FAILED
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED heap_bytes */
export const insertsAVeryLargeDocument = procedure((): Int => {
  things.insert({ name: "large", size: 1, data: "x".repeat(2 ** 28) });
  return 1;
});

/** The refusals can be caught, the limit cannot.
 * @expects LIMIT_EXCEEDED documents_written */
export const catchesEveryRefusal = procedure((): Int => {
  for (;;) {
    try {
      things.insert({ name: 1 } as any);
    } catch {
      // Goes on.
    }
  }
});

/** Little time between the calls of the host, and none of them takes long.
 * @expects LIMIT_EXCEEDED cpu_ms */
export const spreadsItsTime = query((): Int => {
  let sum = 0;
  for (let i = 0; i < 140; i += 1) {
    things.where("name", "no such name").count();
    for (let j = 0; j < 20_000_000; j += 1) sum = (sum + j) | 0;
  }
  return sum;
});

/** @expects LIMIT_EXCEEDED host_calls
 * @expects LIMIT_EXCEEDED cpu_ms */
export const callsForEver = action(async (): Promise<Int> => {
  for (;;) await call(sumTo, { n: 3 });
});

/** Computes nothing and only waits.
 * @thread what the host does for an action counts as its CPU time there, so either limit may come first
 * @expects LIMIT_EXCEEDED wall_ms
 * @expects LIMIT_EXCEEDED host_calls
 * @expects LIMIT_EXCEEDED cpu_ms */
export const waitsForEver = action(async (): Promise<Int> => {
  for (;;) await call(dawdle);
});

/** Asks faster than anybody answers.
 * @expects LIMIT_EXCEEDED outstanding_promises */
export const callsWithoutWaiting = action(async (): Promise<Int> => {
  const all: Promise<Int>[] = [];
  for (let i = 0; i < 100; i += 1) all.push(call(dawdle) as any);
  return (await Promise.all(all)).length;
});

/** Answers may come as fast as it asks.
 * @expects LIMIT_EXCEEDED outstanding_promises
 * @expects LIMIT_EXCEEDED host_calls */
export const callsAndForgets = action(async (): Promise<Int> => {
  for (let i = 0; i < 300; i += 1) void (call(sumTo, { n: i }) as any).catch(() => {});
  await null;
  return 1;
});

/** @expects FUNCTION_FAILED
 * @expects LIMIT_EXCEEDED arguments_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const callsWithLargeArguments = action(async (): Promise<Int> => call(sumTo, { n: "x".repeat(2_000_000) } as any));

/** Each value is two bytes of text and many of memory for whoever reads it.
 * @expects LIMIT_EXCEEDED result_values */
export const returnsVeryManyValues = query((): Json => new Array(12_000).fill(0));
