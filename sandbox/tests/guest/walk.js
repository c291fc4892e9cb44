// Walks all that a script can reach: from the global object, from syntax and from the module "weir". Returns a line for
// each property, and which objects could be changed.

// There is no global named Function.
const functionPrototype = Reflect.getPrototypeOf(() => {});
const { getOwnPropertyDescriptor, getPrototypeOf, ownKeys } = Reflect;

function fresh() {
  const own = (object, key) => getOwnPropertyDescriptor(object, key);
  const thrown = (f) => {
    try {
      f();
    } catch (error) {
      return error;
    }
  };
  const args = (function () {
    return arguments;
  })(1);
  const segments = new Intl.Segmenter("en").segment("x");
  const instances = {
    "async function": async () => {},
    "generator function": function* () {},
    "async generator function": async function* () {},
    "generator": getPrototypeOf((function* () {})()),
    "async generator": getPrototypeOf((async function* () {})()),
    "promise of an async function": (async () => {})(),
    "class": class {},
    "arguments": args,
    "template": ((strings) => strings)`x`,
    "pattern": /x/,
    "array iterator": [].values(),
    "string iterator": ""[Symbol.iterator](),
    "map iterator": new Map().entries(),
    "set iterator": new Set().values(),
    "match iterator": "".matchAll(/x/g),
    "iterator helper": [].values().map((x) => x),
    "wrapped iterator": Iterator.from({ next() {} }),
    "joined iterator": typeof Iterator.concat === "function" ? Iterator.concat([]) : null,
    "segments": segments,
    "segment iterator": segments[Symbol.iterator](),
    "bigint": Object(1n),
    "symbol": Object(Symbol()),
    "error of the engine": thrown(() => null.x),
    "error of the host": thrown(() => orders.delete(5)),
    "failure": thrown(() => fail("NO")),
    "rows": orders.where("a", 1),
    "document": orders.get("o1"),
  };
  const roots = [];
  for (const [name, instance] of Object.entries(instances)) {
    if (instance === null) continue;
    roots.push([`(${name}).__proto__`, getPrototypeOf(instance)]);
  }
  for (const [name, property] of [["(error).stack", own(new Error("x"), "stack")], ["(arguments).callee", own(args, "callee")]]) {
    for (const side of ["get", "set"]) if (property?.[side]) roots.push([`${name} ${side}`, property[side]]);
  }
  return roots;
}

const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";
const step = (key) => (typeof key === "symbol" ? `[${String(key.description)}]` : /^[\w$]+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`);

function walk(weir) {
  const lines = [];
  const changeable = [];
  const names = new Map();
  const queue = [];
  const meet = (path, value) => {
    if (!isObject(value)) return typeof value;
    if (names.has(value)) return `= ${names.get(value)}`;
    names.set(value, path);
    queue.push(value);
    return typeof value;
  };
  const describe = (path, value) => {
    const what = meet(path, value);
    lines.push(`${path}: ${what}`);
  };
  names.set(Object.prototype, "Object.prototype");
  names.set(functionPrototype, "Function.prototype");
  describe("globalThis", globalThis);
  queue.push(Object.prototype, functionPrototype);
  for (const [name, value] of Object.entries(weir)) describe(`weir.${name}`, value);
  for (const [path, value] of fresh()) describe(path, value);
  for (let at = 0; at < queue.length; at++) {
    const value = queue[at];
    const path = names.get(value);
    if (!Object.isFrozen(value)) changeable.push(path);
    const prototype = getPrototypeOf(value);
    const usual = typeof value === "function" ? functionPrototype : Object.prototype;
    if (prototype !== usual) lines.push(`${path}.__proto__: ${prototype === null ? "null" : meet(`${path}.__proto__`, prototype)}`);
    for (const key of ownKeys(value)) {
      if (typeof value === "function" && (key === "length" || key === "name")) continue;
      const property = getOwnPropertyDescriptor(value, key);
      const inner = value === globalThis ? (typeof key === "symbol" ? step(key) : key) : path + step(key);
      if ("value" in property) describe(inner, property.value);
      for (const side of ["get", "set"]) if (property[side] !== undefined) describe(`${inner} ${side}`, property[side]);
    }
  }
  return { lines: lines.sort(), changeable };
}
