//! Nothing but the call itself decides what a call gives: no clock, no dice, no language or time zone of the server.

use std::process::Command;

use expect_test::{Expect, expect};
use weir_sandbox::protocol::Outcome;
use weir_schema::declarations::FunctionKind;

use crate::examples::{DOCUMENTS, EXAMPLES};
use crate::harness::{Guest, query, run};

/// What a script can learn of time zones and languages, one fact a line.
const FACTS: [&str; 26] = [
    "new Date().getTimezoneOffset()",
    "new Date().toString()",
    "new Date().toDateString() + new Date().toTimeString()",
    "new Date().toLocaleString() + new Date().toLocaleDateString() + new Date().toLocaleTimeString()",
    "[new Date().getFullYear(), new Date().getMonth(), new Date().getDate(), new Date().getDay(), new Date().getHours(), new Date().getMinutes()]",
    "new Date(2026, 0, 31, 12).toISOString()",
    "new Date(99, 0).toISOString()",
    "new Date('2026-07-01T12:00:00').toISOString() + new Date('2026-07-01').toISOString()",
    "new Date('Jul 1, 2026 12:00').toISOString() + Date.parse('1 July 2026')",
    "(() => { const date = new Date(0); date.setHours(5, 4); date.setDate(3); date.setFullYear(2000); return date.toISOString() })()",
    "Date()",
    "new Date().getYear() + new Date().toGMTString()",
    "new Intl.DateTimeFormat().resolvedOptions().timeZone + new Intl.DateTimeFormat().resolvedOptions().locale",
    "new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'full' }).format()",
    "new Intl.DateTimeFormat().formatToParts().map((part) => part.value).join('')",
    "new Intl.DateTimeFormat('en', { hour: 'numeric', timeZoneName: 'long' }).formatRange(new Date(0), new Date(3600000))",
    "new Intl.DateTimeFormat('de').formatRangeToParts(0, 1e10).length",
    "[Temporal.Now.timeZoneId(), Temporal.Now.plainDateTimeISO(), Temporal.Now.zonedDateTimeISO(), Temporal.Now.plainDateISO(), Temporal.Now.plainTimeISO(), Temporal.Now.instant()]",
    "Temporal.Now.zonedDateTimeISO('Asia/Tokyo').toString() + String(new Date().toTemporalInstant())",
    "Temporal.Now.plainDateISO().toLocaleString() + Temporal.Now.instant().toLocaleString()",
    "[1234567.891.toLocaleString(), (12n ** 9n).toLocaleString(), [1.5, 2].toLocaleString()]",
    "['Z', 'a', 'z', 'ä', 'i', 'I', 'ı'].sort((a, b) => a.localeCompare(b)) + 'ISTANBUL'.toLocaleLowerCase() + 'i'.toLocaleUpperCase()",
    "['Collator', 'NumberFormat', 'PluralRules', 'RelativeTimeFormat', 'ListFormat', 'Segmenter', 'DurationFormat'].map((name) => new Intl[name]().resolvedOptions().locale)",
    "new Intl.RelativeTimeFormat().format(-1, 'day') + new Intl.ListFormat().format(['a', 'b']) + new Intl.DisplayNames(undefined, { type: 'region' }).of('JP')",
    "new Intl.Locale('ja').maximize().toString() + Intl.getCanonicalLocales('EN-us')",
    "[Math.random(), Date.now(), now(), new Date().valueOf()]",
];

fn facts() -> String {
    let lines: Vec<String> =
        FACTS.iter().map(|fact| format!("{fact}\n  {}", query(&format!("return {fact}")))).collect();
    lines.join("\n")
}

fn check(expected: Expect) {
    expected.assert_eq(&facts());
}

