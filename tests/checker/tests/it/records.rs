//! JSON lines, and what is no history.

use expect_test::expect;
use weir_checker::{BadHistory, check, history};

use crate::notation;

const TEXT: &str = "1-4: append x 1; list x [1]; read y -; write y 2
    3-6 aborted: write r 3 at -5 over 2; delete r over 3
    5-9 unknown: range -9..9 [r=3 s=4]; read y 2";

#[test]
fn a_history_is_json_lines() {
    let recorded = notation::history(TEXT);
    let lines = history::to_json_lines(&recorded);
    expect![[r#"
        {"client":1,"start":1,"end":4,"outcome":"committed","operations":[{"append":{"key":"x","value":1}},{"list":{"key":"x","values":[1]}},{"read":{"key":"y","value":null}},{"write":{"key":"y","over":null,"value":2}}]}
        {"client":2,"start":3,"end":6,"outcome":"aborted","operations":[{"write":{"key":"r","over":2,"value":3,"at":-5}},{"delete":{"key":"r","over":3}}]}
        {"client":3,"start":5,"end":9,"outcome":"unknown","operations":[{"range":{"from":-9,"to":9,"rows":[["r",3],["s",4]]}},{"read":{"key":"y","value":2}}]}
    "#]].assert_eq(&lines);
    assert_eq!(history::from_json_lines(&format!("\n{lines}\n")), Ok(recorded));
}

#[test]
fn what_is_no_history_is_explained() {
    let no_line = history::from_json_lines("{\"client\":1}").unwrap_err();
    expect!["line 1 is no transaction: missing field `start` at line 1 column 12"].assert_eq(&no_line.to_string());
    let refusals: Vec<String> =
        ["3-1: read x -", "1-2: append x 1\n3-4 aborted: append x 1", "1-2: write x 1; write x 1"]
            .map(|text| check(&notation::history(text)).unwrap_err().to_string())
            .into();
    expect![[r#"
        T1 ends at 1 and starts at 3
        1 is written to x twice, by T1 and T2: give every write a value of its own
        1 is written to x twice, by T1 and T1: give every write a value of its own"#]]
    .assert_eq(&refusals.join("\n"));
    let nothing = notation::history("1-1: read x -").remove(0);
    let too_long = vec![nothing; history::TRANSACTIONS_MAX + 1];
    assert_eq!(check(&too_long), Err(BadHistory::TooLong(history::TRANSACTIONS_MAX + 1)));
}

#[test]
fn explanations_are_short() {
    let values: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let rows: Vec<String> = (0..100).map(|n| format!("r{n}={n}")).collect();
    let reads = format!("1-2: list x [{}]; range 0..9 [{}]", values.join(" "), rows.join(" "));
    expect![
        "client 1 1-2 ok: list x […92 93 94 95 96 97 98 99]; range 0..9 [r0=0 r1=1 r2=2 r3=3 r4=4 r5=5 r6=6 r7=7 …]"
    ]
    .assert_eq(&notation::history(&reads)[0].to_string());
    let many = "1-2: read x 7\n".repeat(20);
    expect![[r#"
        unwritten value: T1 read 7 in x, which nobody wrote
        unwritten value: T2 read 7 in x, which nobody wrote
        unwritten value: T3 read 7 in x, which nobody wrote
        unwritten value: T4 read 7 in x, which nobody wrote
        unwritten value: T5 read 7 in x, which nobody wrote
        unwritten value: 15 more"#]]
    .assert_eq(&check(&notation::history(&many)).unwrap().to_string());
}
