//! One TypeScript file: parsed, with its scopes.

use oxc::allocator::Allocator;
use oxc::ast::ast::Program;
use oxc::diagnostics::{OxcDiagnostic, Severity};
use oxc::parser::Parser;
use oxc::semantic::{Scoping, SemanticBuilder};
use oxc::span::{SourceType, Span};

use super::nesting;
use super::report::{File, Report, Reported};

/// A parsed file.
pub(super) struct Unit<'a> {
    /// Its path and text.
    pub file: File<'a>,
    /// Its syntax tree. Its `node_id`s are set by the analysis behind `scoping`.
    pub program: Program<'a>,
    /// What each name in it is bound to.
    pub scoping: Scoping,
}

impl<'a> Unit<'a> {
    /// Parses a file. The tree lives in the arena.
    pub(super) fn parse(arena: &'a Allocator, path: &'a str, text: &'a str, report: &Report) -> Result<Self, Reported> {
        let file = File::new(path, text);
        nesting::check(&file, nesting::RUN_BYTES_MAX, report)?;
        let parsed = Parser::new(arena, text, SourceType::ts().with_module(true)).parse();
        if let Some(reported) = report_all(&file, parsed.diagnostics.into_vec(), report) {
            return Err(reported);
        }
        let program = parsed.program;
        let analysed = SemanticBuilder::new_compiler().with_excess_capacity(1.0).build(&program);
        let scoping = analysed.semantic.into_scoping();
        match report_all(&file, analysed.diagnostics.into_vec(), report) {
            Some(reported) => Err(reported),
            None => Ok(Self { file, program, scoping }),
        }
    }
}

fn report_all(file: &File, diagnostics: Vec<OxcDiagnostic>, report: &Report) -> Option<Reported> {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    errors.map(|error| report_one(file, error, report)).last()
}

fn report_one(file: &File, error: &OxcDiagnostic, report: &Report) -> Reported {
    let label = error.labels.iter().find(|label| label.primary()).or_else(|| error.labels.first());
    let span = label.map_or(Span::empty(0), |label| label.span());
    let message = format!("syntax error: {}", error.message.trim_end_matches('.'));
    match &error.help {
        Some(help) => report.error_with_help(file, span, message, help.trim_end_matches('.')),
        None => report.error(file, span, message),
    }
}
