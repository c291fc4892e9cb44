import { query, type JSON } from "weir";

const raw = (parts: TemplateStringsArray, ..._: unknown[]): JSON => [[...parts.raw], [...parts].map((part) => part ?? "invalid")];
const once = (parts: TemplateStringsArray): TemplateStringsArray => parts;

export const plain = query((): JSON => [`a${1}b${`c${"d"}`}`, `\``, `\${}`, `$`, `$$ {`, `{}`, `${"}"}`, `\u{41}\x42`, `it's "quoted"`, ``]);
export const lines = query((): JSON => [`one
two\
 joined
	three`, `
`, `\n`, `\
`]);
export const tagged = query((): JSON => [raw`a\n${1}\u{41}`, raw`\unicode and \xerxes \u{110000}`, raw`${0}`, raw``, raw`\``, raw`
\
`]);
export const typed = query((): JSON => [`${1 as number}${<string>"x"}${[1]!}${((x: number): number => x)(2)}`, raw<number>`a${1 as any}`]);
export const nested = query((): JSON => `${`${`${{ a: `${1}` }.a}`}`}${[1, 2].map((x) => `<${x}>`).join(`${","}`)}`);
export const identity = query((): JSON => [1, 2].map(() => once`same`).reduce((all, one) => all && one === once`same` as any, true as any) === false);
export const members = query((): JSON => [`abc`.length, `abc`[1]!, (`abc` as string).at(-1)!, new (class { constructor(readonly x: string) {} })(`y`).x]);
export const separators = query((): JSON => [...` ${"\u2029"} `].map((one) => one.charCodeAt(0)));
