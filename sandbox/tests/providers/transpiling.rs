//! One module at a time, what is wrong with it, and a transpiler that is not there.

use expect_test::expect;
use weir_sandbox::Diagnostic;
use weir_sandbox::compile::{Sources, TRANSPILERS, TranspileOptions, compile, transpile};
use weir_sandbox::diagnostic::Style;
use weir_schema::manifest::Transpiler;

fn show(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| diagnostic.render(Style::Plain)).collect::<Vec<_>>().join("\n")
}

#[test]
fn one_module_needs_no_app() {
    for transpiler in TRANSPILERS {
        let options = TranspileOptions { path: "functions/x.ts", transpiler: *transpiler };
        let source =
            "\u{feff}import { a, type B } from './x';\nimport { C } from './y';\nexport const b: B & C = a as any;\n";
        let javascript = transpile(source, &options).unwrap_or_else(|diagnostics| panic!("{diagnostics:?}"));
        let code = javascript.code.replace('\'', "\"");
        assert_eq!(code, "import { a } from \"./x\";\nexport const b = a;\n");
        assert_eq!(javascript.specifiers, ["./x"]);
        let map: serde_json::Value = serde_json::from_str(&javascript.source_map).unwrap();
        assert_eq!((&map["version"], &map["sources"]), (&3.into(), &["functions/x.ts"].as_slice().into()));
    }
}

/// What is wrong with a module is found before a transpiler sees it: all of them tell the same, at the same place.
#[test]
fn mistakes_are_told_alike() {
    let mistakes = [
        "const const",
        "export const a = <div>text</div>;",
        "enum E { A } export const a = E.A;",
        "@sealed class K {}",
        "let x = 1;",
        "import { a } from \"./missing\";",
        "class A { accessor a = 1 }",
        "export const a: = 1;",
    ];
    for mistake in mistakes {
        let told = TRANSPILERS.iter().map(|transpiler| {
            let manifest = format!("name = \"t\"\nversion = \"1.0.0\"\ntranspiler = \"{}\"", transpiler.as_str());
            let files = [("app.toml", manifest), ("functions/t.ts", mistake.to_owned())];
            let files = files.map(|(path, text)| (path.to_owned(), text));
            show(&compile(&Sources::from_texts(files)).err().unwrap_or_else(|| panic!("{mistake:?} compiles")))
        });
        let told: Vec<String> = told.collect();
        assert!(told.iter().all(|one| *one == told[0]), "{told:#?}");
    }
}

/// The places where swc does not follow the specification, each with what it says.
#[cfg(feature = "swc")]
#[test]
fn what_swc_does_not_read() {
    let options = |transpiler| TranspileOptions { path: "x.ts", transpiler };
    let table = [
        (
            "for (using a = open(); ready(); next());\n",
            expect![[r#"
            error: swc does not read this: Expected ';', got 'ident'
             --> x.ts:1:12
              |
            1 | for (using a = open(); ready(); next());
              |            ^
            help: write it another way, or choose transpiler = "oxc" in app.toml
        "#]],
        ),
        (
            "var namespace = 1, module = 2;\nnamespace\nmodule = 3;\n",
            expect![[r#"
            error: swc does not read this: Expected '{', got '='
             --> x.ts:3:8
              |
            3 | module = 3;
              |        ^
            help: write it another way, or choose transpiler = "oxc" in app.toml
        "#]],
        ),
    ];
    for (source, expected) in table {
        assert!(transpile(source, &options(Transpiler::Oxc)).is_ok());
        expected.assert_eq(&show(&transpile(source, &options(Transpiler::Swc)).err().unwrap_or_default()));
    }
}

#[cfg(not(feature = "swc"))]
#[test]
fn a_transpiler_that_this_build_lacks_is_told_where_it_is_chosen() {
    let files = [
        ("app.toml", "name = \"t\"\nversion = \"1.0.0\"\n\ntranspiler = \"swc\" # a comment\n"),
        ("functions/t.ts", "import { query } from \"weir\";\nexport const a = query((): string => \"\");\n"),
    ];
    let sources = Sources::from_texts(files.map(|(path, text)| (path.to_owned(), text.to_owned())));
    let told = compile(&sources).err().unwrap_or_default();
    expect![[r#"
        error: this build of weir has no transpiler swc
         --> app.toml:4:14
          |
        4 | transpiler = "swc" # a comment
          |              ^^^^^
        help: build weir with `cargo install --features swc`, or leave `transpiler` out of app.toml
    "#]]
    .assert_eq(&show(&told));
    let options = TranspileOptions { path: "x.ts", transpiler: Transpiler::Swc };
    expect![[r#"
        error: this build of weir has no transpiler swc
         --> x.ts
        help: build weir with `cargo install --features swc`, or leave `transpiler` out of app.toml
    "#]]
    .assert_eq(&show(&transpile("", &options).err().unwrap_or_default()));
}

/// Code as deep as the compiler accepts fits on its stack with every transpiler.
#[test]
fn deep_code_is_printed() {
    let nested = |open: &str, middle: &str, close: &str, bytes: usize| {
        let times = bytes / (open.len() + close.len());
        format!("var a, x = {}{middle}{};\n", open.repeat(times), close.repeat(times))
    };
    let table = [
        nested("(", "1", ")", 1_900),
        nested("[", "1", "]", 1_900),
        nested("a=", "1", "", 4_900),
        nested("!", "1", "", 4_900),
        nested("a?a:", "1", "", 4_900),
        nested("1+", "1", "", 4_900),
        nested("2**", "1", "", 4_900),
        nested("a=>", "1", "", 4_900),
        nested("<A>", "1", "", 600),
        nested("new ", "a", "", 4_900),
        nested("", "a", ".a", 4_900),
        nested("", "a", "?.a", 4_900),
        nested("", "a", "!", 4_900),
        nested("", "a", "``", 4_900),
        nested("", "a", " as A", 4_900),
        nested("", "a", "()", 4_900),
        nested("{a:", "1", "}", 4_000),
        format!("var a; {}1;", "if(a)1;else ".repeat(3_000)),
    ];
    for (index, source) in table.iter().enumerate() {
        for transpiler in TRANSPILERS {
            let options = TranspileOptions { path: "x.ts", transpiler: *transpiler };
            let told = transpile(source, &options).err().unwrap_or_default();
            assert!(told.is_empty(), "{index}, {}: {}", transpiler.as_str(), show(&told));
        }
    }
}

/// The bound of swc is lower, since its stack and its time grow faster.
#[cfg(feature = "swc")]
#[test]
fn code_that_is_too_deep_for_swc_is_refused() {
    let source = format!("var a, x = {}1;", "a=".repeat(5_000));
    let told = |transpiler| transpile(&source, &TranspileOptions { path: "x.ts", transpiler }).err();
    assert_eq!(told(Transpiler::Oxc), None);
    let told = show(&told(Transpiler::Swc).unwrap_or_default());
    assert!(told.starts_with("error: this nests too deeply to be compiled\n"), "{told}");
}
