import { query, type JSON } from "weir";

class TeaError<T = unknown> extends Error {
  override name = "TeaError";
  constructor(message: string, public readonly detail?: T, options?: ErrorOptions) { super(message, options); }
}
class ColdTea extends TeaError<{ degrees: number }> { override get name(): string { return "ColdTea"; } override set name(_: string) {} }

export const caught = query((): JSON => { try { throw new TeaError<number>("cold", 5, { cause: "draught" }); } catch (error) { const tea = error as TeaError<number>; return [tea.name, tea.message, tea.detail!, tea.cause as string, tea instanceof TeaError, Object.keys(tea)]; } });
export const thrown = query((): JSON => { throw new TeaError("hot"); });
export const derived = query((): JSON => { throw new ColdTea("icy", { degrees: 0 }); });
export const aggregated = query((): JSON => { try { throw new AggregateError([new Error("a"), "b"] as unknown[], "all"); } catch (error: any) { return (error.errors as any[]).map(String); } });
export const rethrown = query((): JSON => {
  try {
    (null as any).x;
  } catch (error) {
    throw error as Error;
  }
  return 1;
});
export const finals = query((): JSON => { const f = (): number => { try { return 1 as number; } finally { return 2 as number; } }; return f(); });
export const noError = query((): JSON => { throw { reason: "plain object" } as unknown as Error; });
export const text = query((): JSON => { throw "text" as string; });
