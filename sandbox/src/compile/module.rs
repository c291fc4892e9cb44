//! What one module declares at its top: imports, exports, types and values, by name.

use std::collections::HashMap;

use indexmap::IndexMap;
use oxc::ast::ast::*;
use oxc::semantic::Scoping;
use oxc::span::{GetSpan, Span};

use super::docs;
use super::report::File;
use super::specifier::Target;
use super::unit::Unit;

/// The names of one module.
pub(super) struct Module<'a> {
    /// Its path and text.
    pub file: &'a File<'a>,
    /// Every `import … from` and `export … from`, in the order of the text.
    pub requests: Vec<Request<'a>>,
    /// Imported names by local name.
    pub imports: HashMap<&'a str, Import<'a>>,
    /// Interfaces, type aliases and other types by name.
    pub types: HashMap<&'a str, Declared<TypeDeclaration<'a>>>,
    /// Constants, functions and classes by name.
    pub values: HashMap<&'a str, Declared<ValueDeclaration<'a>>>,
    /// Exports by exported name, in the order of the text.
    pub exports: IndexMap<&'a str, Export<'a>>,
    /// Targets of `export * from`.
    pub stars: Vec<Target<'a>>,
    /// Names declared twice, with the place of the second declaration.
    pub repeated: Vec<(&'a str, Span)>,
    /// Doc comments by the offset of what they precede.
    docs: HashMap<u32, String>,
}

/// A reference to another module.
pub(super) struct Request<'a> {
    /// As written.
    pub specifier: &'a str,
    /// The specifier in the text.
    pub span: Span,
    /// Where it leads.
    pub target: Target<'a>,
    /// Whether it is there in JavaScript, rather than for types only.
    pub runtime: bool,
    /// The names that it asks for.
    pub names: Vec<RequestedName<'a>>,
}

/// A name that is asked of another module.
pub(super) struct RequestedName<'a> {
    /// As the other module exports it.
    pub name: &'a str,
    /// The name in the text.
    pub span: Span,
    /// Whether JavaScript will ask for it too.
    pub runtime: bool,
}

/// An imported name.
#[derive(Clone, Copy)]
pub(super) struct Import<'a> {
    /// Where it comes from.
    pub target: Target<'a>,
    /// Its name there; `None` for the whole module (`import * as`).
    pub name: Option<&'a str>,
}

/// A declaration with its place.
#[derive(Clone, Copy)]
pub(super) struct Declared<T> {
    /// What is declared.
    pub declaration: T,
    /// The declared name in the text.
    pub span: Span,
    /// The start of the whole statement; a doc comment stands before it.
    pub statement: u32,
}

/// A type declared at the top of a module.
#[derive(Clone, Copy)]
pub(super) enum TypeDeclaration<'a> {
    /// `interface T { … }`
    Interface(&'a TSInterfaceDeclaration<'a>),
    /// `type T = …`
    Alias(&'a TSTypeAliasDeclaration<'a>),
    /// A class or an enum.
    Other,
}

/// A value declared at the top of a module.
#[derive(Clone, Copy)]
pub(super) enum ValueDeclaration<'a> {
    /// `const name = …`
    Const(&'a Expression<'a>),
    /// `function name(…) { … }`
    Function(&'a Function<'a>),
    /// A class, a destructured or a changeable variable.
    Other,
}

/// An exported name.
#[derive(Clone, Copy)]
pub(super) struct Export<'a> {
    /// What it stands for.
    pub source: ExportSource<'a>,
    /// The exported name in the text.
    pub span: Span,
}

/// What an exported name stands for.
#[derive(Clone, Copy)]
pub(super) enum ExportSource<'a> {
    /// A name of the module itself, declared or imported.
    Local(&'a str),
    /// A name of another module; `None` for the whole module (`export * as`).
    From(Target<'a>, Option<&'a str>),
}

