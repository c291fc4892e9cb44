//! Metrics: what the text names is declared, and what callers convert by is there.

use expect_test::expect;

use super::*;

#[test]
fn what_the_text_names_is_declared() {
    check(
        r#"
        import { action, metric, procedure, type Int } from "weir";
        import * as weir from "weir";
        export const good = procedure((args: { name: string }): Int => {
          metric("seen", 1);
          metric(args.name, 1);
          metric(`seen_${args.name}`, 1);
          return 1;
        });
        export const bad = action(async (): Promise<Int> => {
          metric("sen", 1);
          weir.metric("Seen", 1);
          return 1;
        });
        function own(metric: (name: string, value: number) => void) { metric("mine", 1); }
        // file: app.toml
        name = "t"
        version = "1.0.0"
        [metrics.seen]
        kind = "conversion"
        "#,
        expect![[r#"
            error: app.toml declares no metric "sen"
              --> functions/t.ts:10:10
               |
            10 |   metric("sen", 1);
               |          ^^^^^
            help: add [metrics.sen] with kind = "mean" or kind = "conversion"

            error: app.toml declares no metric "Seen"
              --> functions/t.ts:11:15
               |
            11 |   weir.metric("Seen", 1);
               |               ^^^^^^
            help: name it by lower-case letters, digits and underscores, and declare that under [metrics]
        "#]],
    );
}

#[test]
fn callers_convert_by_what_they_can_call() {
    check(
        r#"
        import { action, procedure, query, type Int } from "weir";
        export const order = procedure((): Int => 1);
        export const pay = action(async (): Promise<Int> => 1);
        export const look = query((): Int => 1);
        // file: app.toml
        name = "t"
        version = "1.0.0"
        [metrics.ordered]
        kind = "conversion"
        function = "order"
        [metrics.paid]
        kind = "conversion"
        function = "pay"
        [metrics.looked]
        kind = "conversion"
        function = "look"
        [metrics.gone]
        kind = "conversion"
        function = "left"
        "#,
        expect![[r#"
            error: look is a query, by which nobody converts
              --> app.toml:11:12
               |
            11 | function = "look"
               |            ^^^^^^
            help: write the exported name of a procedure or action

            error: the app has no function "left"
              --> app.toml:14:12
               |
            14 | function = "left"
               |            ^^^^^^
            help: write the exported name of a procedure or action
        "#]],
    );
}
