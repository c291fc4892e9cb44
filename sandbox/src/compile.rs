//! A folder of TypeScript in, an [`App`] or diagnostics out. Pure: reading the folder is [`Sources`]' part.
//!
//! The way of one compilation, top to bottom:
//!
//! | module | what it does |
//! |---|---|
//! | `sources` | the texts of an app |
//! | `unit`, `nesting` | one file parsed by oxc, with its scopes, on a stack that is deep enough |
//! | `graph`, `module`, `specifier` | all files that functions and collections reach, and what names mean |
//! | `links` | every import leads to something, none in circles |
//! | `restrict`, `state` | what a module must not contain: decorators, top-level await, state that outlives a call |
//! | `closures`, `kept` | state that hides: in closures, generators and instances that the top of a module keeps |
//! | `exports` | functions and collections, found by their syntax |
//! | `collections`, `references`, `functions`, `group_by`, `view_index`, `elements`, `keep`, `literal` | what they declare |
//! | `uses`, `dependencies`, `recursion` | which functions use which collections and each other, and no view itself |
//! | `times` | what `app.toml` gives calls is no longer than their transactions may take |
//! | `checks` | what `app.toml` has called before a rollout is there and needs no arguments |
//! | `migrations` | what `app.toml` has documents migrated by is there and takes documents |
//! | `crons` | what `app.toml` calls again and again is there and takes what it is given |
//! | `costs` | what `app.toml` names the cost of is there |
//! | `metrics` | what the text gives values to is declared in `app.toml`, and what callers convert by is there |
//! | `typing`, `docs` | declared TypeScript types become shapes |
//! | `emit`, `own`, `order` | types erased by oxc or swc: JavaScript, in the order in which it can run, open to the isolate |
//! | [`types`] | the editor's view of the module "weir" |
//! | `report` | diagnostics, and the proof that one was given |

mod checks;
mod closures;
mod collections;
mod costs;
mod crons;
mod dependencies;
mod docs;
mod elements;
mod emit;
mod endpoints;
mod exports;
mod functions;
mod graph;
mod group_by;
mod keep;
mod kept;
mod links;
mod literal;
mod metrics;
mod migrations;
mod module;
mod nesting;
mod order;
mod own;
mod recursion;
mod references;
mod report;
mod restrict;
mod sources;
mod specifier;
mod state;
#[cfg(test)]
mod tests;
mod times;
pub mod types;
mod typing;
mod unit;
mod uses;
mod view_index;
mod weir;

use oxc::allocator::Allocator;
use oxc::span::Span;
use weir_schema::declarations::Declarations;
use weir_schema::dependencies::DependencyGraph;
use weir_schema::limits::{COLLECTIONS_MAX, FUNCTIONS_MAX};
use weir_schema::manifest::{self, Manifest, Transpiler};

use crate::app::{App, Module};
use crate::diagnostic::Diagnostic;
use emit::Provider;
use exports::Made;
use graph::Graph;
use report::{File, Report, Reported};
use specifier::Target;
use typing::{Place, Types};
use unit::Unit;
use uses::Items;

pub use emit::{JavaScript, TRANSPILERS};
pub use sources::{Sources, SourcesError};

/// What an app says of itself.
const MANIFEST: &str = "app.toml";
/// Who may do what.
const POLICIES: &str = "policies.cedar";

/// A compiled app, and what is known of it that it does not need to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// What runs.
    pub app: App,
    /// Which of its functions use which collections and each other.
    pub dependencies: DependencyGraph,
}

/// Compiles an app. What is wrong is told all at once, by file and position.
pub fn compile(sources: &Sources) -> Result<App, Vec<Diagnostic>> {
    compile_and_relate(sources).map(|compiled| compiled.app)
}

/// The same, with the dependencies of the app.
pub fn compile_and_relate(sources: &Sources) -> Result<Compiled, Vec<Diagnostic>> {
    nesting::on_a_deep_stack(|| compile_here(sources)).unwrap_or_else(|error| Err(defect(&error)))
}

