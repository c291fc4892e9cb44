//! One more export at the end of each module: of all that its top declares for itself, under names that no app can write.
//! The isolate freezes what hangs from them. At the end, source maps stay right.

use std::collections::BTreeSet;

use oxc::ast::ast::{BindingIdentifier, Declaration, Program, Statement};

/// What those names begin with.
pub(super) const PREFIX: &str = "weir:";

/// The export, as a line of JavaScript; empty where there is nothing to export.
pub(super) fn export(program: &Program) -> String {
    let declared = program.body.iter().filter_map(Statement::as_declaration).flat_map(declared);
    // A function has several declarations where it is overloaded.
    let names: BTreeSet<&str> = declared.map(|id| id.name.as_str()).collect();
    let exports: Vec<String> = names.iter().map(|name| format!("{name} as \"{PREFIX}{name}\"")).collect();
    if exports.is_empty() { String::new() } else { format!("export {{ {} }};\n", exports.join(", ")) }
}

/// The names of a declaration that are there in JavaScript too.
fn declared<'d, 'a>(declaration: &'d Declaration<'a>) -> Vec<&'d BindingIdentifier<'a>> {
    match declaration {
        Declaration::VariableDeclaration(variables) if !variables.declare => {
            variables.declarations.iter().flat_map(|one| one.id.get_binding_identifiers()).collect()
        }
        Declaration::FunctionDeclaration(function) if !function.declare => function.id.iter().collect(),
        Declaration::ClassDeclaration(class) if !class.declare => class.id.iter().collect(),
        _ => Vec::new(),
    }
}
