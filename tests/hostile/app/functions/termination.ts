// Attempts to live through the end: what is thrown at a limit cannot be caught, and nothing runs after it.

import { action, call, procedure, query, type Int } from "weir";
import { things } from "../collections";
import { sumTo } from "./neighbour";

const spin = (): never => {
  for (;;);
};

/** @expects LIMIT_EXCEEDED cpu_ms */
export const survivesByCatch = query((): string => {
  try {
    spin();
  } catch {
    return "survived";
  }
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const survivesByFinally = query((): string => {
  try {
    spin();
  } finally {
    // eslint-disable-next-line no-unsafe-finally
    return "survived";
  }
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const survivesByLoopingInFinally = query((): string => {
  for (;;) {
    try {
      spin();
    } finally {
      continue;
    }
  }
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const survivesByRecursion = query((): string => {
  const again = (): string => {
    try {
      return spin();
    } catch {
      return again();
    } finally {
      again();
    }
  };
  return again();
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const survivesByAnIterator = query((): string => {
  const stubborn = {
    [Symbol.iterator]: () => ({
      next: () => ({ done: false, value: 1 }),
      return: (): never => spin(),
    }),
  } as any;
  for (const _ of stubborn) {
    try {
      spin();
    } finally {
      break;
    }
  }
  return "survived";
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const survivesByAGenerator = query((): string => {
  const stubborn = function* (): Generator<number> {
    for (;;) {
      try {
        yield spin();
      } finally {
        yield 1;
      }
    }
  };
  for (const _ of stubborn());
  return "survived";
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const survivesByAPromise = action(async (): Promise<string> => {
  const stubborn = async (): Promise<string> => spin();
  return stubborn().catch(() => "survived").finally(() => spin());
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const survivesByAsyncFinally = action(async (): Promise<string> => {
  try {
    await null;
    spin();
  } catch {
    await null;
  } finally {
    await null;
    // eslint-disable-next-line no-unsafe-finally
    return "survived";
  }
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const survivesByAsyncGenerators = action(async (): Promise<string> => {
  const stubborn = async function* (): AsyncGenerator<number> {
    try {
      yield spin();
    } finally {
      await null;
      yield 1;
    }
  };
  for await (const _ of stubborn());
  return "survived";
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const survivesByAProxy = query((): string => {
  const stubborn = new Proxy({}, {
    get: () => {
      try {
        return spin();
      } catch {
        return "survived";
      }
    },
  }) as any;
  return stubborn.member;
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const survivesByAComparison = query((): string => {
  try {
    [3, 2, 1].sort(() => spin());
  } catch {
    // Goes on.
  }
  return "survived";
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const survivesByAReviver = query((): string => {
  try {
    return JSON.parse("[1,2]", () => spin());
  } catch {
    return "survived";
  }
});

/** @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const survivesTheEndOfMemory = query((): string => {
  const all: unknown[] = [];
  for (;;) {
    try {
      for (;;) all.push(new Array(1_000).fill(all.length));
    } catch {
      // Goes on with what there is.
    }
  }
});

/** Lets go of everything when it gets tight.
 * @expects LIMIT_EXCEEDED heap_bytes
 * @expects LIMIT_EXCEEDED cpu_ms */
export const survivesByLettingGo = query((): string => {
  let all: unknown[] = [];
  try {
    for (;;) all.push("x".repeat(100_000).split(""));
  } catch {
    all = [];
  }
  return "survived";
});

/** @expects LIMIT_EXCEEDED documents_written */
export const survivesALimitOfTheHost = procedure((): Int => {
  try {
    for (let i = 0; ; i += 1) things.insert({ name: "survives", size: i });
  } catch {
    return 1;
  }
});

/** @expects LIMIT_EXCEEDED documents_written */
export const survivesALimitInFinally = procedure((): Int => {
  for (let i = 0; ; i += 1) {
    try {
      things.insert({ name: "survives", size: i });
    } finally {
      continue;
    }
  }
});

/** @expects LIMIT_EXCEEDED log_bytes */
export const survivesALimitOfTheLog = query((): Int => {
  try {
    console.log("x".repeat(33_000));
  } catch {
    // Goes on.
  }
  return 1;
});

/** @expects LIMIT_EXCEEDED log_bytes */
export const survivesALimitInToJson = query((): Int => {
  const stubborn = {
    toJSON: () => {
      console.log("x".repeat(33_000));
      return { toJSON: () => 1 };
    },
  };
  return stubborn as any;
});

/** @expects LIMIT_EXCEEDED host_calls */
export const survivesALimitInAnAction = action(async (): Promise<Int> => {
  try {
    for (let i = 0; i < 1_000; i += 1) console.log("");
  } catch {
    return 1;
  }
  return call(sumTo, { n: 1 }).catch(() => 1);
});

/** @expects FUNCTION_FAILED Maximum call stack size exceeded
 * @expects LIMIT_EXCEEDED cpu_ms
 * @expects LIMIT_EXCEEDED host_calls */
export const survivesAtTheEndOfTheStack = query((): Int => {
  const down = (): number => {
    try {
      return down();
    } finally {
      things.where("name", "no such name").count();
    }
  };
  return down();
});

/** @expects LIMIT_EXCEEDED cpu_ms */
export const survivesByDisposal = query((): string => {
  const stack = new (globalThis as any).DisposableStack();
  stack.defer(spin);
  stack.defer(spin);
  try {
    stack.dispose();
  } catch {
    // Goes on.
  }
  return "survived";
});
