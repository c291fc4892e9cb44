import { query, action, type JSON } from "weir";

class Resource implements Disposable {
  constructor(private readonly name: string, private readonly log: string[]) { log.push(`open ${name}`); }
  [Symbol.dispose](): void { this.log.push(`close ${this.name}`); }
  async [Symbol.asyncDispose](): Promise<void> { this.log.push(`close ${this.name} later`); }
}

export const blocks = query((): JSON => {
  const log: string[] = [];
  {
    using a: Resource = new Resource("a", log), b = new Resource("b", log) as Resource;
    using none = null;
    log.push("inside");
  }
  for (using c of [new Resource("c", log)]) log.push("loop");
  return log;
});
export const thrown = query((): JSON => {
  const log: string[] = [];
  try {
    using a = new Resource("a", log);
    throw new Error("inside");
  } catch (error: unknown) {
    return [...log, (error as Error).message];
  }
});
export const asynchronous = action(async (): Promise<JSON> => {
  const log: string[] = [];
  {
    await using a = new Resource("a", log);
    log.push("inside");
  }
  for (await using b of [new Resource("b", log)]) log.push("loop");
  return log;
});
export const asName = query((): JSON => {
  const using = [1, 2];
  using[0] = 3;
  let of = using
  ;[of[1]] = [4];
  return using;
});
