//! The corpus: between them, the modules in `corpus/functions` use every syntax of TypeScript that Weir accepts.
//!
//! Each is an app by itself, with the modules of `corpus/lib` to import. What its functions return and where they throw
//! is recorded in `corpus/outcomes`; `UPDATE_EXPECT=1` renews it from what oxc does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use expect_test::expect_file;
use weir_sandbox::compile::{Sources, TRANSPILERS, compile};
use weir_sandbox::diagnostic::Style;
use weir_schema::manifest::Transpiler;

use crate::outcomes;

/// How far apart two transpilers may see the place of one error.
const COLUMNS_APART_MAX: i64 = 16;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/providers/corpus")
}

/// The modules in a folder of the corpus by path.
fn modules(name: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder().join(name)).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let file = entry.file_name().into_string().unwrap();
            (format!("{name}/{file}"), fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

/// As an editor on Windows saves it.
fn of_windows(text: &str) -> String {
    format!("\u{feff}{}", text.replace('\n', "\r\n"))
}

fn outcome(path: &str, text: &str, lib: &BTreeMap<String, String>, transpiler: Transpiler) -> String {
    let manifest = format!("name = \"corpus\"\nversion = \"1.0.0\"\ntranspiler = \"{}\"\n", transpiler.as_str());
    let own = [("app.toml".to_owned(), manifest), (path.to_owned(), text.to_owned())];
    let sources = Sources::from_texts(own.into_iter().chain(lib.clone()));
    let app = match compile(&sources) {
        Ok(app) => app,
        Err(diagnostics) => return diagnostics.iter().map(|diagnostic| diagnostic.render(Style::Plain)).collect(),
    };
    outcomes::of(app, &BTreeMap::new(), &Arc::default())
}

#[test]
fn the_corpus_behaves_as_recorded() {
    let (modules, lib) = (modules("functions"), modules("lib"));
    assert!(modules.len() >= 40, "{}", modules.len());
    let mut disagreements = Vec::new();
    for (path, text) in &modules {
        let name = Path::new(path).file_stem().unwrap().to_str().unwrap();
        let expected = outcome(path, text, &lib, Transpiler::Oxc);
        expect_file![folder().join(format!("outcomes/{name}.txt"))].assert_eq(&expected);
        for transpiler in TRANSPILERS {
            for (form, text) in [("as it is", text), ("saved on Windows", &of_windows(text))] {
                let found = outcome(path, text, &lib, *transpiler);
                if without_columns(&found) != without_columns(&expected) || !are_close(&found, &expected) {
                    let name = transpiler.as_str();
                    disagreements.push(format!("{path} {form}, with {name}: {}", difference(&expected, &found)));
                }
            }
        }
    }
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}

/// Frames of a stack name file, line and column: `    at functions/a.ts:3:5 in f`.
fn split_at_column(line: &str) -> Option<(String, i64)> {
    let (place, function) = line.strip_prefix("    at ")?.split_once(" in ").map_or((line, ""), |(_, f)| {
        (line.strip_suffix(f).and_then(|rest| rest.strip_suffix(" in ")).unwrap_or(line), f)
    });
    let (place, column) = place.rsplit_once(':')?;
    Some((format!("{place} {function}"), column.parse().ok()?))
}

fn without_columns(outcome: &str) -> Vec<String> {
    outcome.lines().map(|line| split_at_column(line).map_or(line.to_owned(), |(line, _)| line)).collect()
}

/// Whether all columns are. Printers differ in which parts of an expression they map.
fn are_close(one: &str, other: &str) -> bool {
    let columns = |outcome: &str| outcome.lines().filter_map(split_at_column).map(|(_, column)| column).collect();
    let (one, other): (Vec<i64>, Vec<i64>) = (columns(one), columns(other));
    one.iter().zip(&other).all(|(one, other)| (one - other).abs() <= COLUMNS_APART_MAX)
}

/// The lines in which two outcomes differ.
fn difference(expected: &str, found: &str) -> String {
    let lines = expected.lines().zip(found.lines()).filter(|(expected, found)| expected != found);
    let lines: Vec<String> = lines.map(|(expected, found)| format!("\n  {expected}\n  {found}")).collect();
    if lines.is_empty() { format!("\n{expected}\n{found}") } else { lines.concat() }
}
