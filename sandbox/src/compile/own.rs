//! One more statement at the end of each module: it hands the isolate all that the top declares for itself, so that what
//! hangs from it can be frozen. At the end, source maps stay right.

use std::collections::BTreeSet;

use oxc::ast::ast::{BindingIdentifier, Declaration, Statement};

use super::unit::Unit;
use crate::modules::KEEP;

/// The statement, with the import that it needs, in two lines of JavaScript; empty where there is nothing to hand over.
pub(super) fn handed_over(unit: &Unit) -> String {
    let declared = unit.program.body.iter().filter_map(Statement::as_declaration).flat_map(declared);
    // A function has several declarations where it is overloaded.
    let names: BTreeSet<&str> = declared.map(|id| id.name.as_str()).collect();
    if names.is_empty() {
        return String::new();
    }
    let mut keep = "weirKeep".to_owned();
    while unit.file.text.contains(&keep) {
        keep.push('_');
    }
    let names: Vec<&str> = names.into_iter().collect();
    let (path, names) = (unit.file.path, names.join(", "));
    format!("import {{ keep as {keep} }} from {KEEP:?};\n{keep}({path:?}, {{ {names} }});\n")
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