#[test]
fn scripts_live_in_utc_and_en_us() {
    check(expect![[r#"
        new Date().getTimezoneOffset()
          0
        new Date().toString()
          "Tue Nov 14 2023 22:13:20 GMT+0000 (Coordinated Universal Time)"
        new Date().toDateString() + new Date().toTimeString()
          "Tue Nov 14 202322:13:20 GMT+0000 (Coordinated Universal Time)"
        new Date().toLocaleString() + new Date().toLocaleDateString() + new Date().toLocaleTimeString()
          "11/14/2023, 10:13:20 PM11/14/202310:13:20 PM"
        [new Date().getFullYear(), new Date().getMonth(), new Date().getDate(), new Date().getDay(), new Date().getHours(), new Date().getMinutes()]
          [2023,10,14,2,22,13]
        new Date(2026, 0, 31, 12).toISOString()
          "2026-01-31T12:00:00.000Z"
        new Date(99, 0).toISOString()
          "1999-01-01T00:00:00.000Z"
        new Date('2026-07-01T12:00:00').toISOString() + new Date('2026-07-01').toISOString()
          "2026-07-01T12:00:00.000Z2026-07-01T00:00:00.000Z"
        new Date('Jul 1, 2026 12:00').toISOString() + Date.parse('1 July 2026')
          "2026-07-01T12:00:00.000Z1782864000000"
        (() => { const date = new Date(0); date.setHours(5, 4); date.setDate(3); date.setFullYear(2000); return date.toISOString() })()
          "2000-01-03T05:04:00.000Z"
        Date()
          "Tue Nov 14 2023 22:13:20 GMT+0000 (Coordinated Universal Time)"
        new Date().getYear() + new Date().toGMTString()
          "123Tue, 14 Nov 2023 22:13:20 GMT"
        new Intl.DateTimeFormat().resolvedOptions().timeZone + new Intl.DateTimeFormat().resolvedOptions().locale
          "UTCen-US"
        new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'full' }).format()
          "Tuesday, November 14, 2023 at 10:13:20 PM Coordinated Universal Time"
        new Intl.DateTimeFormat().formatToParts().map((part) => part.value).join('')
          "11/14/2023"
        new Intl.DateTimeFormat('en', { hour: 'numeric', timeZoneName: 'long' }).formatRange(new Date(0), new Date(3600000))
          "12 – 1 AM UTC"
        new Intl.DateTimeFormat('de').formatRangeToParts(0, 1e10).length
          9
        [Temporal.Now.timeZoneId(), Temporal.Now.plainDateTimeISO(), Temporal.Now.zonedDateTimeISO(), Temporal.Now.plainDateISO(), Temporal.Now.plainTimeISO(), Temporal.Now.instant()]
          ["UTC","2023-11-14T22:13:20","2023-11-14T22:13:20+00:00[UTC]","2023-11-14","22:13:20","2023-11-14T22:13:20Z"]
        Temporal.Now.zonedDateTimeISO('Asia/Tokyo').toString() + String(new Date().toTemporalInstant())
          "2023-11-15T07:13:20+09:00[Asia/Tokyo]2023-11-14T22:13:20Z"
        Temporal.Now.plainDateISO().toLocaleString() + Temporal.Now.instant().toLocaleString()
          "11/14/202311/14/2023, 10:13:20 PM"
        [1234567.891.toLocaleString(), (12n ** 9n).toLocaleString(), [1.5, 2].toLocaleString()]
          ["1,234,567.891","5,159,780,352","1.5,2"]
        ['Z', 'a', 'z', 'ä', 'i', 'I', 'ı'].sort((a, b) => a.localeCompare(b)) + 'ISTANBUL'.toLocaleLowerCase() + 'i'.toLocaleUpperCase()
          "a,ä,i,I,ı,z,ZistanbulI"
        ['Collator', 'NumberFormat', 'PluralRules', 'RelativeTimeFormat', 'ListFormat', 'Segmenter', 'DurationFormat'].map((name) => new Intl[name]().resolvedOptions().locale)
          ["en-US","en-US","en-US","en-US","en-US","en-US","en-US"]
        new Intl.RelativeTimeFormat().format(-1, 'day') + new Intl.ListFormat().format(['a', 'b']) + new Intl.DisplayNames(undefined, { type: 'region' }).of('JP')
          "1 day agoa and bJapan"
        new Intl.Locale('ja').maximize().toString() + Intl.getCanonicalLocales('EN-us')
          "ja-Jpan-JPen-US"
        [Math.random(), Date.now(), now(), new Date().valueOf()]
          [1.6298145055770874e-9,1700000000000,"2023-11-14T22:13:20.000Z",1700000000000]"#]]);
}

/// The test above once more, in a process that lives elsewhere.
#[test]
fn the_environment_of_the_server_does_not_show() {
    let test = "determinism::scripts_live_in_utc_and_en_us";
    for (zone, language) in [("Asia/Tokyo", "tr_TR.UTF-8"), (":America/St_Johns", "de_DE.UTF-8"), ("XYZ-5:30", "C")] {
        let mut again = Command::new(std::env::current_exe().unwrap());
        let again = again.args(["--exact", test]).env_remove("UPDATE_EXPECT");
        let output = again.env("TZ", zone).env("LANG", language).env("LC_ALL", language).env("LANGUAGE", language);
        let output = output.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("1 passed"), "{zone} {language}: {said}");
    }
}

/// Runs each function of the examples in two isolates, the second of which has run all the others before. What it gives
/// and what it asks of its host is the same. Every function must give a value, but those that are named.
#[test]
fn the_examples_give_the_same_twice() {
    for example in EXAMPLES {
        let app = example.app();
        let load = || Guest::load(&app).unwrap().with_documents(DOCUMENTS);
        let mut worn = load();
        for index in 0..app.declarations.functions.len() {
            worn.call_function(index, "{}");
        }
        for (index, function) in app.declarations.functions.keys().enumerate() {
            let arguments = example.arguments(function);
            let first = load().call_function(index, arguments);
            assert_eq!(first, worn.call_function(index, arguments), "{function}");
            let gives_a_value = matches!(first.0, Outcome::Value(_));
            assert_eq!(gives_a_value, !example.refusing.contains(&function.as_str()), "{function}: {:?}", first.0);
        }
    }
}

#[test]
fn orders_and_numbers_do_not_depend_on_the_isolate() {
    let code = "export const f = query(() => [
        [5, 1, 4].sort(), Object.keys({ b: 1, 2: 1, a: 1, 1: 1 }), [...new Set(['z', 'a'])], [...new Map([[{}, 1], ['x', 2]]).values()],
        Array.from({ length: 200 }, (_, i) => ({ i, k: i % 3 })).sort((a, b) => a.k - b.k).map((one) => one.i),
        Math.sin(1e9), Math.tan(1.1), Math.pow(1.1, 99.9), Math.exp(7.7), Math.log(3.3), Math.cbrt(2), Math.hypot(1.1, 2.2, 3.3),
        0.1 + 0.2, (1 / 3).toString(36), Array.from({ length: 50 }, Math.random), new Error('x').stack,
      ]);";
    let first = run(FunctionKind::Query, code);
    assert!(first.starts_with('['), "{first}");
    let mut warm = Guest::of_kind(FunctionKind::Query, code).unwrap();
    // Often enough for the optimizing compiler to have its say.
    for _ in 0..2_000 {
        assert_eq!(warm.call("{}"), first);
    }
}
