// The reference implementation of GraphQL, asked what Weir was asked.
//
// Takes JSON lines on stdin and answers each with one on stdout.
//
//   {"sdl": …, "enums": {ENUM: {VALUE: TYPESCRIPT}}, "literals": {OBJECT: LITERAL}, "discriminator": MEMBER,
//    "types": [NAME…]}                      makes the schema, its types in the order of "types"; answers {}
//   {"query": …, "operationName": …, "variables": …, "returns": {FUNCTION: {"value": …} | {"fail": MESSAGE}}, "checked": …}
//                                           answers {"kind", "data", "errors", "rules", "calls", "subscription"}
//
// Where Weir differs on purpose this does the same, by the rules below that begin with "On purpose".

import { createInterface } from "node:readline";
import * as graphql from "graphql";

const { GraphQLError, Kind } = graphql;

let schema;
let returns;
let calls;
let checked;
let literals;
let discriminator;

function makeSchema({ sdl, enums, types, ...told }) {
  ({ literals, discriminator } = told);
  schema = graphql.buildSchema(sdl);
  const problems = graphql.validateSchema(schema);
  if (problems.length > 0) throw new Error(problems.join("\n"));
  for (const type of Object.values(schema.getTypeMap())) {
    if (type.name.startsWith("__")) continue;
    if (graphql.isScalarType(type)) makeStrict(type);
    else if (graphql.isEnumType(type)) spell(type, enums[type.name]);
    else if (graphql.isUnionType(type)) {
      type.resolveType = (value) => (isObject(value) ? type.getTypes().find(({ name }) => literals[name] === value[discriminator])?.name : undefined);
    } else if (graphql.isObjectType(type)) {
      type.isTypeOf = isObject;
      for (const field of Object.values(type.getFields())) field.resolve = (source) => own(source, field.name);
    }
  }
  for (const root of roots()) {
    delete root.isTypeOf;
    for (const field of Object.values(root.getFields())) {
      field.resolve = (_, args) => answer(root, field, args);
      field.subscribe = (_, args) => {
        if (field.name === "invoke") named(root, args);
        return once();
      };
    }
  }
  const known = Object.keys(schema.getTypeMap());
  const order = [...types.filter((name) => known.includes(name)), ...known.filter((name) => !types.includes(name))];
  const map = schema.getTypeMap();
  schema._typeMap = Object.assign(Object.create(null), Object.fromEntries(order.map((name) => [name, map[name]])));
  return {};
}

const roots = () => [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];

// A member, and not what JavaScript gives every object: "constructor", "toString".
const own = (object, name) => (Object.hasOwn(object, name) ? object[name] : undefined);

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

// On purpose: a result is not bent into its type. The specification allows `5` for a `String`; Weir says what is wrong.
function makeStrict(type) {
  const is = {
    Int: (value) => Number.isInteger(value) && Math.abs(value + 0.5) < 2 ** 31,
    Float: (value) => typeof value === "number",
    Boolean: (value) => typeof value === "boolean",
    JSON: () => true,
  }[type.name] ?? ((value) => typeof value === "string");
  type.serialize = (value) => {
    if (!is(value)) throw new GraphQLError(`no ${type.name}`);
    return value;
  };
  if (type.name === "JSON") {
    type.parseValue = (value) => value;
    type.parseLiteral = json;
  } else if (type.name === "DateTime" || type.name === "Bytes") {
    // On purpose: what such a string must look like is checked with the function's other rules, after coercion.
    type.parseValue = graphql.GraphQLString.parseValue;
    type.parseLiteral = graphql.GraphQLString.parseLiteral;
  }
}

// On purpose: a bare word is no JSON.
function json(node, variables) {
  switch (node.kind) {
    case Kind.ENUM:
      throw new GraphQLError("no JSON", { nodes: node });
    case Kind.LIST:
      return node.values.map((value) => json(value, variables) ?? null);
    case Kind.OBJECT: {
      const members = node.fields.map((field) => [field.name.value, json(field.value, variables)]);
      return Object.fromEntries(members.filter(([, value]) => value !== undefined));
    }
    default:
      return graphql.valueFromASTUntyped(node, variables);
  }
}

