// What the neighbours call meanwhile, and what is called after each script. Nothing here is hostile.

import { action, call, procedure, query, stream, type Doc, type ID, type Int, type JSON as Json } from "weir";
import { notes, things, type Note } from "../collections";

/** Called by what is to run each time: a result that has looked at randomness is not kept. */
const runs = (): void => void Math.random();

export const sumTo = query((args: { n: Int }): Int => {
  runs();
  let sum = 0;
  for (let i = 1; i <= args.n; i += 1) sum += i;
  return sum;
});

export const echo = query((args: { value: Json }): Json => {
  runs();
  return args.value;
});

export const remember = procedure((args: { name: string; size: Int }): Doc<Note> => notes.insert(args));

export const recall = query((args: { id: ID }): Doc<Note> | null => notes.get(args.id));

export const forget = procedure((args: { id: ID }): boolean => notes.delete(args.id));

export const addInAction = action(async (args: { n: Int }): Promise<Int> => (await call(sumTo, args)) + 1);

/** Takes its time. */
export const dawdle = query((): Int => {
  runs();
  let sum = 0;
  for (let i = 0; i < 20_000_000; i += 1) sum = (sum + i) | 0;
  return sum;
});

/** Things for the scripts to read. */
export const prepare = procedure((args: { from: Int; count: Int }): Int => {
  for (let i = 0; i < args.count; i += 1) things.insert({ name: `thing ${args.from + i}`, size: args.from + i });
  return things.count();
});

/** How many things there are: what a script that failed wrote must not be among them. */
export const counted = query((): Int => {
  runs();
  return things.count();
});

/** Everything that can be reached from the global object and from syntax, in one number: the same in every call. */
function fingerprint(): string {
  const names = new Map<unknown, number>();
  const pending: unknown[] = [
    globalThis, async () => {}, function* () {}, async function* () {}, [].values(), [].values().map((x) => x), "".matchAll(/x/g),
    new Map().keys(), new Set().keys(), Iterator.from({ next: () => ({ done: true, value: 0 }) } as any),
  ];
  let hash = 7;
  const note = (text: string) => {
    for (let i = 0; i < text.length; i += 1) hash = (hash * 31 + text.charCodeAt(i)) | 0;
  };
  for (let i = 0; i < pending.length; i += 1) {
    const value = pending[i];
    note(typeof value);
    if ((typeof value !== "object" || value === null) && typeof value !== "function") {
      note(String(value));
      continue;
    }
    if (names.has(value)) {
      note(String(names.get(value)));
      continue;
    }
    names.set(value, names.size);
    note(String(Object.isExtensible(value)));
    pending.push(Object.getPrototypeOf(value));
    for (const key of Reflect.ownKeys(value)) {
      const property = Object.getOwnPropertyDescriptor(value, key)!;
      note(`${String(key)} ${property.writable} ${property.configurable}`);
      pending.push(property.value, property.get, property.set);
    }
  }
  return `${names.size} ${hash}`;
}

/** What the last match of a regular expression left behind. */
function lastMatch(): string {
  return ["input", "lastMatch", "lastParen", "leftContext", "rightContext", "$1", "$2"].map((name) => (RegExp as any)[name]).join("|");
}

/** What a call can see of the calls before it: the same every time. */
function traces(): string {
  return `${lastMatch()} ${fingerprint()}`;
}

export const seen = query((): string => {
  runs();
  return traces();
});

export const seenInAction = action(async (): Promise<string> => traces());

export const seenInStream = stream(async function* (): AsyncGenerator<string> {
  yield traces();
});
