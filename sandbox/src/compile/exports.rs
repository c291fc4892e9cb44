//! Finds functions and collections by their syntax: `export const f = query(…)`.

use std::collections::{BTreeMap, HashSet};

use oxc::ast::ast::{CallExpression, Expression};
use oxc::span::Span;
use weir_schema::declarations::FunctionKind;
use weir_schema::name::{RESERVED_FUNCTIONS, is_graphql_name};

use super::graph::{FUNCTIONS, Graph, Meaning};
use super::module::{ExportSource, Module, ValueDeclaration};
use super::report::Report;
use super::specifier::Target;

/// What a call of a function of "weir" makes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// `query(…)`, `view(…)`, `procedure(…)`, `action(…)`, `stream(…)`
    Function(FunctionKind),
    /// `view.groupBy(…)`
    GroupBy,
    /// `view.index(…)`
    Index,
    /// `collection<T>(…)`
    Collection,
    /// `http.post(path, action(…))` and the like.
    Endpoint,
}

impl Maker {
    /// What a call of this name of "weir" makes.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "query" => Some(Self::Function(FunctionKind::Query)),
            "view" => Some(Self::Function(FunctionKind::View)),
            "procedure" => Some(Self::Function(FunctionKind::Procedure)),
            "action" => Some(Self::Function(FunctionKind::Action)),
            "stream" => Some(Self::Function(FunctionKind::Stream)),
            "collection" => Some(Self::Collection),
            "http" => Some(Self::Endpoint),
            _ => None,
        }
    }

    /// What a call of this member of `view` makes.
    fn of_view(member: &str) -> Option<Self> {
        match member {
            "groupBy" => Some(Self::GroupBy),
            "index" => Some(Self::Index),
            _ => None,
        }
    }

    /// Whether its first argument says which elements it is over.
    pub(super) fn is_over_elements(self) -> bool {
        matches!(self, Self::GroupBy | Self::Index)
    }
}

/// A constant that holds a function or a collection.
#[derive(Clone, Copy)]
pub(super) struct Made<'a, 'g> {
    /// The name under which the app knows it.
    pub name: &'a str,
    /// The constant's name in its module.
    pub local: &'a str,
    /// What it is.
    pub maker: Maker,
    /// The call that makes it.
    pub call: &'a CallExpression<'a>,
    /// The module with the constant.
    pub home: &'g Module<'a>,
    /// The local name in the text.
    pub span: Span,
    /// The start of the constant's statement.
    pub statement: u32,
    /// The module that exports it, and the place of the export there.
    pub exported: (&'g Module<'a>, Span),
}

/// What an expression at the top of a module makes.
pub(super) fn maker<'a>(
    graph: &Graph<'a>,
    module: &Module<'a>,
    value: &'a Expression<'a>,
) -> Option<(Maker, &'a CallExpression<'a>)> {
    let Expression::CallExpression(call) = value.get_inner_expression() else {
        return None;
    };
    callee(graph, module, &call.callee).map(|maker| (maker, &**call))
}

/// What a call of this callee makes.
pub(super) fn callee<'a>(graph: &Graph<'a>, module: &Module<'a>, callee: &Expression<'a>) -> Option<Maker> {
    if let Expression::StaticMemberExpression(member) = callee.get_inner_expression()
        && let Some(maker) = Maker::of_view(&member.property.name)
        && weir_name(graph, module, &member.object) == Some("view")
    {
        return Some(maker);
    }
    if let Expression::StaticMemberExpression(member) = callee.get_inner_expression()
        && weir_name(graph, module, &member.object) == Some("http")
    {
        return Some(Maker::Endpoint);
    }
    Maker::named(weir_name(graph, module, callee)?)
}

