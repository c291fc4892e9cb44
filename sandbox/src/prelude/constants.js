// What modules keep between calls must stay as it is: all that their constants hold is frozen once they are loaded.

import { allowShadowing, FREEZE, freezeReachable, forgetFrozen, LEAVE } from "ext:weir/freeze.js";
import { ERROR, kindOf, NAMESPACE, PATTERN } from "ext:weir/kinds.js";

const { apply, getOwnPropertyDescriptor } = Reflect;
const isGlobal = getOwnPropertyDescriptor(RegExp.prototype, "global").get;
const isSticky = getOwnPropertyDescriptor(RegExp.prototype, "sticky").get;

/** Regular expressions of modules that remember where they stopped. */
const patterns = [];
const KEEP_PLACE = { except: "lastIndex" };

/** What modules declare and do not export, as `[file, members]`. */
let kept = [];

/** A module hands over what it declares. */
export function keep(file, members) {
  kept?.push([file, members]);
}

/** Freezes what the modules hold. Takes `[file, namespace]` of each, for what they export. */
export function freezeModules(modules) {
  const roots = [];
  const places = [];
  const all = [...modules, ...kept];
  kept = null;
  for (const [file, namespace] of all) {
    for (const name of Object.keys(namespace)) {
      roots.push(namespace[name]);
      places.push([file, name]);
    }
  }
  freezeReachable(roots, (value, key, path) => {
    const kind = kindOf(value);
    if (kind === NAMESPACE) return LEAVE;
    if (kind === PATTERN) {
      if (!apply(isGlobal, value, []) && !apply(isSticky, value, [])) return FREEZE;
      patterns.push(value);
      value.lastIndex = 0;
      return KEEP_PLACE;
    }
    if (kind !== null && kind !== ERROR) throw new Error(refusal(places, path(), kind.name));
    // `this.handle = this.handle.bind(this)` in a constructor is ordinary code.
    if (key === "prototype") allowShadowing(value);
    return FREEZE;
  });
  forgetFrozen();
}

function refusal(places, [root, ...keys], what) {
  const [file, name] = places[root];
  const members = keys.map((key) => (typeof key === "string" && /^[A-Za-z_$]\w*$/.test(key) ? `.${key}` : `[${String(key)}]`));
  const place = name + members.join("");
  return `${file}: ${place} is ${what}, which would keep what a call leaves in it: make it inside of the function, or write arrays and objects`;
}

/** Undoes what a call may have done to the modules' regular expressions. */
export function resetPatterns() {
  for (let i = 0; i < patterns.length; i++) if (patterns[i].lastIndex !== 0) patterns[i].lastIndex = 0;
}
