import { query, type JSON } from "weir";

class Vault {
  #secret: string = "s";
  readonly #list: number[] = [];
  #count?: number;
  #assured!: number;
  get #size(): number { return this.#list.length; }
  set #size(size: number) { this.#list.length = size; }
  #add<T extends number>(value: T): this { this.#list.push(value); this.#count! ??= 0; (this.#count as number)++; return this; }
  async #later(): Promise<string> { return this.#secret; }
  *#each(): Generator<number> { yield* this.#list; }
  static has(value: object): boolean { return #secret in value && #add in (value as Vault) && !(#each in {}); }
  use(): JSON {
    this.#add(1).#add<number>(2);
    this.#size = 1;
    return [this.#size, [...this.#each()], this.#count!, this.#assured ?? "unset", typeof this.#later, this?.#secret, (this as Vault | null)?.#list[0]!];
  }
}
export const used = query((): JSON => new Vault().use());
export const checked = query((): JSON => [Vault.has(new Vault()), Vault.has({}), Object.keys(new Vault())]);
export const statics = query((): JSON => {
  class Counter {
    static #made: number = 0;
    static #next(): number { return ++Counter.#made; }
    static { Counter.#next(); this.#made += 10; }
    readonly id: number = Counter.#next();
  }
  return [new Counter().id, new Counter().id];
});
export const wrong = query((): JSON => {
  try { return (Vault.prototype.use as any).call({}); } catch (error) { return (error as Error).name; }
});
