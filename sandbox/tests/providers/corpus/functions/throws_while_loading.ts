import { query, type JSON } from "weir";

interface Erased {
  a: number;
}

const table: Record<string, Erased> = {};
const missing: number = table["nothing"]!.a;

export const never = query((): JSON => missing);
