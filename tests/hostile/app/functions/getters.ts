// Code that runs when the error of an action or a stream is read, after its end, and what it leaves for the next call.

import { action, call, caller, stream, type Int } from "weir";
import { things } from "../collections";
import { remember, sumTo } from "./neighbour";

/** A promise of which `then` makes no promise: nothing tells of the jobs that it leaves. */
function untold(): Promise<void> {
  const promise = Promise.resolve();
  class Told {
    constructor(go: any) {
      go(() => {}, () => {});
    }
  }
  Object.defineProperty(promise, "constructor", { value: { [Symbol.species]: Told } });
  return promise;
}

/** An error that does so when its message is read. */
function error(act: () => void): Error {
  return Object.defineProperty(new Error("thrown"), "message", {
    get() {
      act();
      return "read";
    },
  });
}

/** The next call would make this call, for whoever makes that one.
 * @expects FUNCTION_FAILED read */
export const leavesACallToTheNext = action(async (): Promise<Int> => {
  throw error(() => void untold().then(() => call(remember, { name: `by ${caller.subject}`, size: 1 })));
});

/** @expects FUNCTION_FAILED read */
export const leavesManyCallsToTheNext = action(async (): Promise<Int> => {
  throw error(() => {
    for (let i = 0; i < 30; i += 1) void untold().then(() => untold().then(() => call(sumTo, { n: i })));
  });
});

/** @expects FUNCTION_FAILED read */
export const leavesAPromiseToTheNext = action(async (): Promise<Int> => {
  throw error(() => void Promise.resolve().then(() => call(sumTo, { n: 3 })));
});

/** @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED wall_ms */
export const leavesALoopToTheNext = action(async (): Promise<Int> => {
  throw error(() => void untold().then(() => {
    for (;;);
  }));
});

/** No call is under way any more, so there is none to make it.
 * @expects FUNCTION_FAILED Error */
export const callsWhenItsErrorIsRead = action(async (): Promise<Int> => {
  throw error(() => void call(sumTo, { n: 3 }));
});

/** @expects FUNCTION_FAILED */
export const callsWhenItsRejectionIsRead = action(async (): Promise<Int> => {
  void Promise.reject(error(() => void call(remember, { name: "late", size: 1 })));
  return 1;
});

/** @expects FUNCTION_FAILED read */
export const leavesAReadToTheNextStream = stream(async function* (): AsyncGenerator<Int> {
  throw error(() => void untold().then(() => things.all()));
});

/** A promise that follows another does not stand for one that nothing settles.
 * @expects FUNCTION_FAILED promise */
export const hidesAPromise = action(async (): Promise<Int> => {
  await (async () => Promise.resolve(1))();
  void new Promise(() => {});
  return 1;
});

/** @expects FUNCTION_FAILED promise */
export const hidesAPromiseInAStream = stream(async function* (): AsyncGenerator<Int> {
  await (async () => Promise.resolve(1))();
  void new Promise(() => {});
});