// Functions see the spelling of TypeScript.
function spell(type, spellings) {
  const typescript = (name, nodes) => {
    if (typeof name !== "string" || !Object.hasOwn(spellings, name)) throw new GraphQLError(`no ${type.name}`, { nodes });
    return spellings[name];
  };
  const names = new Map(Object.entries(spellings).map(([name, spelled]) => [spelled, name]));
  type.parseValue = (name) => typescript(name);
  type.parseLiteral = (node) => {
    if (node.kind !== Kind.ENUM) throw new GraphQLError(`no ${type.name}`, { nodes: node });
    return typescript(node.value, node);
  };
  type.serialize = (value) => {
    if (!names.has(value)) throw new GraphQLError(`no ${type.name}`);
    return names.get(value);
  };
}

async function* once() {
  yield {};
}

// The function that `invoke` is to call.
function named(root, { function: name }) {
  if (name === "invoke" || name === "batch" || !Object.hasOwn(root.getFields(), name)) throw new Error("no such function");
  return name;
}

function answer(root, field, args) {
  if (field.name === "batch" && root === schema.getMutationType()) {
    calls.push([field.name, { ...args, calls: args.calls.map((call) => call.function) }]);
    return args.calls.map(({ function: name }) => {
      const { value = null, fail } = returns[name] ?? {};
      const error = fail === undefined ? null : { code: "FUNCTION_FAILED", message: fail, appCode: null };
      return { value: error ? null : value, error };
    });
  }
  let name = field.name;
  if (name === "invoke") {
    name = named(root, args);
    args = args.args ?? null;
  }
  calls.push([name, args]);
  const { value = null, fail } = returns[name] ?? {};
  if (fail !== undefined) throw new Error(fail);
  // On purpose: what a function returns is checked whole against its declared type, whatever of it is selected.
  if (checked) {
    for (const argument of field.args) wellFormed(argument.type, own(args, argument.name));
    check(root.getFields()[name].type, value);
  }
  return value;
}

function check(type, value) {
  if (graphql.isNonNullType(type)) {
    if (value === null || value === undefined) throw new Error("null");
    return check(type.ofType, value);
  }
  if (value === null || value === undefined) return;
  if (graphql.isListType(type)) {
    if (!Array.isArray(value)) throw new Error("no list");
    for (const element of value) check(type.ofType, element);
  } else if (graphql.isLeafType(type)) {
    type.serialize(value);
    wellFormed(type, value);
  } else {
    const name = graphql.isUnionType(type) ? type.resolveType(value) : type.name;
    if (name === undefined || !isObject(value)) throw new Error(`no ${type.name}`);
    if (name in literals && value[discriminator] !== literals[name]) throw new Error(`no ${name}`);
    for (const field of Object.values(schema.getType(name).getFields())) check(field.type, own(value, field.name));
  }
}

// What the specification does not ask of strings, as far as values are drawn here: of all there are only these are right.
function wellFormed(type, value) {
  if (value === null || value === undefined) return;
  if (graphql.isNonNullType(type)) wellFormed(type.ofType, value);
  else if (graphql.isListType(type)) value.forEach((element) => wellFormed(type.ofType, element));
  else if (graphql.isInputObjectType(type)) for (const field of Object.values(type.getFields())) wellFormed(field.type, own(value, field.name));
  else {
    const form = { DateTime: /^2026-01-31T08:00:00.000Z$/, Bytes: /^(AA==)?$/, ID: /^[^\p{Cc}]+$/u }[type.name];
    if (form && !form.test(value)) throw new Error(`no ${type.name}`);
  }
}

// On purpose: no condition may stand at the root of a subscription, as later editions of the specification have it.
function conditionAtSubscription(document) {
  const fragments = new Map(document.definitions.filter((one) => one.kind === Kind.FRAGMENT_DEFINITION).map((one) => [one.name.value, one]));
  const seen = new Set();
  const within = (set) =>
    set.selections.some((item) => {
      if (item.directives.some(({ name }) => name.value === "skip" || name.value === "include")) return true;
      if (item.kind === Kind.INLINE_FRAGMENT) return within(item.selectionSet);
      const name = item.kind === Kind.FRAGMENT_SPREAD ? item.name.value : undefined;
      if (name === undefined || seen.has(name) || !fragments.has(name)) return false;
      seen.add(name);
      return within(fragments.get(name).selectionSet);
    });
  return document.definitions.some((one) => one.operation === "subscription" && within(one.selectionSet));
}

