//! TypeScript in, declarations or diagnostics out: one case for each rule.

mod collections;
mod dependencies;
mod examples;
mod functions;
mod kept;
mod metrics;
mod modules;
mod names;
mod objects;
mod recursion;
mod references;
mod refusals;
mod state;
mod unions;
mod view_index;

use std::fmt::Write;

use expect_test::Expect;
use weir_schema::declarations::{Declarations, Groups, Keep, ViewIndex};
use weir_schema::references::Reference;
use weir_schema::shape::{Definition, Member, Shape, Slot};

use super::{Compiled, Sources, compile_and_relate};
use crate::app::App;
use crate::diagnostic::Style;

/// Compiles files, each after a line `// file: path`; what stands before the first is `functions/t.ts`.
fn compile_text(text: &str) -> Result<App, String> {
    compiled(text).map(|compiled| compiled.app)
}

/// The same, with dependencies.
fn compiled(text: &str) -> Result<Compiled, String> {
    let mut files = vec![("app.toml".to_owned(), "name = \"t\"\nversion = \"1.0.0\"\n".to_owned())];
    let mut path = "functions/t.ts".to_owned();
    let mut current = String::new();
    for line in text.trim_start_matches('\n').lines() {
        match line.trim_start().strip_prefix("// file: ") {
            Some(next) => {
                files.push((std::mem::replace(&mut path, next.to_owned()), std::mem::take(&mut current)));
            }
            None => {
                current.push_str(line.strip_prefix("        ").unwrap_or(line));
                current.push('\n');
            }
        }
    }
    files.push((path, current));
    let files = files.into_iter().filter(|(_, text)| !text.trim().is_empty());
    compile_and_relate(&Sources::from_texts(files)).map_err(|diagnostics| {
        diagnostics.iter().map(|diagnostic| diagnostic.render(Style::Plain)).collect::<Vec<_>>().join("\n")
    })
}

/// Checks what files declare, or what is wrong with them.
fn check(text: &str, expected: Expect) {
    match compile_text(text) {
        Ok(app) => expected.assert_eq(&show(&app.declarations)),
        Err(diagnostics) => expected.assert_eq(&diagnostics),
    }
}

/// Checks the JavaScript of files.
fn check_javascript(text: &str, expected: Expect) {
    let app = compile_text(text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let modules = app.modules.iter().map(|module| format!("// {} {:?}\n{}", module.path, module.imports, module.code));
    expected.assert_eq(&modules.collect::<Vec<_>>().join("\n"));
}

/// Declarations, one a line.
fn show(declarations: &Declarations) -> String {
    let mut text = String::new();
    for collection in declarations.collections.values() {
        let _ = write!(text, "collection {}: {} {}", collection.name, collection.document, collection.value);
        for index in &collection.indexes {
            let kind = if index.unique { "unique" } else { "index" };
            let _ = write!(text, " {kind}({})", index.fields.join(", "));
        }
        for Reference { member, target, on_delete, .. } in &collection.references {
            let _ = write!(text, " {member}->{target}({})", on_delete.as_str());
        }
        text.push('\n');
    }
    for function in declarations.functions.values() {
        let arguments: Vec<String> = function.arguments.iter().map(show_member).collect();
        let kind = function.kind.as_str();
        let _ = write!(text, "{kind} {}({}): {}", function.name, arguments.join(", "), show_slot(&function.result));
        match &function.keep {
            None | Some(Keep::OnDemand) => {}
            Some(Keep::Cron(schedule)) => {
                let _ = write!(text, " Cron({schedule})");
            }
            Some(keep) => {
                let _ = write!(text, " {keep:?}");
            }
        }
        text.push_str(&show_description(&function.description));
        if let Some(Groups { collection, lists, aggregates }) = &function.groups {
            let _ = write!(text, "\n  over {}", show_source(collection, lists));
            for (name, aggregate) in aggregates {
                let _ = write!(text, " {name}={aggregate:?}");
            }
        }
        if let Some(ViewIndex { collection, lists, parts, has_values }) = &function.index {
            let _ = write!(text, "\n  over {}", show_source(collection, lists));
            let _ = write!(text, " by {}", parts.as_ref().map_or("key".to_owned(), |parts| parts.join(", ")));
            text.push_str(if *has_values { " with values" } else { "" });
        }
        text.push('\n');
    }
    for definition in declarations.definitions.values() {
        let description = match definition {
            Definition::Object(object) => {
                let members: Vec<String> = object
                    .members
                    .iter()
                    .map(|member| format!("{}{}", show_member(member), show_description(&member.description)))
                    .collect();
                let _ = write!(text, "type {} / {} {{ {} }}", object.name, object.input_name, members.join(", "));
                &object.description
            }
            Definition::Enum(enumeration) => {
                let values: Vec<String> = enumeration
                    .values
                    .iter()
                    .map(|value| match value.graphql == value.typescript {
                        true => value.graphql.clone(),
                        false => format!("{} = {:?}", value.graphql, value.typescript),
                    })
                    .collect();
                let _ = write!(text, "enum {} {{ {} }}", enumeration.name, values.join(", "));
                &enumeration.description
            }
            Definition::Union(union) => {
                let alternatives: Vec<String> = union
                    .alternatives
                    .iter()
                    .map(|alternative| format!("{:?} {}", alternative.literal, alternative.object))
                    .collect();
                let _ = write!(text, "union {} by {} = {}", union.name, union.discriminator, alternatives.join(" | "));
                &union.description
            }
        };
        text.push_str(&show_description(description));
        text.push('\n');
    }
    text
}

fn show_source(collection: &str, lists: &[String]) -> String {
    let names: Vec<&str> = std::iter::once(collection).chain(lists.iter().map(String::as_str)).collect();
    names.join(".")
}

fn show_member(member: &Member) -> String {
    let optional = if member.slot.optional { "?" } else { "" };
    let literal = member.literal.as_ref().map(|literal| format!(" = {literal:?}")).unwrap_or_default();
    format!("{}{optional}: {}{literal}", member.name, show_slot(&member.slot))
}

fn show_slot(slot: &Slot) -> String {
    let shape = match &slot.shape {
        Shape::List(element) => format!("[{}]", show_slot(element)),
        Shape::Ref(name) => format!("Ref<{name}>"),
        Shape::Enum(name) | Shape::Object(name) | Shape::Union(name) => name.clone(),
        scalar => format!("{scalar:?}"),
    };
    if slot.nullable { format!("{shape} | null") } else { shape }
}

fn show_description(description: &Option<String>) -> String {
    description.as_ref().map(|description| format!(" {description:?}")).unwrap_or_default()
}