/// How one module is transpiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TranspileOptions<'a> {
    /// The name of the file in diagnostics and in the source map.
    pub path: &'a str,
    /// What does it.
    pub transpiler: Transpiler,
}

/// Erases the types of one module, whatever it declares and imports.
pub fn transpile(source: &str, options: &TranspileOptions) -> Result<JavaScript, Vec<Diagnostic>> {
    nesting::on_a_deep_stack(|| transpile_here(source, options)).unwrap_or_else(|error| Err(defect(&error)))
}

/// What keeps the compiler itself from working.
fn defect(error: &std::io::Error) -> Vec<Diagnostic> {
    let report = Report::default();
    report.file_error(MANIFEST, format!("the compiler failed: {error}"), "report it with the app's sources");
    report.into_diagnostics()
}

fn compile_here(sources: &Sources) -> Result<Compiled, Vec<Diagnostic>> {
    let arena = Allocator::default();
    let report = Report::default();
    let manifest = read_manifest(sources, &report);
    let provider =
        manifest.as_ref().map_err(|reported| *reported).and_then(|manifest| choose(manifest, sources, &report));
    let units = graph::parse(&arena, sources, &report);
    let (declarations, mut dependencies) = declare(&units, sources, &report);
    if let (Ok(manifest), true) = (&manifest, report.is_clean()) {
        times::check(manifest, &declarations, sources, &report);
        crons::check(manifest, &declarations, sources, &report);
        checks::check(manifest, &declarations, sources, &report);
        migrations::check(manifest, &declarations, sources, &report);
        costs::check(manifest, &declarations, sources, &report);
        metrics::check(manifest, &declarations, sources, &report);
        metrics::check_names(manifest, &units, sources, &report);
    }
    if let (Ok(manifest), Ok(provider), true) = (manifest, provider, report.is_clean()) {
        let modules = emit_all(&arena, units, provider, sources, &report);
        if report.is_clean() {
            let policies = sources.text(POLICIES).map(str::to_owned);
            dependencies.add_crons(&manifest.cron);
            return Ok(Compiled { app: App { manifest, declarations, policies, modules }, dependencies });
        }
    }
    Err(report.into_diagnostics())
}

fn transpile_here(source: &str, options: &TranspileOptions) -> Result<JavaScript, Vec<Diagnostic>> {
    let arena = Allocator::default();
    let report = Report::default();
    let path = options.path;
    let emitted = Provider::new(options.transpiler)
        .map_err(|lacking| report.file_error(path, lacking.to_string(), lacking.help()))
        .and_then(|provider| {
            let text = source.strip_prefix('\u{feff}').unwrap_or(source);
            let unit = Unit::parse(&arena, path, text, &report)?;
            emit::emit(&arena, unit, provider, &report)
        });
    emitted.map_err(|_| report.into_diagnostics())
}

/// The provider that `app.toml` names.
fn choose(manifest: &Manifest, sources: &Sources, report: &Report) -> Result<Provider, Reported> {
    Provider::new(manifest.transpiler).map_err(|lacking| {
        let (path, text) = sources.entry(MANIFEST).unwrap_or((MANIFEST, ""));
        let place = manifest::place(text, "transpiler").unwrap_or_default();
        let span = Span::new(place.start as u32, place.end as u32);
        report.error_with_help(&File::new(path, text), span, lacking.to_string(), lacking.help())
    })
}

fn read_manifest(sources: &Sources, report: &Report) -> Result<Manifest, Reported> {
    let Some((path, text)) = sources.entry(MANIFEST) else {
        let help = "write one: name = \"my-app\" and version = \"0.1.0\"";
        return Err(report.file_error(MANIFEST, "this folder has no app.toml, so it is no Weir app", help));
    };
    manifest::parse(text).map_err(|error| match error.offset {
        Some(offset) => {
            let offset = offset.min(text.len()) as u32;
            let span = Span::empty(offset);
            report.error(&File::new(path, text), span, error.message)
        }
        None => report.file_error(path, error.message, "write name = \"my-app\" and version = \"0.1.0\""),
    })
}