// On purpose: null for a variable of a condition refuses the request, where the reference fails what the condition stands on.
function nullCondition(document, operationName, variables) {
  const operation = graphql.getOperationAST(document, operationName);
  if (!operation) return false;
  const { coerced } = graphql.getVariableValues(schema, operation.variableDefinitions ?? [], variables);
  if (!coerced) return false;
  let found = false;
  const visitor = {
    Directive(node) {
      const value = node.arguments.find((one) => one.name.value === "if")?.value;
      if (value?.kind === Kind.VARIABLE && coerced[value.name.value] === null) found = true;
    },
    FragmentSpread(node) {
      const name = node.name.value;
      if (visited.has(name)) return;
      visited.add(name);
      const fragment = document.definitions.find((one) => one.kind === Kind.FRAGMENT_DEFINITION && one.name.value === name);
      graphql.visit(fragment, visitor);
    },
  };
  const visited = new Set();
  graphql.visit(operation, visitor);
  return found;
}

// On purpose: `__typename` is a `String!` when fields are merged, as the specification has it. The reference takes it for any type.
function withTypename(validate) {
  const objects = Object.values(schema.getTypeMap()).filter((type) => graphql.isObjectType(type));
  for (const type of objects) {
    const fields = { ...type.getFields(), __typename: graphql.TypeNameMetaFieldDef };
    type.getFields = () => fields;
  }
  try {
    return validate();
  } finally {
    for (const type of objects) delete type.getFields;
  }
}

// The rules that are broken, and the places that each names. Weir's syntax tree knows no places inside of literals and types:
// a place in there is that of the whole.
function broken(document) {
  const whole = new Map();
  const stack = [];
  graphql.visit(document, {
    enter(node, _key, parent) {
      const top = stack.at(-1);
      const isWhole = parent?.kind === Kind.ARGUMENT || (parent?.kind === Kind.VARIABLE_DEFINITION && node !== parent.variable);
      whole.set(node, top ?? node);
      stack.push(top ?? (isWhole && node.kind !== Kind.NAME && node.kind !== Kind.DIRECTIVE ? node : undefined));
    },
    leave() {
      stack.pop();
    },
  });
  const merging = graphql.OverlappingFieldsCanBeMergedRule;
  const others = graphql.specifiedRules.filter((rule) => rule !== merging);
  const validated = (...rules) => {
    try {
      return graphql.validate(schema, document, rules);
    } catch (error) {
      return [error];
    }
  };
  const rules = {};
  // One by one only where something is wrong: a document is visited once for each.
  for (const rule of [merging, ...(validated(...others).length > 0 ? others : [])]) {
    const errors = rule === merging ? withTypename(() => validated(rule)) : validated(rule);
    if (errors.length > 0) {
      const place = (node) => {
        const { line, column } = graphql.getLocation(node.loc.source, (whole.get(node) ?? node).loc.start);
        return { line, column };
      };
      rules[rule.name] = errors.map((error) => (error.nodes ?? []).map(place));
    }
  }
  if (conditionAtSubscription(document)) rules.ConditionAtSubscription = [];
  return rules;
}

const plain = ({ locations, path, message }) => ({ locations, path, message });

// The same for variables, whose members the reference looks up itself.
function bare(value) {
  if (Array.isArray(value)) return value.map(bare);
  if (!isObject(value)) return value;
  const members = Object.entries(value).map(([name, member]) => [name, bare(member)]);
  return Object.assign(Object.create(null), Object.fromEntries(members));
}

async function run({ query, operationName, variables, ...rest }) {
  ({ returns, checked } = rest);
  variables = bare(variables);
  calls = [];
  let document;
  try {
    document = graphql.parse(query);
  } catch (error) {
    return { kind: "parse", errors: [plain(error)] };
  }
  const rules = broken(document);
  const subscription = graphql.getOperationAST(document, operationName)?.operation === "subscription";
  if (Object.keys(rules).length > 0) return { kind: "validation", rules, errors: [], subscription };
  if (nullCondition(document, operationName, variables)) return { kind: "request", errors: [], subscription };
  const asked = { schema, document, operationName, variableValues: variables };
  let result = await (subscription ? graphql.subscribe(asked) : graphql.execute(asked));
  if (Symbol.asyncIterator in result) result = (await result.next()).value;
  const kind = "data" in result ? "executed" : "request";
  return { kind, data: result.data, errors: (result.errors ?? []).map(plain), calls, subscription };
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  console.log(JSON.stringify("sdl" in asked ? makeSchema(asked) : await run(asked)));
}
