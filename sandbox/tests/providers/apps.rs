//! The apps of this repository: their functions do the same whichever transpiler they are compiled with.
//!
//! Arguments, documents and results are made up from the declared types.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use weir_sandbox::App;
use weir_sandbox::compile::{Sources, TRANSPILERS, compile};
use weir_schema::declarations::Declarations;
use weir_schema::manifest::Transpiler;
use weir_schema::shape::{Definition, Member, Shape, Slot};

use crate::outcomes::{self, Answers};

/// How deep made up values go before lists end and nulls begin.
const DEPTH_MAX: usize = 4;

fn value(slot: &Slot, declarations: &Declarations, depth: usize) -> Value {
    if depth > DEPTH_MAX && slot.may_be_null() {
        return Value::Null;
    }
    match &slot.shape {
        Shape::String => json!("text"),
        Shape::Boolean => json!(true),
        Shape::Int => json!(2),
        Shape::Float => json!(2.5),
        Shape::Id | Shape::Ref(_) => json!("d1"),
        Shape::DateTime => json!("2026-11-24T10:30:00.000Z"),
        Shape::Json => json!({ "a": [1, null] }),
        Shape::Bytes => json!("AAEC"),
        Shape::List(_) if depth > DEPTH_MAX => json!([]),
        Shape::List(element) => json!([value(element, declarations, depth + 1)]),
        Shape::Enum(name) | Shape::Object(name) | Shape::Union(name) => defined(name, declarations, depth + 1),
    }
}

fn defined(name: &str, declarations: &Declarations, depth: usize) -> Value {
    match &declarations.definitions[name] {
        Definition::Enum(enumeration) => json!(enumeration.values[0].typescript),
        Definition::Union(union) => defined(&union.alternatives[0].object, declarations, depth),
        Definition::Object(object) => members(&object.members, declarations, depth),
    }
}

fn members(members: &[Member], declarations: &Declarations, depth: usize) -> Value {
    let member = |member: &Member| {
        let made = member.literal.as_ref().map_or_else(|| value(&member.slot, declarations, depth), |text| json!(text));
        (member.name.clone(), made)
    };
    Value::Object(members.iter().map(member).collect::<Map<_, _>>())
}

fn outcome(app: App) -> String {
    let declarations = app.declarations.clone();
    let arguments = declarations.functions.values();
    let arguments: BTreeMap<String, Value> =
        arguments.map(|function| (function.name.clone(), members(&function.arguments, &declarations, 0))).collect();
    let documents = declarations.collections.values();
    let results = declarations.functions.values();
    let answers = Answers {
        documents: documents.map(|one| (one.name.clone(), defined(&one.document, &declarations, 0))).collect(),
        results: results.map(|one| (one.name.clone(), value(&one.result, &declarations, 0))).collect(),
    };
    outcomes::of(app, &arguments, &Arc::new(answers))
}

/// The app in a folder, compiled with a transpiler.
fn compiled(folder: &Path, transpiler: Transpiler) -> App {
    let sources = Sources::read(folder).unwrap();
    let texts = sources.paths().map(|path| {
        let text = sources.text(path).unwrap();
        let line = format!("transpiler = \"{}\"\n", transpiler.as_str());
        (path.to_owned(), if path == "app.toml" { line + text } else { text.to_owned() })
    });
    compile(&Sources::from_texts(texts)).unwrap_or_else(|diagnostics| panic!("{diagnostics:#?}"))
}

/// All that is the same about an app, whatever printed it.
fn unprinted(mut app: App) -> App {
    app.manifest.transpiler = Transpiler::Oxc;
    for module in &mut app.modules {
        module.code.clear();
        module.source_map.clear();
    }
    app
}

#[test]
fn apps_behave_alike() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folders =
        ["examples", "tests/fixtures"].into_iter().flat_map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let mut folders: Vec<PathBuf> = folders.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("app.toml").is_file());
    assert!(folders.len() >= 4, "{folders:?}");
    for folder in folders {
        let expected = compiled(&folder, Transpiler::Oxc);
        let expected_outcome = outcome(expected.clone());
        assert!(expected_outcome.contains("    asks "), "{}: {expected_outcome}", folder.display());
        for transpiler in TRANSPILERS {
            let found = compiled(&folder, *transpiler);
            assert_eq!(unprinted(found.clone()), unprinted(expected.clone()), "{}", folder.display());
            assert_eq!(outcome(found), expected_outcome, "{}", folder.display());
        }
    }
}
