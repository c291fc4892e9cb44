import { query, type JSON } from "weir";

class Holder {
  assured!: number;
  optional?: string;
  declare ambient: number;
  readonly set: boolean = true;
}

class Parent { value: number = 1; other = 2; third = 3; }
class Redeclared extends Parent { override value!: number; declare other: number; third; }

export const variables = query((): JSON => {
  let x!: number;
  let y!: string, z: number | undefined;
  const assign = (): void => { x = 1; y = "y"; };
  assign();
  return [x, y, z ?? "unset"];
});
export const fields = query((): JSON => [Object.keys(new Holder()), "ambient" in new Holder()]);
export const statics = query((): JSON => {
  class Kept { private static readonly kept?: number; declare static ambient: number; static assured: string; static has(): JSON { return ["kept" in this, this.kept ?? "unset"]; } }
  return [Kept.has(), Object.keys(Kept)];
});
export const redeclared = query((): JSON => {
  const made = new Redeclared();
  return [String(made.value), made.other, String(made.third)];
});
