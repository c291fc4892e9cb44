import { fail, procedure, query, type Int } from "weir";
import { counters } from "../collections";

/** Makes counters at zero. */
export const addCounters = procedure((args: { names: string[] }): Int => {
  for (const name of args.names) counters.insert({ name, value: 0 });
  return args.names.length;
});

/** Adds one to a counter: what it has come to. */
export const increment = procedure((args: { name: string }): Int => {
  const counter = counters.where("name", args.name).first();
  if (!counter) fail("NO_COUNTER", "add it with addCounters first");
  return counters.patch(counter.id, { value: counter.value + 1 }).value;
});

/** All counters together. */
export const counted = query((): Int => counters.all().reduce((sum, counter) => sum + counter.value, 0));
