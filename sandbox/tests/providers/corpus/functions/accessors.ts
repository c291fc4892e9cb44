import { query, type JSON } from "weir";

class Temperature {
  #celsius = 0;
  get fahrenheit(): number { return this.#celsius * 9 / 5 + 32; }
  set fahrenheit(value: number | string) { this.#celsius = (Number(value) - 32) * 5 / 9; }
  static get zero(): Temperature { return new Temperature(); }
  get [`comp${"uted"}`](): string { return "computed"; }
  get get(): string { return "get"; }
  set set(_: unknown) { this.fahrenheit = 212; }
  get 1(): number { return 1; }
  get "quoted name"(): number { return 2; }
  static async(): string { return "async"; }
  static get static(): string { return "static"; }
  of(this: Temperature, _key?: string): string { return "method"; }
}

const object = {
  stored: [] as string[],
  get last(): string | undefined { return this.stored.at(-1); },
  set last(value: string | undefined) { this.stored.push(value ?? "none"); },
  get: 1,
  set: 2,
  async *each<T>(list: T[]): AsyncGenerator<T> { yield* list; },
};

export const classes = query((): JSON => {
  const temperature = Temperature.zero;
  const before = temperature.fahrenheit;
  temperature.set = null;
  return [before, temperature.fahrenheit, (temperature as any).computed, temperature[1], temperature["quoted name"]];
});
export const names = query((): JSON => [Temperature.async(), Temperature.static, new Temperature().get, new Temperature().of()]);
export const objects = query((): JSON => {
  const mine = { ...object, stored: [] as string[], get last() { return this.stored.at(-1); }, set last(value) { this.stored.push(value!); } };
  mine.last = "a";
  mine.last = "b";
  return [mine.last!, mine.stored, mine.get, mine.set];
});