/// The name in the module "weir" that an expression stands for: `query`, or `weir.query` after `import * as weir`.
pub(super) fn weir_name<'a>(graph: &Graph<'a>, module: &Module<'a>, expression: &Expression<'a>) -> Option<&'a str> {
    match expression.get_inner_expression() {
        Expression::Identifier(identifier) => match graph.lookup(module, identifier.name.as_str()) {
            Some(Meaning::Weir(name)) => Some(name),
            _ => None,
        },
        Expression::StaticMemberExpression(member) => match &member.object {
            Expression::Identifier(identifier) => match graph.lookup(module, identifier.name.as_str()) {
                Some(Meaning::Whole(Target::Weir)) => Some(member.property.name.as_str()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// The functions of an app in the order of their exports, and its collections.
pub(super) fn find<'a, 'g>(graph: &'g Graph<'a>, report: &'g Report) -> (Vec<Made<'a, 'g>>, Vec<Made<'a, 'g>>) {
    let mut finder = Finder { graph, report, functions: Vec::new(), collections: Vec::new(), seen: HashSet::new() };
    let (inside, outside): (Vec<_>, Vec<_>) =
        graph.modules().partition(|module| module.file.path.starts_with(FUNCTIONS));
    for module in &inside {
        finder.own_exports(module, Visibility::Public);
    }
    for module in &inside {
        finder.foreign_exports(module);
    }
    for module in &outside {
        finder.own_exports(module, Visibility::Private);
    }
    finder.unexported_collections();
    let Finder { functions, collections, .. } = finder;
    check_names(&functions, "function", report);
    check_names(&collections, "collection", report);
    (functions, collections)
}

/// Whether the exports of a module are the app's functions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visibility {
    Public,
    Private,
}

struct Finder<'a, 'g> {
    graph: &'g Graph<'a>,
    report: &'g Report,
    functions: Vec<Made<'a, 'g>>,
    collections: Vec<Made<'a, 'g>>,
    /// Module path and name of each constant found so far.
    seen: HashSet<(&'a str, &'a str)>,
}

impl<'a, 'g> Finder<'a, 'g> {
    /// The functions and collections that a module both declares and exports.
    fn own_exports(&mut self, module: &'g Module<'a>, visibility: Visibility) {
        for (name, export) in &module.exports {
            let ExportSource::Local(local) = export.source else {
                continue;
            };
            let Some(made) = self.made(name, module, local, (module, export.span)) else {
                continue;
            };
            let path = module.file.path;
            if visibility == Visibility::Private && made.maker != Maker::Collection {
                if !self.seen.contains(&(path, local)) {
                    self.report.error_with_help(
                        module.file,
                        export.span,
                        format!("`{name}` is outside {FUNCTIONS}, where nobody can call it"),
                        format!("move it to a file in {FUNCTIONS}, or export it from one: export {{ {name} }} from …"),
                    );
                }
                continue;
            }
            if self.seen.insert((path, local)) {
                self.push(made);
            } else {
                self.report_second_name(local, name, module, export.span);
            }
        }
    }

    /// The functions that a module of `functions/` exports for others.
    fn foreign_exports(&mut self, module: &'g Module<'a>) {
        for name in self.graph.exported_names(module) {
            let meaning = self.graph.exported(Target::File(module.file.path), name);
            let Some(Meaning::Declared(home, local)) = meaning else {
                continue;
            };
            let span = module.exports.get(name).map_or(Span::empty(0), |export| export.span);
            let Some(made) = self.made(name, home, local, (module, span)) else {
                continue;
            };
            if made.maker == Maker::Collection {
                continue;
            }
            if self.seen.insert((home.file.path, local)) {
                self.push(made);
            } else if !self.functions.iter().any(|function| function.name == name) {
                self.report_second_name(local, name, module, span);
            }
        }
    }

    fn made(
        &self,
        name: &'a str,
        home: &'g Module<'a>,
        local: &'a str,
        exported: (&'g Module<'a>, Span),
    ) -> Option<Made<'a, 'g>> {
        let value = home.values.get(local)?;
        let ValueDeclaration::Const(expression) = value.declaration else {
            return None;
        };
        let (maker, call) = maker(self.graph, home, expression)?;
        Some(Made { name, local, maker, call, home, span: value.span, statement: value.statement, exported })
    }

    fn push(&mut self, made: Made<'a, 'g>) {
        match made.maker {
            Maker::Collection => self.collections.push(made),
            Maker::Function(_) | Maker::GroupBy | Maker::Index | Maker::Endpoint => self.functions.push(made),
        }
    }

    fn report_second_name(&self, local: &str, name: &str, module: &Module, span: Span) {
        let message = format!("`{local}` is exported a second time, as `{name}`");
        self.report.error_with_help(module.file, span, message, "export it under one name");
    }

    fn unexported_collections(&self) {
        for module in self.graph.modules() {
            for (name, value) in &module.values {
                let ValueDeclaration::Const(expression) = value.declaration else {
                    continue;
                };
                let makes = maker(self.graph, module, expression).map(|(maker, _)| maker);
                if makes == Some(Maker::Collection) && !self.seen.contains(&(module.file.path, *name)) {
                    let message = format!("the collection `{name}` is not exported, so that it has no name");
                    self.report.error_with_help(module.file, value.span, message, "write `export const`");
                }
            }
        }
    }
}

fn check_names(found: &[Made], noun: &str, report: &Report) {
    let mut first: BTreeMap<&str, &Made> = BTreeMap::new();
    for made in found {
        let (module, span) = made.exported;
        let name = made.name;
        if RESERVED_FUNCTIONS.contains(&name) && made.maker != Maker::Collection {
            let message = format!("`{name}` is a field that Weir itself adds to every API");
            report.error_with_help(module.file, span, message, "choose another name");
        } else if !is_graphql_name(name) {
            let message = format!("`{name}` is not a name that GraphQL allows");
            let help = "use letters, digits and `_`, not starting with a digit or with `__`";
            report.error_with_help(module.file, span, message, help);
        }
        if let Some(other) = first.get(name) {
            let (elsewhere, at) = other.exported;
            let message = format!("a second {noun} is named `{name}`");
            let help = format!("the first is at {}:{}", elsewhere.file.path, elsewhere.file.line(at.start));
            report.error_with_help(module.file, span, message, format!("{help}; rename one of them"));
        } else {
            first.insert(name, made);
        }
    }
}