impl<'a> Module<'a> {
    /// Reads the top of a module. `resolve` finds the module behind a specifier.
    pub(super) fn read(unit: &'a Unit<'a>, resolve: impl Fn(&str) -> Target<'a>) -> Self {
        let module = Module {
            file: &unit.file,
            requests: Vec::new(),
            imports: HashMap::new(),
            types: HashMap::new(),
            values: HashMap::new(),
            exports: IndexMap::new(),
            stars: Vec::new(),
            repeated: Vec::new(),
            docs: docs::by_offset(&unit.program),
        };
        let mut reader = Reader { module, scoping: &unit.scoping, resolve };
        for statement in &unit.program.body {
            reader.statement(statement);
        }
        reader.module
    }

    /// The doc comment before what starts at the offset.
    pub(super) fn doc(&self, offset: u32) -> Option<String> {
        self.docs.get(&offset).cloned()
    }
}

struct Reader<'a, R> {
    module: Module<'a>,
    scoping: &'a Scoping,
    resolve: R,
}

impl<'a, R: Fn(&str) -> Target<'a>> Reader<'a, R> {
    fn statement(&mut self, statement: &'a Statement<'a>) {
        match statement {
            Statement::ImportDeclaration(import) => self.import(import),
            Statement::ExportDeclaration(export) => {
                let place = Place { statement: export.span.start, exported: true };
                self.declaration(&export.declaration, place);
            }
            Statement::ExportNamedDeclaration(export) => {
                for specifier in &export.specifiers {
                    self.export(&specifier.exported, ExportSource::Local(specifier.local.name().as_str()));
                }
            }
            Statement::ExportFromDeclaration(export) => self.export_from(export),
            Statement::ExportAllDeclaration(export) => self.export_all(export),
            other => {
                if let Some(declaration) = other.as_declaration() {
                    let place = Place { statement: declaration.span().start, exported: false };
                    self.declaration(declaration, place);
                }
            }
        }
    }

    fn import(&mut self, import: &'a ImportDeclaration<'a>) {
        let target = (self.resolve)(import.source.value.as_str());
        let mut names = Vec::new();
        let mut runtime = import.specifiers.is_none();
        for specifier in import.specifiers.iter().flatten() {
            let (name, span, kind) = match specifier {
                ImportDeclarationSpecifier::ImportSpecifier(one) => {
                    (Some(one.imported.name().as_str()), one.imported.span(), one.import_kind)
                }
                ImportDeclarationSpecifier::ImportDefaultSpecifier(one) => {
                    (Some("default"), one.span, ImportOrExportKind::Value)
                }
                ImportDeclarationSpecifier::ImportNamespaceSpecifier(one) => {
                    (None, one.span, ImportOrExportKind::Value)
                }
            };
            let typed = import.import_kind.is_type() || kind.is_type();
            let needed = !typed && self.has_value_reference(specifier.local());
            runtime |= needed;
            self.module.imports.insert(specifier.local().name.as_str(), Import { target, name });
            names.extend(name.map(|name| RequestedName { name, span, runtime: needed }));
        }
        self.request(&import.source, target, runtime, names);
    }

    /// Whether JavaScript refers to an imported name, so that its import stays.
    fn has_value_reference(&self, local: &BindingIdentifier) -> bool {
        local
            .symbol_id
            .get()
            .is_some_and(|symbol| self.scoping.get_resolved_references(symbol).any(|reference| reference.is_value()))
    }

    fn request(
        &mut self,
        source: &'a StringLiteral<'a>,
        target: Target<'a>,
        runtime: bool,
        names: Vec<RequestedName<'a>>,
    ) {
        let specifier = source.value.as_str();
        self.module.requests.push(Request { specifier, span: source.span, target, runtime, names });
    }

    fn export_from(&mut self, export: &'a ExportFromDeclaration<'a>) {
        let target = (self.resolve)(export.source.value.as_str());
        let mut names = Vec::new();
        for specifier in &export.specifiers {
            let name = specifier.local.name().as_str();
            let runtime = !export.export_kind.is_type() && !specifier.export_kind.is_type();
            names.push(RequestedName { name, span: specifier.local.span(), runtime });
            self.export(&specifier.exported, ExportSource::From(target, Some(name)));
        }
        let runtime = !export.export_kind.is_type() && (names.is_empty() || names.iter().any(|name| name.runtime));
        self.request(&export.source, target, runtime, names);
    }

    fn export_all(&mut self, export: &'a ExportAllDeclaration<'a>) {
        let target = (self.resolve)(export.source.value.as_str());
        match &export.exported {
            Some(name) => self.export(name, ExportSource::From(target, None)),
            None => self.module.stars.push(target),
        }
        self.request(&export.source, target, !export.export_kind.is_type(), Vec::new());
    }

    fn export(&mut self, exported: &ModuleExportName<'a>, source: ExportSource<'a>) {
        self.module.exports.insert(exported.name().as_str(), Export { source, span: exported.span() });
    }

    fn declaration(&mut self, declaration: &'a Declaration<'a>, place: Place) {
        match declaration {
            Declaration::VariableDeclaration(variables) => {
                for declarator in &variables.declarations {
                    self.variable(variables.kind, declarator, place);
                }
            }
            Declaration::FunctionDeclaration(function) => {
                if let Some(id) = &function.id
                    && !function.is_typescript_syntax()
                {
                    self.value(id, ValueDeclaration::Function(function), place);
                }
            }
            Declaration::ClassDeclaration(class) => {
                if let Some(id) = &class.id {
                    self.value(id, ValueDeclaration::Other, place);
                    self.type_declaration(id, TypeDeclaration::Other, place);
                }
            }
            Declaration::TSInterfaceDeclaration(interface) => {
                self.type_declaration(&interface.id, TypeDeclaration::Interface(interface), place);
            }
            Declaration::TSTypeAliasDeclaration(alias) => {
                self.type_declaration(&alias.id, TypeDeclaration::Alias(alias), place);
            }
            Declaration::TSEnumDeclaration(enumeration) => {
                self.type_declaration(&enumeration.id, TypeDeclaration::Other, place);
            }
            _ => {}
        }
    }

    fn variable(&mut self, kind: VariableDeclarationKind, declarator: &'a VariableDeclarator<'a>, place: Place) {
        match (&declarator.id, &declarator.init) {
            (BindingPattern::BindingIdentifier(id), Some(value)) if kind.is_const() => {
                self.value(id, ValueDeclaration::Const(value), place);
            }
            (pattern, _) => {
                for id in pattern.get_binding_identifiers() {
                    self.value(id, ValueDeclaration::Other, place);
                }
            }
        }
    }

    fn value(&mut self, id: &BindingIdentifier<'a>, declaration: ValueDeclaration<'a>, place: Place) {
        let declared = Declared { declaration, span: id.span, statement: place.statement };
        self.module.values.insert(id.name.as_str(), declared);
        self.export_declared(id, place);
    }

    fn type_declaration(&mut self, id: &BindingIdentifier<'a>, declaration: TypeDeclaration<'a>, place: Place) {
        let declared = Declared { declaration, span: id.span, statement: place.statement };
        if self.module.types.insert(id.name.as_str(), declared).is_some() {
            self.module.repeated.push((id.name.as_str(), id.span));
        }
        self.export_declared(id, place);
    }

    fn export_declared(&mut self, id: &BindingIdentifier<'a>, place: Place) {
        if place.exported {
            let export = Export { source: ExportSource::Local(id.name.as_str()), span: id.span };
            self.module.exports.insert(id.name.as_str(), export);
        }
    }
}

/// Where a declaration stands.
#[derive(Clone, Copy)]
struct Place {
    statement: u32,
    exported: bool,
}
