//! Histories in, verdicts out.

use expect_test::{Expect, expect};
use weir_checker::check;

use crate::notation::history;

fn expect_verdict(text: &str, expected: Expect) {
    let mut recorded = history(text);
    let verdict = check(&recorded).unwrap();
    expected.assert_eq(&verdict.to_string());
    // The order in which transactions were recorded says nothing.
    recorded.reverse();
    let phenomena = check(&recorded).unwrap().found;
    assert_eq!(phenomena.keys().collect::<Vec<_>>(), verdict.found.keys().collect::<Vec<_>>());
}

#[test]
fn nothing_is_wrong_with_nothing() {
    expect_verdict("", expect!["strictly serializable"]);
}

#[test]
fn concurrent_transactions_may_take_effect_in_any_order() {
    expect_verdict(
        "1-9: list x []; append x 1; read y -
         2-8: list x [1]; append x 2; write y 3
         3-7: list x [1 2 4]; read y 3
         4-6: append x 4
         10-11: list x [1 2 4]",
        expect!["strictly serializable"],
    );
}

#[test]
fn own_writes_are_seen_and_are_nobody_elses_business() {
    expect_verdict(
        "1-2: append x 1; append x 2; list x [1 2]; write y 3; write y 4 over 3; read y 4
         3-4: list x [1 2]; append x 5; list x [1 2 5]; write r 6 at 1; range 0..9 [r=6]; delete r over 6; range 0..9 []
         5-6: list x [1 2 5]; read y 4; read r -",
        expect!["strictly serializable"],
    );
    expect_verdict(
        "1-2: append x 1; list x []",
        expect!["own write not seen: T1 did not see its own writes: list x []"],
    );
    expect_verdict("1-2: write y 3; read y -", expect!["own write not seen: T1 did not see its own writes: read y -"]);
    expect_verdict(
        "1-2: write r 3 at 5; range 0..9 []",
        expect!["own write not seen: T1 did not see its own writes: range 0..9 []"],
    );
}

#[test]
fn aborted_reads() {
    expect_verdict(
        "1-2 aborted: append x 1
         3-4: list x [1]",
        expect!["G1a (aborted read): T2 read 1 in x, which T1 wrote, and T1 aborted"],
    );
    expect_verdict(
        "1-2 aborted: write r 1 at 5
         3-4: range 0..9 [r=1]",
        expect!["G1a (aborted read): T2 read 1 in r, which T1 wrote, and T1 aborted"],
    );
}

