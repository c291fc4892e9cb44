//! The transpiler oxc: the tree that the compiler has parsed is stripped and printed.

use std::path::Path;

use oxc::allocator::Allocator;
use oxc::ast::ast::{Program, Statement};
use oxc::codegen::{Codegen, CodegenOptions, CommentOptions};
use oxc::diagnostics::{OxcDiagnostic, Severity};
use oxc::semantic::Scoping;
use oxc::span::Span;
use oxc::transformer::{TransformOptions, Transformer};

use super::JavaScript;
use crate::compile::report::{Report, Reported};
use crate::compile::unit::Unit;

/// Erases the types of a parsed module.
pub(super) fn transpile<'a>(arena: &'a Allocator, unit: Unit<'a>, report: &Report) -> Result<JavaScript, Reported> {
    let Unit { file, mut program, scoping } = unit;
    let path = Path::new(file.path);
    let diagnostics = transform(arena, path, &mut program, scoping);
    if let Some(error) = diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error) {
        let span = error.labels.first().map_or(Span::empty(0), |label| label.span());
        return Err(report.error(&file, span, error.message.trim_end_matches('.')));
    }
    let options = CodegenOptions {
        source_map_path: Some(path.to_owned()),
        comments: CommentOptions::disabled(),
        ..CodegenOptions::default()
    };
    let printed = Codegen::new().with_options(options).build(&program);
    Ok(JavaScript {
        code: printed.code,
        source_map: printed.map.map(|map| map.to_json_string()).unwrap_or_default(),
        specifiers: specifiers(&program),
    })
}

fn transform<'a>(arena: &'a Allocator, path: &Path, program: &mut Program<'a>, scoping: Scoping) -> Vec<OxcDiagnostic> {
    let options = TransformOptions::default();
    Transformer::new(arena, path, &options).build_with_scoping(scoping, program).diagnostics.into_vec()
}

fn specifiers(program: &Program) -> Vec<String> {
    let mut specifiers: Vec<String> = Vec::new();
    for statement in &program.body {
        let source = match statement {
            Statement::ImportDeclaration(import) => &import.source,
            Statement::ExportFromDeclaration(export) => &export.source,
            Statement::ExportAllDeclaration(export) => &export.source,
            _ => continue,
        };
        let specifier = source.value.as_str();
        if !specifiers.iter().any(|known| known == specifier) {
            specifiers.push(specifier.to_owned());
        }
    }
    specifiers
}
