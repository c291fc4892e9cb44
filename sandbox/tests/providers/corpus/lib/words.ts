// Names that are words of the syntax too.
export const one = "one";
export type as = 1;
export type from = 2;
export const type = "type";
export const of = "of";
export const satisfies = (value: number): number => value + 1;
const yields = "yields";
export { yields as yield, yields as default_ };
