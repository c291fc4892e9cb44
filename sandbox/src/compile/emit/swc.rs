//! The transpiler swc: the text is parsed once more, stripped and printed.
//!
//! Nothing that is accepted makes the transformation invent names, so swc's pass that keeps invented names apart is left
//! out; its pass that puts parentheses where the erased types were holding things together is not.

use oxc::span::Span;
use swc_common::source_map::DefaultSourceMapGenConfig;
use swc_common::sync::Lrc;
use swc_common::{FileName, GLOBALS, Globals, Mark, SourceFile, SourceMap, Spanned};
use swc_ecma_ast::{EsVersion, Module, ModuleDecl, ModuleItem, Program};
use swc_ecma_codegen::text_writer::JsWriter;
use swc_ecma_codegen::{Config as CodegenConfig, Emitter, Node};
use swc_ecma_parser::error::Error;
use swc_ecma_parser::{Parser, StringInput, Syntax, TsSyntax};
use swc_ecma_transforms_base::fixer::fixer;
use swc_ecma_transforms_base::resolver;
use swc_ecma_transforms_typescript::{Config, typescript};

use super::JavaScript;
use crate::compile::nesting;
use crate::compile::report::{File, Report, Reported};

/// The longest piece of code without `,`, `;` or a brace. swc takes more stack than oxc for each level of nesting, and its
/// time grows faster than their number.
const RUN_BYTES_MAX: usize = 5_000;

/// Erases the types of a module.
pub(super) fn transpile(file: &File, report: &Report) -> Result<JavaScript, Reported> {
    nesting::check(file, RUN_BYTES_MAX, report)?;
    GLOBALS.set(&Globals::new(), || {
        let sources = Lrc::new(SourceMap::default());
        let source = sources.new_source_file(FileName::Real(file.path.into()).into(), file.text.to_owned());
        let module = parse(&source).map_err(|error| {
            let place = error.span();
            let offset = |position: swc_common::BytePos| position.0.saturating_sub(source.start_pos.0);
            let message = format!("swc does not read this: {}", error.kind().msg());
            let help = "write it another way, or choose transpiler = \"oxc\" in app.toml";
            report.error_with_help(file, Span::new(offset(place.lo), offset(place.hi)), message, help)
        })?;
        print(&sources, &strip(module)).map_err(|error| {
            report.file_error(
                file.path,
                format!("swc cannot print this module: {error}"),
                "choose transpiler = \"oxc\"",
            )
        })
    })
}

fn parse(source: &SourceFile) -> Result<Module, Error> {
    let syntax = Syntax::Typescript(TsSyntax::default());
    let mut parser = Parser::new(syntax, StringInput::from(source), None);
    let module = parser.parse_module()?;
    match parser.take_errors().into_iter().next() {
        Some(error) => Err(error),
        None => Ok(module),
    }
}

fn strip(module: Module) -> Program {
    let (unresolved, top) = (Mark::new(), Mark::new());
    // As the official compiler does for ES2022 and later: a declared field is a field, also without a value.
    let config = Config { native_class_properties: true, no_empty_export: true, ..Config::default() };
    Program::Module(module)
        .apply(resolver(unresolved, top, true))
        .apply(typescript(config, unresolved, top))
        .apply(fixer(None))
}

fn print(sources: &Lrc<SourceMap>, program: &Program) -> std::io::Result<JavaScript> {
    let mut code = Vec::new();
    let mut places = Vec::new();
    let mut emitter = Emitter {
        cfg: CodegenConfig::default().with_target(EsVersion::EsNext).with_reduce_escaped_newline(false),
        cm: sources.clone(),
        comments: None,
        wr: JsWriter::new(sources.clone(), "\n", &mut code, Some(&mut places)),
    };
    program.emit_with(&mut emitter)?;
    let mut source_map = Vec::new();
    sources
        .build_source_map(&places, None, DefaultSourceMapGenConfig)
        .to_writer(&mut source_map)
        .map_err(std::io::Error::other)?;
    let text = |bytes| String::from_utf8(bytes).map_err(std::io::Error::other);
    Ok(JavaScript { code: text(code)?, source_map: text(source_map)?, specifiers: specifiers(program) })
}

fn specifiers(program: &Program) -> Vec<String> {
    let mut specifiers: Vec<String> = Vec::new();
    for item in program.as_module().into_iter().flat_map(|module| &module.body) {
        let source = match item {
            ModuleItem::ModuleDecl(ModuleDecl::Import(import)) => Some(&import.src),
            ModuleItem::ModuleDecl(ModuleDecl::ExportNamed(export)) => export.src.as_ref(),
            ModuleItem::ModuleDecl(ModuleDecl::ExportAll(export)) => Some(&export.src),
            _ => None,
        };
        if let Some(specifier) = source.and_then(|source| source.value.as_str())
            && !specifiers.iter().any(|known| known == specifier)
        {
            specifiers.push(specifier.to_owned());
        }
    }
    specifiers
}