#[test]
fn intermediate_reads() {
    expect_verdict(
        "1-9: append x 1; append x 2
         2-8: list x [1]
         10-11: list x [1 2]",
        expect![[r#"
            G1b (intermediate read): T2 read 1 in x, which T1 wrote and replaced itself
            G-single (read skew): T2 -rw x-> T1 -wr x-> T2
              T2 client 2 2-8 ok: list x [1]
              T1 client 1 1-9 ok: append x 1; append x 2"#]],
    );
    expect_verdict(
        "1-9: write y 1; write y 2 over 1
         2-8: read y 1",
        expect!["G1b (intermediate read): T2 read 1 in y, which T1 wrote and replaced itself"],
    );
}

#[test]
fn reads_of_what_nobody_wrote() {
    expect_verdict(
        "1-2: read y 7; list x [8]",
        expect![[r#"
        unwritten value: T1 read 8 in x, which nobody wrote
        unwritten value: T1 read 7 in y, which nobody wrote"#]],
    );
}

#[test]
fn lists_that_cannot_be_in_one_order() {
    expect_verdict(
        "1-9: append x 1
         1-9: append x 2
         1-9: list x [1 2]
         1-9: list x [2]
         1-9: list x [1 2 1]",
        expect![[r#"
            incompatible order: T5 found 1 in x twice
            incompatible order: T4 read x as [2], others as [1, 2, 1]
            G0 (write cycle): T1 -ww x-> T2 -ww x-> T1
              T1 client 1 1-9 ok: append x 1
              T2 client 2 1-9 ok: append x 2
            G-single (read skew): T3 -rw x-> T1 -ww x-> T2 -wr x-> T3
              T3 client 3 1-9 ok: list x [1 2]
              T1 client 1 1-9 ok: append x 1
              T2 client 2 1-9 ok: append x 2"#]],
    );
}

#[test]
fn rows_where_they_do_not_belong() {
    expect_verdict(
        "1-2: write r 1 at 5
         3-4: range 6..9 [r=1]
         5-6: range 0..9 [r=1 r=1]",
        expect![[r#"
            misplaced row: T2 found r=1 in 6..9, but that is at 5
            misplaced row: T3 found r twice in 0..9"#]],
    );
}

#[test]
fn write_cycles() {
    expect_verdict(
        "1-9: append x 1; append y 1
         1-9: append x 2; append y 2
         1-9: list x [1 2]
         1-9: list y [2 1]",
        expect![[r#"
            G0 (write cycle): T1 -ww x-> T2 -ww y-> T1
              T1 client 1 1-9 ok: append x 1; append y 1
              T2 client 2 1-9 ok: append x 2; append y 2"#]],
    );
}

#[test]
fn circular_information_flow() {
    expect_verdict(
        "1-9: append x 1; list y [2]
         1-9: append y 2; list x [1]",
        expect![[r#"
            G1c (circular information flow): T1 -wr x-> T2 -wr y-> T1
              T1 client 1 1-9 ok: append x 1; list y [2]
              T2 client 2 1-9 ok: append y 2; list x [1]"#]],
    );
}

#[test]
fn read_skew() {
    expect_verdict(
        "1-9: read x 1; read y 4
         1-9: write x 1; write y 2
         1-9: write x 3 over 1; write y 4 over 2",
        expect![[r#"
            G-single (read skew): T1 -rw x-> T3 -wr y-> T1
              T1 client 1 1-9 ok: read x 1; read y 4
              T3 client 3 1-9 ok: write x 3 over 1; write y 4 over 2"#]],
    );
}

#[test]
fn write_skew() {
    expect_verdict(
        "1-2: write x 1; write y 2
         3-8: read x 1; read y 2; write x 3 over 1
         4-9: read x 1; read y 2; write y 4 over 2",
        expect![[r#"
            G2-item (write skew): T2 -rw y-> T3 -rw x-> T2
              T2 client 2 3-8 ok: read x 1; read y 2; write x 3 over 1
              T3 client 3 4-9 ok: read x 1; read y 2; write y 4 over 2"#]],
    );
}

#[test]
fn lost_updates() {
    expect_verdict(
        "1-2: write x 1
         3-8: write x 2 over 1
         4-9: write x 3 over 1",
        expect![[r#"
            lost update: T3 and T2 both replaced 1 in x
            G2-item (write skew): T2 -rw x-> T3 -rw x-> T2
              T2 client 2 3-8 ok: write x 2 over 1
              T3 client 3 4-9 ok: write x 3 over 1"#]],
    );
    expect_verdict(
        "1-8: list x []; append x 1
         2-9: list x []; append x 2
         10-11: list x [2]",
        expect![[r#"
            lost update: T2 and T1 both appended to x when it had 0 values
            G-single (read skew): T1 -rw x-> T2 -ww x-> T1
              T1 client 1 1-8 ok: list x []; append x 1
              T2 client 2 2-9 ok: list x []; append x 2
            G2-item (write skew): T3 -rw x-> T1 -rw x-> T2 -wr x-> T3
              T3 client 3 10-11 ok: list x [2]
              T1 client 1 1-8 ok: list x []; append x 1
              T2 client 2 2-9 ok: list x []; append x 2"#]],
    );
}

#[test]
fn an_append_that_is_gone() {
    expect_verdict(
        "1-2: append x 1
         3-4: append x 2
         5-6: list x [2]",
        expect![[r#"
            real time (stale read): T1 -real time-> T2 -ww x-> T1
              T1 client 1 1-2 ok: append x 1
              T2 client 2 3-4 ok: append x 2"#]],
    );
}

#[test]
fn phantoms() {
    // Both insert if the range is empty.
    expect_verdict(
        "1-8: range 0..9 []; write r 1 at 5
         2-9: range 0..9 []; write s 2 at 6",
        expect![[r#"
            G2 (phantom): T1 -range rw s-> T2 -range rw r-> T1
              T1 client 1 1-8 ok: range 0..9 []; write r 1 at 5
              T2 client 2 2-9 ok: range 0..9 []; write s 2 at 6"#]],
    );
    // A row that moves from one range to the other is in neither, or in both.
    expect_verdict(
        "1-2: write r 1 at 5
         3-9: write r 2 at 15 over 1; write z 3
         3-9: read z 3; range 0..10 [r=1]
         3-9: read z -; range 10..20 [r=2]",
        expect![[r#"
            G-single (read skew): T3 -rw r-> T2 -wr z-> T3
              T3 client 3 3-9 ok: read z 3; range 0..10 [r=1]
              T2 client 2 3-9 ok: write r 2 at 15 over 1; write z 3"#]],
    );
    expect_verdict(
        "1-2: write r 1 at 5
         3-9: write r 2 at 15 over 1
         4-8: range 0..10 []; range 10..20 []
         10-11: range 10..20 [r=2]",
        expect![[r#"
            real time (stale read): T1 -real time-> T3 -range rw r-> T1
              T1 client 1 1-2 ok: write r 1 at 5
              T3 client 3 4-8 ok: range 0..10 []; range 10..20 []"#]],
    );
}

#[test]
fn deleted_rows_stay_away_and_others_do_not_go() {
    expect_verdict(
        "1-2: write r 1 at 5; write s 2 at 6
         3-4: delete r over 1
         5-6: range 0..9 [s=2]; read r -",
        expect!["strictly serializable"],
    );
    expect_verdict(
        "1-2: write r 1 at 5; write s 2 at 6
         3-4: delete r over 1; write z 3
         4-5: read z 3; read r 1",
        expect![[r#"
            G-single (read skew): T3 -rw r-> T2 -wr z-> T3
              T3 client 3 4-5 ok: read z 3; read r 1
              T2 client 2 3-4 ok: delete r over 1; write z 3"#]],
    );
    // Before it was inserted or after it was deleted, but not between.
    expect_verdict(
        "1-2: write r 1 at 5; write a 10
         3-9: read a 10; write b 20; read r -
         3-9: read b 20; delete r over 1",
        expect![[r#"
            G-single (read skew): T2 -rw r-> T1 -wr a-> T2
              T2 client 2 3-9 ok: read a 10; write b 20; read r -
              T1 client 1 1-2 ok: write r 1 at 5; write a 10"#]],
    );
    expect_verdict(
        "1-2: write r 1 at 5; write a 10
         3-9: read a 10; write b 20; range 0..9 []
         3-9: read b 20; delete r over 1",
        expect![[r#"
            G2 (phantom): T2 -range rw r-> T1 -wr a-> T2
              T2 client 2 3-9 ok: read a 10; write b 20; range 0..9 []
              T1 client 1 1-2 ok: write r 1 at 5; write a 10"#]],
    );
}

#[test]
fn a_range_is_read_in_one_of_the_gaps() {
    // r comes into the range, leaves it, comes back and is deleted; the reader is before, between, after or meets a change.
    let rows = "10-20: write r 1 at 5
                30-40: write r 2 at 15 over 1
                50-60: write r 3 at 5 over 2
                70-80: delete r over 3";
    let table =
        [(5, true), (15, true), (25, false), (35, true), (45, true), (55, true), (65, false), (75, true), (85, true)];
    for (instant, fits) in table {
        let recorded = history(&format!("{rows}\n{instant}-{instant}: range 0..9 []"));
        assert_eq!(check(&recorded).unwrap().is_strictly_serializable(), fits, "{instant}");
    }
}

#[test]
fn stale_reads() {
    expect_verdict(
        "1-2: write x 1
         3-4: write x 2 over 1
         5-6: read x 1",
        expect![[r#"
            real time (stale read): T2 -real time-> T3 -rw x-> T2
              T2 client 2 3-4 ok: write x 2 over 1
              T3 client 3 5-6 ok: read x 1"#]],
    );
    expect_verdict(
        "1-2: write r 1 at 5
         3-4: range 0..9 []",
        expect![[r#"
            real time (stale read): T1 -real time-> T2 -range rw r-> T1
              T1 client 1 1-2 ok: write r 1 at 5
              T2 client 2 3-4 ok: range 0..9 []"#]],
    );
    // What overlaps is not stale.
    expect_verdict(
        "1-2: write x 1
         3-5: write x 2 over 1
         5-6: read x 1",
        expect!["strictly serializable"],
    );
}

#[test]
fn an_unknown_outcome_may_be_either() {
    expect_verdict(
        "1-2 unknown: write x 1
         3-4: read x -
         5-6: read x 1
         7-8 unknown: append y 2
         9-10: list y []",
        expect!["strictly serializable"],
    );
    // Once seen it has committed, with all it did.
    expect_verdict(
        "1-2: write a 1; write b 2
         3-4 unknown: read a 1; write a 3 over 1; write b 4 over 2
         5-6: read a 3
         7-8: read b 2",
        expect![[r#"
            real time (stale read): T3 -real time-> T4 -rw b-> T2 -wr a-> T3
              T3 client 3 5-6 ok: read a 3
              T4 client 4 7-8 ok: read b 2
              T2 client 2 3-4 unknown: read a 1; write a 3 over 1; write b 4 over 2"#]],
    );
}

#[test]
fn aborted_transactions_are_not_judged() {
    expect_verdict(
        "1-2: write x 1; write y 2
         3-9: write x 3 over 1; write y 4 over 2
         4-8 aborted: read x 1; read y 4",
        expect!["strictly serializable"],
    );
}

#[test]
fn repeated_reads_agree() {
    expect_verdict(
        "1-2: write x 1
         3-9: write x 2 over 1
         4-8: read x 1; read x 2",
        expect![[r#"
            G-single (read skew): T3 -rw x-> T2 -wr x-> T3
              T3 client 3 4-8 ok: read x 1; read x 2
              T2 client 2 3-9 ok: write x 2 over 1"#]],
    );
}
