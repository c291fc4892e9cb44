//! Views that read themselves.

use expect_test::expect;

use super::check;

#[test]
fn a_view_that_reads_itself_is_refused_with_the_way() {
    check(
        r#"
        import { call, query, view, type Int } from "weir";
        export const self = view((args: { n: Int }): Int => self({ n: args.n - 1 }));
        export const a = view((): Int => helped(1));
        export const b = query((): Int => call(c));
        export const c = query((): Int => 1 + a());
        export const outside = view((): Int => a());
        function helped(n: number): number {
          return n + b();
        }
        "#,
        expect![[r#"
            error: the view `self` reads itself: self → self
             --> functions/t.ts:2:53
              |
            2 | export const self = view((args: { n: Int }): Int => self({ n: args.n - 1 }));
              |                                                     ^^^^
            help: put what calls itself into a plain function, or make these views queries

            error: the view `a` reads itself: a → b → c → a
             --> functions/t.ts:8:14
              |
            8 |   return n + b();
              |              ^
            help: put what calls itself into a plain function, or make these views queries
        "#]],
    );
}

#[test]
fn what_may_end_by_itself_is_not_refused() {
    check(
        r#"
        import { query, view, type Int } from "weir";
        export const fib = query((args: { n: Int }): Int => args.n < 2 ? args.n : fib({ n: args.n - 1 }) + fib({ n: args.n - 2 }));
        export const even = query((args: { n: Int }): boolean => args.n === 0 || odd({ n: args.n - 1 }));
        export const odd = query((args: { n: Int }): boolean => args.n !== 0 && even({ n: args.n - 1 }));
        const down = (n: number): number => n === 0 ? 0 : down(n - 1);
        export const first = view((): Int => fib({ n: 5 }) + down(3) + lib.two());
        export const second = view((): Int => first() + [first].length);
        export const third = view((): Int => lib.one());
        export const fourth = view((): boolean => [fourth].length > 0);
        const lib = { one: () => 1, two: () => third() };
        "#,
        expect![[r#"
            query fib(n: Int): Int
            query even(n: Int): Boolean
            query odd(n: Int): Boolean
            view first(): Int
            view second(): Int
            view third(): Int
            view fourth(): Boolean
        "#]],
    );
}
