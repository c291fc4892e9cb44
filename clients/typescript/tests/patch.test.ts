import jsonpatch from "fast-json-patch";
import { describe, expect, test } from "vitest";

import { applyPatch, PatchMismatch, share, type Operation } from "../src/index.js";
import { frozen } from "./server.js";

/** Numbers below `n`, the same at each run. */
function draws(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

function randomValue(draw: (n: number) => number, depth: number): unknown {
  switch (draw(depth > 3 ? 4 : 7)) {
    case 0:
      return draw(100);
    case 1:
      return `text ${draw(9)}`;
    case 2:
      return draw(2) === 0;
    case 3:
      return null;
    case 4:
      return Array.from({ length: draw(4) }, () => randomValue(draw, depth + 1));
    case 5:
      return Array.from({ length: draw(4) }, (_, i) => ({ id: `i${i + draw(3) * 10}`, of: randomValue(draw, depth + 1) }));
    default:
      return Object.fromEntries(
        Array.from({ length: draw(4) }, () => [["a", "b/c", "d~e", "__proto__x"][draw(4)], randomValue(draw, depth + 1)]),
      );
  }
}

test("patches give what another library gives, and leave the old value as it is", () => {
  for (let seed = 0; seed < 2000; seed++) {
    const draw = draws(seed);
    const [before, after] = [{ data: randomValue(draw, 0) }, { data: randomValue(draw, 0) }];
    const patch = jsonpatch.compare(before, after) as Operation[];
    const text = JSON.stringify(before);
    expect(applyPatch(frozen(before), patch), JSON.stringify({ before, patch })).toEqual(after);
    expect(JSON.stringify(before)).toBe(text);
    const shared = share(before, frozen(structuredClone(after)));
    expect(shared).toEqual(after);
  }
});

describe("a patch", () => {
  const before = frozen({ list: [{ id: 1, n: { m: 1 } }, { id: 2, n: { m: 2 } }], other: { deep: {} } });

  const table: [string, Operation[], unknown][] = [
    ["replaces the whole", [{ op: "replace", path: "", value: 1 }], 1],
    ["appends", [{ op: "add", path: "/list/-", value: 3 }], { ...before, list: [...before.list, 3] }],
    ["moves", [{ op: "move", from: "/list/1", path: "/list/0" }], { ...before, list: [before.list[1], before.list[0]] }],
    ["removes", [{ op: "remove", path: "/other" }], { list: before.list }],
    ["changes nothing", [], before],
  ];
  test.each(table)("%s", (_, patch, after) => expect(applyPatch<unknown>(before, patch)).toEqual(after));

  test("shares what it does not reach", () => {
    const after = applyPatch(before, [{ op: "replace", path: "/list/0/n/m", value: 5 }]);
    expect(after.list[0]?.n.m).toBe(5);
    expect(after.list[1]).toBe(before.list[1]);
    expect(after.other).toBe(before.other);
    const moved = applyPatch(before, [{ op: "move", from: "/list/1", path: "/list/0" }]);
    expect(moved.list[0]).toBe(before.list[1]);
    expect(applyPatch(before, [])).toBe(before);
  });

  const bad: Operation[] = [
    { op: "remove", path: "/none" },
    { op: "replace", path: "/list/2", value: 1 },
    { op: "add", path: "/list/3", value: 1 },
    { op: "add", path: "/list/01", value: 1 },
    { op: "add", path: "/none/a", value: 1 },
    { op: "replace", path: "/constructor", value: 1 },
    { op: "add", path: "list", value: 1 },
    { op: "move", from: "/list/7", path: "/list/0" },
    { op: "test", path: "/list", value: 1 } as never,
  ];
  test.each(bad)("that does not fit is refused: %j", (operation) => {
    expect(() => applyPatch(before, [operation])).toThrow(PatchMismatch);
  });

  test("sets a member that is called __proto__", () => {
    const after = applyPatch<any>(JSON.parse('{"a":1}'), [{ op: "add", path: "/__proto__", value: { polluted: true } }]);
    expect(after.polluted).toBeUndefined();
    expect(JSON.stringify(after)).toBe('{"a":1,"__proto__":{"polluted":true}}');
  });
});

test("a whole value shares with the one before what is equal", () => {
  const before = { list: [{ id: "a", v: { n: 1 } }, { id: "b", v: { n: 2 } }], same: { x: [1, 2] } };
  const after = share(before, { list: [{ id: "b", v: { n: 2 } }, { id: "a", v: { n: 3 } }], same: { x: [1, 2] } });
  expect(after).toEqual({ list: [{ id: "b", v: { n: 2 } }, { id: "a", v: { n: 3 } }], same: { x: [1, 2] } });
  expect(after.list[0]).toBe(before.list[1]);
  expect(after.same).toBe(before.same);
  expect(share(before, structuredClone(before))).toBe(before);
  expect(share({ a: undefined }, { b: 1 } as unknown)).toEqual({ b: 1 });
});
