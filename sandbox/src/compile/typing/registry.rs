//! Definitions by name, each with the place that it comes from.
//!
//! A definition may refer to itself, so its name is known before its members are. The same type reached twice is one
//! definition; two types with one name must be alike in all but their descriptions.

use std::collections::HashMap;

use indexmap::IndexMap;
use oxc::span::Span;
use weir_schema::shape::{Definition, Definitions};

use crate::compile::report::{File, Report};

/// Where a definition comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::compile) enum Origin<'a> {
    /// An anonymous type in this part of a file.
    Written { path: &'a str, span: Span },
    /// A declared type.
    Declared { path: &'a str, name: &'a str },
    /// `Doc<T>` of a declared type.
    Document { path: &'a str, name: &'a str },
    /// `Page<T>` of a definition.
    Page(String),
    /// `Edge<T>` of a definition.
    Edge(String),
    /// `PageInfo`.
    PageInfo,
    /// The rows of a `view.groupBy`.
    Rows(&'a str),
    /// Something of a `view.index`: the function, and what it is.
    Index(&'a str, &'static str),
    /// The two ways in which a `view.index` is read.
    IndexOrder,
}

/// A place in the text.
#[derive(Clone, Copy)]
pub(in crate::compile) struct Place<'a, 'g> {
    /// The file.
    pub file: &'g File<'a>,
    /// The part of it.
    pub span: Span,
}

impl Place<'_, '_> {
    /// As `file:line`.
    pub(super) fn describe(&self) -> String {
        format!("{}:{}", self.file.path, self.file.line(self.span.start))
    }
}

/// A definition whose name is taken while its parts are read.
pub(super) struct Started {
    name: String,
    is_first: bool,
}

/// All definitions.
#[derive(Default)]
pub(super) struct Registry<'a, 'g> {
    pub(super) definitions: IndexMap<String, (Option<Definition>, Place<'a, 'g>)>,
    names: HashMap<Origin<'a>, String>,
    /// Definitions whose name was taken.
    pub(super) rivals: Vec<(Definition, Place<'a, 'g>)>,
}

impl<'a, 'g> Registry<'a, 'g> {
    /// The name of the definition from this origin, if it is there or being read.
    pub(super) fn known(&self, origin: &Origin<'a>) -> Option<&str> {
        self.names.get(origin).map(String::as_str)
    }

    /// Takes the name of a definition whose parts are read next.
    pub(super) fn start(&mut self, origin: Origin<'a>, name: &str, place: Place<'a, 'g>) -> Started {
        self.names.insert(origin, name.to_owned());
        let is_first = !self.definitions.contains_key(name);
        if is_first {
            self.definitions.insert(name.to_owned(), (None, place));
        }
        Started { name: name.to_owned(), is_first }
    }

    /// Completes what was started.
    pub(super) fn complete(&mut self, started: Started, definition: Definition, place: Place<'a, 'g>) {
        if !started.is_first {
            self.rivals.push((definition, place));
        } else if let Some((slot, _)) = self.definitions.get_mut(&started.name) {
            *slot = Some(definition);
        }
    }

    /// The definition of this name, if its parts have been read.
    pub(super) fn get(&self, name: &str) -> Option<&Definition> {
        self.definitions.get(name).and_then(|(definition, _)| definition.as_ref())
    }

    /// Reports definitions that share a name and differ.
    pub(super) fn check_rivals(&self, report: &Report) {
        for (rival, place) in &self.rivals {
            let Some((Some(first), first_place)) = self.definitions.get(rival.name()) else {
                continue;
            };
            if !alike(first, rival) {
                let message = format!("two different types are named `{}`", rival.name());
                let help = format!("the other is at {}; rename one of them", first_place.describe());
                report.error_with_help(place.file, place.span, message, help);
            }
        }
    }

    /// The definitions alone.
    pub(super) fn into_definitions(self) -> Definitions {
        self.definitions.into_iter().filter_map(|(name, (definition, _))| Some((name, definition?))).collect()
    }
}

/// Whether two definitions are the same but for their descriptions.
fn alike(a: &Definition, b: &Definition) -> bool {
    fn bare(definition: &Definition) -> Definition {
        let mut bare = definition.clone();
        match &mut bare {
            Definition::Object(object) => {
                object.description = None;
                object.members.iter_mut().for_each(|member| member.description = None);
            }
            Definition::Enum(enumeration) => enumeration.description = None,
            Definition::Union(union) => union.description = None,
        }
        bare
    }
    bare(a) == bare(b)
}
