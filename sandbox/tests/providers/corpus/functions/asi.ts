import { query, type JSON } from "weir"

type Before = number
const list = [1, 2, 3]
type After = string
const first = list[0] as number
const second = list
  [1]!
interface Between { a: number }
;[4, 5].map((x) => x)
let_()
function let_() {}
const sum = first
  + second
const text = `a`
const more = text
  .length as
  number
abstract class Odd { a = 1
  b = 2
  c: number
  get
  d() { return 4 }
  e
  *f() { yield 1 }
  ['g'] = 5
  readonly h = 6
  declare i: number
  ;
}

export const values = query((): JSON => {
  let a = 1
  let b = a
  ++b
  const c = b as number
  ;(a as number)++
  const d = c!
  ;[a] = [a + 1]
  const e = a
  /1/1
  var type = 5
  type
  = 6
  type T = typeof type
  ;`x`.length
  do a++; while (a < 10) b = a
  return [a, b, c, d, e, type as T, sum, more]
})
export const returns = query((): JSON => {
  const f = (): JSON | undefined => {
    return
    5
  }
  const g = (): number => {
    return (5 as
      number)
  }
  const h = () => {
    const x = 1
    const y = x
    (z => z)
    return y
  }
  try { h() } catch (error) { return [f() ?? "none", g(), (error as Error).name] }
  return "not thrown"
})
export const labels = query((): JSON => {
  let n = 0
  outer:
  for (;;) {
    for (;;) {
      n++
      if (n < 3) continue
      n
      break outer
    }
  }
  return n
})
