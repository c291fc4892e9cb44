// Calls that are to be made later: too many, too large, too far away, by who may not. What is scheduled here runs later,
// beside the scripts that come after, and does nothing.

import { action, attempt, call, cancelJob, fail, procedure, query, schedule, type ID, type Int, type JSON as Json } from "weir";
import { things } from "../collections";

/** @expects value null */
export const idle = procedure((args: { text?: string; value?: Json }): Json => null);

/** @expects LIMIT_EXCEEDED jobs_scheduled */
export const schedulesForEver = procedure((): Int => {
  for (;;) schedule({ after: "1d" }, idle, {});
});

/** What is caught does not go on.
 * @expects LIMIT_EXCEEDED jobs_scheduled */
export const schedulesForEverAndCatches = procedure((): Int => {
  for (;;) {
    try {
      schedule({ after: "1d" }, idle, {});
    } catch {}
  }
});

/** @expects LIMIT_EXCEEDED written_bytes
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED jobs_scheduled */
export const schedulesManyBytes = procedure((): Int => {
  for (;;) schedule({ after: "1d" }, idle, { text: "x".repeat(60_000) });
});

/** @expects FUNCTION_FAILED arguments_bytes = 65536 */
export const schedulesLongArguments = procedure((): ID => schedule({ after: "1d" }, idle, { text: "x".repeat(100_000) }));

/** @expects FUNCTION_FAILED
 * @expects LIMIT_EXCEEDED */
export const schedulesDeepArguments = procedure((): ID => {
  let value: Json = null;
  for (let i = 0; i < 5_000; i += 1) value = [value];
  return schedule({ after: "1d" }, idle, { value });
});

/** @expects FUNCTION_FAILED contains itself */
export const schedulesCircles = procedure((): ID => {
  const value: Json = {};
  value.value = value;
  return schedule({ after: "1d" }, idle, { value });
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const schedulesEndlessArguments = procedure((): ID =>
  schedule({ after: "1d" }, idle, {
    get text(): string {
      for (;;);
    },
  }),
);

/** @expects LIMIT_EXCEEDED cpu_ms */
export const schedulesAtAnEndlessTime = procedure((): ID =>
  schedule(
    new Proxy({ after: 1 }, {
      ownKeys: () => {
        for (;;);
      },
    }),
    idle,
    {},
  ),
);

/** A time that is another one each time that it is looked at is looked at once.
 * @expects value 1 */
export const schedulesAtAShiftyTime = procedure((): Int => {
  let looks = 0;
  schedule(
    {
      get after() {
        looks += 1;
        return looks === 1 ? "1d" : (NaN as number);
      },
    },
    idle,
    {},
  );
  return looks;
});

const refused = (when: any): string => {
  try {
    return schedule(when, idle, {});
  } catch {
    return "refused";
  }
};

/** @expects value ["refused"] */
export const schedulesAtNoTime = procedure((): string[] => [
  ...new Set(
    [
      undefined, null, 0, "5m", [], {}, { after: NaN }, { after: Infinity }, { after: -1 }, { after: "" }, { after: "-5m" },
      { after: "5" }, { after: 1n }, { after: {} }, { after: null }, { after: true }, { after: "\ud800" }, { at: 0 }, { at: "" },
      { at: "tomorrow" }, { at: "2026-02-30T00:00:00Z" }, { at: "9999-12-31T23:59:59Z" }, { after: 1e300 }, { after: "1000000d" },
      { after: "99999999999999999999999d" }, { after: "1d", at: "2026-01-01T00:00:00Z" }, { [Symbol.iterator]: 1 },
      { __proto__: { after: 1 } }, { at: "+275760-09-13T00:00:00Z" },
    ].map(refused),
  ),
]);

/** @expects value ["refused"] */
export const schedulesNoFunction = procedure((): string[] => {
  const functions: any[] = [undefined, null, 1, "idle", () => 1, {}, seesNoFuture, call, idle.bind(null)];
  return [
    ...new Set(
      functions.map((fn) => {
        try {
          return schedule({ after: "1d" }, fn, {});
        } catch {
          return "refused";
        }
      }),
    ),
  ];
});

/** @expects FUNCTION_FAILED writes, which only a procedure may; this is a query */
export const seesNoFuture = query((): ID => schedule({ after: "1d" }, idle, {}));

/** @expects FUNCTION_FAILED writes, which only a procedure may; this is an action */
export const actsInNoFuture = action(async (): Promise<ID> => schedule({ after: "1d" }, idle, {}));

/** @expects FUNCTION_FAILED writes, which only a procedure may; this is a query */
export const cancelsWithoutWriting = query((): boolean => cancelJob("a"));

/** @expects value [false, false, false] */
export const cancelsWhatIsNotThere = procedure((): boolean[] => [cancelJob("a"), cancelJob("cron:a"), cancelJob("💥")]);

/** @expects FUNCTION_FAILED no control characters */
export const cancelsAnOddId = procedure((): boolean => cancelJob("\u0000"));

/** @expects FUNCTION_FAILED pass the id of a job */
export const cancelsNoId = procedure((): boolean => cancelJob({ toString: () => "a" } as any));

/** What was rolled back is not there to be cancelled.
 * @expects value false */
export const keepsJobsOfAFailedAttempt = procedure((): boolean => {
  let id = "";
  attempt(() => {
    things.insert({ name: "attempted", size: 1 });
    id = schedule({ after: "1d" }, idle, {});
    fail("NO");
  });
  return cancelJob(id);
});

/** A job that schedules itself has its turns among others.
 * @expects value 1 */
export const schedulesItself = procedure((args: { left?: Int }): Int => {
  const left = args.left ?? 5;
  if (left > 0) schedule({ after: 0 }, schedulesItself, { left: left - 1 });
  return 1;
});
