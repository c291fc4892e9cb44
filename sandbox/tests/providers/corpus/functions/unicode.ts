import { query, type JSON } from "weir";

const π: number = Math.PI, ñandú = "bird", 変数 = 1, 𠮷 = 2, $ = 3, _ = 4, $_ = 5, ℮ = 6, a\u0062c = 7, \u{61}z = 8, ªº = 9, क्षि = 10, x‌y = 11;
interface Größe { länge: number; 名前?: string }
class Überklasse<Тип> { #поле = 1 as number; получить(значение: Тип): [Тип, number] { return [значение, this.#поле]; } }
const größe: Größe = { länge: 1, 名前: "名" };

export const constants = query((): JSON => [π.toFixed(2), ñandú, 変数, 𠮷, $, _, $_, ℮, abc, az, ªº, क्षि, x‌y]);
export const members = query((): JSON => [größe as unknown as JSON, new Überklasse<string>().получить("й"), ({ "é": 1, é: 2 } as any), größe.l\u00e4nge]);
export const names = query((): JSON => [(() => { const функция = () => 1; return функция.name; })(), Überklasse.name]);
export const columns = query((): JSON => { const s: string = "😀😀é"; const t = s as any; return /* 😀 */ t.нет.такого; });
export const wide = query((): JSON => ["日本語", "😀" as string, (null as any)["😀"]]);
