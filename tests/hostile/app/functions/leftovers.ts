// Work that goes on when the call has returned, and promises that nothing settles.

import { action, call, query, type Int, type JSON as Json } from "weir";
import { things } from "../collections";
import { remember, sumTo } from "./neighbour";

/** @expects FUNCTION_FAILED promise */
export const leavesAPromiseAsResult = query((): Int => Promise.resolve(1) as any);

/** @expects FUNCTION_FAILED promise */
export const leavesAnAsyncResult = query((): Int => {
  const later = async (): Promise<Int> => 1;
  return later() as any;
});

/** @expects FUNCTION_FAILED promise */
export const leavesAThenable = query((): Json => ({ then: () => 1 }) as any);

/** @expects FUNCTION_FAILED promise */
export const leavesAMicrotask = query((): Int => {
  void Promise.resolve().then(() => 1);
  return 1;
});

/** @expects FUNCTION_FAILED promise */
export const leavesManyMicrotasks = query((): Int => {
  for (let i = 0; i < 1_000; i += 1) void Promise.resolve(i).then((n) => n + 1);
  return 1;
});

/** @expects FUNCTION_FAILED promise */
export const leavesAnAsyncFunction = query((): Int => {
  void (async () => {
    await null;
    things.count();
  })();
  return 1;
});

/** @expects FUNCTION_FAILED promise */
export const leavesARejection = query((): Int => {
  void Promise.reject(new Error("nobody listens"));
  return 1;
});

/** @expects FUNCTION_FAILED promise */
export const leavesALateRejection = query((): Int => {
  void Promise.resolve().then(() => {
    throw new Error("nobody listens");
  });
  return 1;
});

/** The last words of the call are spoken already.
 * @expects FUNCTION_FAILED promise */
export const leavesAReadForLater = query((): Int => {
  void Promise.resolve().then(() => things.all());
  return 1;
});

/** @expects FUNCTION_FAILED promise */
export const leavesALineOfLog = query((): Int => {
  void Promise.resolve().then(() => console.log("after the end"));
  return 1;
});

/** @expects FUNCTION_FAILED nothing can settle */
export const leavesNothingToWaitFor = action((): Promise<Int> => new Promise(() => {}));

/** @expects FUNCTION_FAILED nothing can settle */
export const leavesAThenableForEver = action(async (): Promise<Int> => ({ then: () => {} }) as any);

/** Whether the answer comes before anybody looks is not for the script to say.
 * @expects FUNCTION_FAILED await
 * @expects value 1 */
export const leavesACall = action(async (): Promise<Int> => {
  void call(sumTo, { n: 3 });
  return 1;
});

/** @expects FUNCTION_FAILED await */
export const leavesAWrite = action(async (): Promise<Int> => {
  void call(remember, { name: "late", size: 1 });
  return 1;
});

/** The quicker one wins, the other runs on.
 * @expects FUNCTION_FAILED await
 * @expects value 6 */
export const leavesALoser = action(async (): Promise<Int> => Promise.race([call(sumTo, { n: 3 }) as any, call(sumTo, { n: 3 }) as any]));

/** @expects FUNCTION_FAILED nobody waits */
export const leavesARejectedAction = action(async (): Promise<Int> => {
  void Promise.reject(new Error("nobody waits"));
  return 1;
});

/** @expects FUNCTION_FAILED */
export const leavesAFailedCall = action(async (): Promise<Int> => {
  void call(sumTo, { n: "three" } as any);
  await null;
  await call(sumTo, { n: 3 });
  return 1;
});

/** A generator that is never finished keeps nobody waiting.
 * @expects value 1 */
export const leavesAGenerator = query((): Int => {
  const half = (function* (): Generator<Int> {
    try {
      yield 1;
    } finally {
      for (;;);
    }
  })();
  return half.next().value;
});