/// Reads everything that the TypeScript of an app declares, and how it hangs together.
fn declare<'a>(units: &'a [Unit<'a>], sources: &'a Sources, report: &Report) -> (Declarations, DependencyGraph) {
    let graph = Graph::new(units, sources);
    links::check(&graph, sources, report);
    units.iter().for_each(|unit| restrict::check(&graph, unit, report));
    kept::check(&graph, units, report);
    let (made_functions, made_collections) = exports::find(&graph, report);
    check_counts(made_functions.len(), made_collections.len(), report);
    let items = Items::read(&graph, units);
    recursion::check(&graph, &items, &made_functions, report);
    let mut types = Types::new(&graph, report);
    let mut declarations = Declarations::default();
    let mut known = Vec::new();
    let documents = documents(&made_collections, &mut types, report);
    let held: Vec<(&str, &str)> = documents.iter().map(|(made, document)| (made.name, document.name)).collect();
    for (made, document) in documents {
        if let Ok(collection) = collections::read(made, document, &held, &mut types, report) {
            known.push((made.home.file.path, made.name, collection.document.clone()));
            declarations.collections.insert(collection.name.clone(), collection);
        }
    }
    let mut places = Vec::new();
    for made in &made_functions {
        if made.maker == exports::Maker::Endpoint {
            if let Ok(endpoint) = endpoints::read(&graph, made, &declarations.endpoints, report) {
                declarations.endpoints.push(endpoint);
            }
            continue;
        }
        let mut reader = functions::Reader { graph: &graph, types: &mut types, report, collections: known.as_slice() };
        if let Ok(function) = reader.read(made) {
            places.push(Place { file: made.home.file, span: made.span });
            declarations.functions.insert(function.name.clone(), function);
        }
    }
    declarations.definitions = types.finish(declarations.functions.values().zip(places));
    let dependencies = dependencies::read(&items, &made_functions, &made_collections, &declarations);
    (declarations, dependencies)
}

/// The collections with the types of their documents: all of them, before any is read, since they refer to each other.
fn documents<'m, 'a, 'g>(
    made: &'m [Made<'a, 'g>],
    types: &mut Types<'a, 'g>,
    report: &Report,
) -> Vec<(&'m Made<'a, 'g>, typing::DeclaredType<'a, 'g>)> {
    let documents = made.iter().map(|made| (made, collections::document_type(made, types, report)));
    documents.filter_map(|(made, document)| Some((made, document.ok()?))).collect()
}

fn check_counts(functions: usize, collections: usize, report: &Report) {
    let file = graph::COLLECTIONS;
    if functions == 0 && report.is_clean() {
        let help = "export one from a file in functions/: export const hello = query((): string => \"hello\")";
        report.file_error(graph::FUNCTIONS, "the app exports no function, so it has no API", help);
    }
    if functions > FUNCTIONS_MAX {
        let message = format!("the app has more than {FUNCTIONS_MAX} functions");
        report.file_error(graph::FUNCTIONS, message, "split it into several apps");
    }
    if collections > COLLECTIONS_MAX {
        let message = format!("the app has more than {COLLECTIONS_MAX} collections");
        report.file_error(file, message, "split it into several apps");
    }
}

fn emit_all<'a>(
    arena: &'a Allocator,
    units: Vec<Unit<'a>>,
    provider: Provider,
    sources: &Sources,
    report: &Report,
) -> Vec<Module> {
    let mut modules = Vec::with_capacity(units.len());
    for unit in units {
        let path = unit.file.path.to_owned();
        let own = own::handed_over(&unit);
        if let Ok(JavaScript { code, source_map, specifiers }) = emit::emit(arena, unit, provider, report) {
            let imports = specifiers.into_iter().map(|specifier| {
                let target = match specifier::resolve(sources, &path, &specifier) {
                    Ok(Target::File(target)) => target.to_owned(),
                    _ => specifier.clone(),
                };
                (specifier, target)
            });
            let imports = imports.collect();
            modules.push(Module { path, code: code + &own, source_map, imports });
        }
    }
    order::dependencies_first(modules, graph::is_root)
}
