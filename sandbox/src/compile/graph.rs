//! All modules of an app that its functions and collections reach, and what names mean across them.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use oxc::allocator::Allocator;
use oxc::ast::ast::Statement;

use super::module::{ExportSource, Module};
use super::report::Report;
use super::sources::Sources;
use super::specifier::{Target, resolve};
use super::unit::Unit;

/// Where an app's functions are.
pub(super) const FUNCTIONS: &str = "functions/";
/// Where an app's collections usually are.
pub(super) const COLLECTIONS: &str = "collections.ts";

/// The modules of an app by path.
pub(super) struct Graph<'a> {
    modules: BTreeMap<&'a str, Module<'a>>,
}

/// What a name means once imports and re-exports are followed.
#[derive(Clone, Copy)]
pub(super) enum Meaning<'a, 'g> {
    /// A name of the module "weir".
    Weir(&'a str),
    /// A type, a value or both, declared at the top of a module under this name.
    Declared(&'g Module<'a>, &'a str),
    /// A whole module: `import * as orders from "./orders"`.
    Whole(Target<'a>),
    /// What nobody knows, because its file does not parse or its import leads nowhere. A diagnostic tells so.
    Broken,
}

/// Parses all files that an app's roots reach, in the order of their paths.
pub(super) fn parse<'a>(arena: &'a Allocator, sources: &'a Sources, report: &Report) -> Vec<Unit<'a>> {
    let roots = sources.paths().filter(|path| is_root(path));
    let mut seen: BTreeSet<&str> = roots.collect();
    let mut queue: VecDeque<&str> = seen.iter().copied().collect();
    let mut units = Vec::new();
    while let Some(path) = queue.pop_front() {
        let Some((path, text)) = sources.entry(path) else {
            continue;
        };
        let Ok(unit) = Unit::parse(arena, path, text, report) else {
            continue;
        };
        for specifier in specifiers(&unit) {
            if let Ok(Target::File(target)) = resolve(sources, path, specifier)
                && seen.insert(target)
            {
                queue.push_back(target);
            }
        }
        units.push(unit);
    }
    units.sort_by_key(|unit| unit.file.path);
    units
}

/// Whether a file belongs to the app even if nothing imports it.
pub(super) fn is_root(path: &str) -> bool {
    path == COLLECTIONS || path.strip_prefix(FUNCTIONS).is_some_and(|rest| rest.ends_with(".ts"))
}

fn specifiers<'a>(unit: &Unit<'a>) -> impl Iterator<Item = &'a str> {
    unit.program.body.iter().filter_map(|statement| match statement {
        Statement::ImportDeclaration(import) => Some(import.source.value.as_str()),
        Statement::ExportFromDeclaration(export) => Some(export.source.value.as_str()),
        Statement::ExportAllDeclaration(export) => Some(export.source.value.as_str()),
        _ => None,
    })
}

impl<'a> Graph<'a> {
    /// Reads the tops of all parsed modules.
    pub(super) fn new(units: &'a [Unit<'a>], sources: &'a Sources) -> Self {
        let modules = units.iter().map(|unit| {
            let path = unit.file.path;
            let module = Module::read(unit, |specifier| resolve(sources, path, specifier).unwrap_or(Target::Lost));
            (path, module)
        });
        Self { modules: modules.collect() }
    }

    /// All modules, in the order of their paths.
    pub(super) fn modules(&self) -> impl Iterator<Item = &Module<'a>> {
        self.modules.values()
    }

    /// The module at a path; `None` if its file does not parse.
    pub(super) fn module(&self, path: &str) -> Option<&Module<'a>> {
        self.modules.get(path)
    }

    /// What a name means at the top of a module; `None` if nothing there has that name.
    pub(super) fn lookup<'g>(&'g self, module: &'g Module<'a>, name: &str) -> Option<Meaning<'a, 'g>> {
        if let Some(import) = module.imports.get(name) {
            return Some(match import.name {
                None => Meaning::Whole(import.target),
                Some(name) => self.exported(import.target, name).unwrap_or(Meaning::Broken),
            });
        }
        let (name, _) = module
            .types
            .get_key_value(name)
            .map(|(name, _)| (name, ()))
            .or_else(|| module.values.get_key_value(name).map(|(name, _)| (name, ())))?;
        Some(Meaning::Declared(module, name))
    }

    /// What a module exports under a name; `None` if it exports no such name.
    pub(super) fn exported<'g>(&'g self, target: Target<'a>, name: &'a str) -> Option<Meaning<'a, 'g>> {
        self.exported_unless(target, name, &mut HashSet::new())
    }

    /// As [`Self::exported`]; `seen` ends the search where modules export all of each other.
    fn exported_unless<'g>(
        &'g self,
        target: Target<'a>,
        name: &'a str,
        seen: &mut HashSet<(&'a str, &'a str)>,
    ) -> Option<Meaning<'a, 'g>> {
        let path = match target {
            Target::Weir => return Some(Meaning::Weir(name)),
            Target::Lost => return Some(Meaning::Broken),
            Target::File(path) => path,
        };
        if !seen.insert((path, name)) {
            return None;
        }
        let Some(module) = self.module(path) else {
            return Some(Meaning::Broken);
        };
        match module.exports.get(name).map(|export| export.source) {
            Some(ExportSource::Local(local)) => match module.imports.get(local) {
                Some(import) => match import.name {
                    Some(imported) => self.exported_unless(import.target, imported, seen),
                    None => Some(Meaning::Whole(import.target)),
                },
                None => self.lookup(module, local),
            },
            Some(ExportSource::From(target, Some(name))) => self.exported_unless(target, name, seen),
            Some(ExportSource::From(target, None)) => Some(Meaning::Whole(target)),
            None => module.stars.iter().find_map(|star| self.exported_unless(*star, name, seen)),
        }
    }

    /// Every name that a module exports, those of `export * from` included.
    pub(super) fn exported_names(&self, module: &Module<'a>) -> BTreeSet<&'a str> {
        let mut names = BTreeSet::new();
        let mut seen = HashSet::from([module.file.path]);
        let mut queue = vec![module];
        while let Some(module) = queue.pop() {
            names.extend(module.exports.keys().copied());
            for star in &module.stars {
                if let Target::File(path) = star
                    && seen.insert(path)
                {
                    queue.extend(self.module(path));
                }
            }
        }
        names
    }
}
