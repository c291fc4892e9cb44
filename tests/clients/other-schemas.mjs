// Makes other schemas of one, at random but the same at each run, and says what GraphQL.js finds to have changed from each of
// them to the one.
//
// node other-schemas.mjs SDL_FILE FOLDER COUNT: writes FOLDER/N.graphql, and prints a line of JSON for each: a list of
// `{ severity, change: "KIND: description" }`.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildSchema, findBreakingChanges, findDangerousChanges, Kind, parse, print } from "graphql";

const [, , file, folder, count] = process.argv;
const sdl = readFileSync(file, "utf8");
const now = buildSchema(sdl);

function draws(seed) {
  let state = seed + 1;
  for (let i = 0; i < 5; i++) state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) >>> 0;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

const name = (value) => ({ kind: Kind.NAME, value });
const named = (value) => ({ kind: Kind.NAMED_TYPE, name: name(value) });
const SCALARS = ["String", "Int", "Float", "Boolean", "ID", "JSON"];

/** Another type in place of one: often only another nullability. */
function otherType(draw, type) {
  switch (draw(5)) {
    case 0:
      return named(SCALARS[draw(SCALARS.length)]);
    case 1:
      return { kind: Kind.LIST_TYPE, type };
    case 2:
      return type.kind === Kind.NON_NULL_TYPE ? type.type : { kind: Kind.NON_NULL_TYPE, type };
    case 3:
      return type.kind === Kind.LIST_TYPE ? { ...type, type: otherType(draw, type.type) } : type;
    default:
      return type.kind === Kind.NON_NULL_TYPE ? { ...type, type: inner(draw, type.type) } : type;
  }
}

function inner(draw, type) {
  const other = otherType(draw, type);
  return other.kind === Kind.NON_NULL_TYPE ? other.type : other;
}

function otherInput(draw, input) {
  switch (draw(4)) {
    case 0:
      return { ...input, name: name(input.name.value + "X") };
    case 1:
      return { ...input, defaultValue: undefined, type: otherType(draw, input.type) };
    case 2:
      return { ...input, defaultValue: defaultOf(draw, input.type) };
    default:
      return input;
  }
}

function defaultOf(draw, type) {
  const text = { String: '"a"', Int: "1", Float: ["1.0", "1", "2.5"][draw(3)], Boolean: "true", ID: ['"7"', "7"][draw(2)] };
  const of = type.kind === Kind.NON_NULL_TYPE ? type.type : type;
  if (of.kind === Kind.LIST_TYPE) {
    const element = defaultOf(draw, of.type);
    return element && (draw(2) === 0 ? element : { kind: Kind.LIST, values: [element] });
  }
  const literal = text[of.name.value];
  return literal === undefined ? undefined : valueOf(literal);
}

function valueOf(text) {
  return parse(`input I { a: Any = ${text} }`).definitions[0].fields[0].defaultValue;
}

/** A list with an element changed, gone or come. */
function otherList(draw, list, change, made) {
  const at = draw(list.length + 1);
  if (at === list.length) return [...list, made()];
  if (draw(3) === 0) return list.filter((_, i) => i !== at);
  return list.map((element, i) => (i === at ? change(element) : element));
}

function otherDefinition(draw, definition) {
  const input = () => ({ kind: Kind.INPUT_VALUE_DEFINITION, name: name(`new${draw(100)}`), type: draw(2) === 0 ? named("Int") : { kind: Kind.NON_NULL_TYPE, type: named("String") } });
  const field = () => ({ kind: Kind.FIELD_DEFINITION, name: name(`new${draw(100)}`), arguments: [], type: named("ID") });
  switch (definition.kind) {
    case Kind.OBJECT_TYPE_DEFINITION: {
      if (draw(12) === 0) return { ...definition, interfaces: [named("Extra")], fields: [...definition.fields, { ...field(), name: name("extra") }] };
      const change = (old) => {
        if (draw(2) === 0 && old.arguments.length > 0) return { ...old, arguments: otherList(draw, old.arguments, (a) => otherInput(draw, a), input) };
        if (draw(3) === 0) return { ...old, name: name(old.name.value + "X") };
        return { ...old, type: otherType(draw, old.type) };
      };
      return { ...definition, fields: otherList(draw, definition.fields, change, field) };
    }
    case Kind.INPUT_OBJECT_TYPE_DEFINITION:
      return { ...definition, fields: otherList(draw, definition.fields, (a) => otherInput(draw, a), input) };
    case Kind.ENUM_TYPE_DEFINITION: {
      const value = () => ({ kind: Kind.ENUM_VALUE_DEFINITION, name: name(`new${draw(100)}`) });
      return { ...definition, values: otherList(draw, definition.values, (v) => ({ ...v, name: name(v.name.value + "X") }), value) };
    }
    case Kind.UNION_TYPE_DEFINITION:
      return { ...definition, types: otherList(draw, definition.types, (type) => type, () => named("Other")) };
    case Kind.SCALAR_TYPE_DEFINITION:
      return draw(3) === 0 ? { kind: Kind.ENUM_TYPE_DEFINITION, name: definition.name, values: [{ kind: Kind.ENUM_VALUE_DEFINITION, name: name("a") }] } : definition;
    default:
      return definition;
  }
}

const BESIDES = `interface Extra { extra: ID } type Other { a: Int } directive @note(text: String!, n: Int = 1) repeatable on FIELD | QUERY`;

function other(draw) {
  let definitions = parse(draw(4) === 0 ? sdl + BESIDES : sdl).definitions;
  for (let changes = 1 + draw(6); changes > 0; changes--) {
    // The roots, which come first, have the arguments.
    const at = draw(draw(2) === 0 ? 3 : definitions.length);
    definitions = definitions.map((definition, i) => (i === at ? otherDefinition(draw, definition) : definition));
  }
  return print({ kind: Kind.DOCUMENT, definitions });
}

let seed = 0;
for (let made = 0; made < Number(count); seed++) {
  const draw = draws(seed);
  const text = other(draw);
  let before;
  try {
    before = buildSchema(text);
  } catch {
    continue;
  }
  writeFileSync(join(folder, `${made++}.graphql`), text);
  const told = (severity) => ({ type, description }) => ({ severity, change: `${type}: ${description}` });
  console.log(JSON.stringify([
    ...findBreakingChanges(before, now).map(told("breaking")),
    ...findDangerousChanges(before, now).map(told("dangerous")),
  ]));
}
