//! Declared TypeScript types become shapes.
//!
//! | module | what it does |
//! |---|---|
//! | [`reference`] | names: the app's own types, those of "weir", utility types |
//! | [`object`] | object types and their members |
//! | [`page`] | `Page<T>`, `Edge<T>`, `PageInfo` |
//! | [`union`] | unions: nullability, enums, discriminated objects |
//! | [`registry`] | definitions by name, and that no two differ |
//! | [`checks`] | what only shows when all definitions are known |
//! | [`unsupported`] | what cannot be expressed, and what to write instead |
//!
//! Every type is read where it stands in the syntax tree, with the name it gets should it need one: a declared type its
//! own, an anonymous one that of its owner and member.

mod checks;
mod object;
mod page;
mod reference;
mod registry;
mod union;
mod unsupported;

use std::collections::HashSet;

use oxc::ast::ast::{TSLiteral, TSType, TSTypeOperatorOperator};
use oxc::span::{GetSpan, Span};
use weir_schema::declarations::Function;
use weir_schema::name;
use weir_schema::shape::{Definition, Definitions, EnumDefinition, EnumValue, Member, ObjectDefinition, Shape, Slot};

use super::graph::Graph;
use super::module::Module;
use super::report::{Report, Reported};
use reference::{Named, Use};
use registry::{Origin, Registry};

pub(super) use reference::DeclaredType;
pub(super) use registry::Place;

/// A type in the text of a module.
#[derive(Clone, Copy)]
pub(super) struct Ty<'a, 'g> {
    /// The module that it stands in: its names are looked up there.
    pub module: &'g Module<'a>,
    /// The type, without parentheses around it.
    pub node: &'a TSType<'a>,
}

impl<'a, 'g> Ty<'a, 'g> {
    pub(super) fn new(module: &'g Module<'a>, node: &'a TSType<'a>) -> Self {
        Self { module, node: node.without_parenthesized() }
    }

    /// Another type in the same module.
    fn with(self, node: &'a TSType<'a>) -> Self {
        Self::new(self.module, node)
    }

    pub(super) fn span(self) -> Span {
        self.node.span()
    }

    fn place(self) -> Place<'a, 'g> {
        Place { file: self.module.file, span: self.span() }
    }

    fn origin(self) -> Origin<'a> {
        Origin::Written { path: self.module.file.path, span: self.span() }
    }
}

/// A type that has been read.
#[derive(Debug, Clone)]
pub(super) struct Typed {
    /// The shape, and whether it may be null.
    pub slot: Slot,
    /// `| undefined`: a member may be absent.
    pub undefined: bool,
    /// The value of a lone string literal.
    pub literal: Option<String>,
}

impl Typed {
    fn required(shape: Shape) -> Self {
        Self { slot: Slot::required(shape), undefined: false, literal: None }
    }

    /// As an element of a list or a result, where absent is null.
    pub(super) fn into_element(self) -> Slot {
        Slot { nullable: self.slot.nullable || self.undefined, ..self.slot }
    }
}

/// The name that a type gets should it need a definition.
#[derive(Debug, Clone)]
pub(super) struct Name {
    /// The owner of anonymous types inside, and the stem of the input's name.
    base: String,
    /// The definition's name.
    definition: String,
    /// Its description.
    description: Option<String>,
}

impl Name {
    /// The name of an anonymous type.
    pub(super) fn anonymous(owner: &str, member: &str) -> Self {
        let joined = name::join(owner, member);
        Self { base: joined.clone(), definition: joined, description: None }
    }
}

/// Reads types and keeps the definitions that they need.
pub(super) struct Types<'a, 'g> {
    graph: &'g Graph<'a>,
    report: &'g Report,
    /// Path and name of the types that collections hold.
    documents: HashSet<(&'a str, &'a str)>,
    registry: Registry<'a, 'g>,
    /// Aliases and interfaces on the way to the type at hand, to find those that consist of themselves.
    expanding: Vec<(&'a str, &'a str)>,
}

impl<'a, 'g> Types<'a, 'g> {
    pub(super) fn new(graph: &'g Graph<'a>, report: &'g Report) -> Self {
        Self { graph, report, documents: HashSet::new(), registry: Registry::default(), expanding: Vec::new() }
    }

    /// All definitions, once everything that uses types has been read and what only shows now has been checked.
    pub(super) fn finish<'f>(self, functions: impl Iterator<Item = (&'f Function, Place<'a, 'g>)>) -> Definitions {
        self.registry.finish(functions, self.report)
    }

    fn error(&self, ty: Ty, message: impl Into<String>, help: impl Into<String>) -> Reported {
        self.report.error_with_help(ty.module.file, ty.span(), message, help)
    }

    /// Reads one type. `name` is for a definition, should the type be anonymous and need one.
    pub(super) fn typed(&mut self, ty: Ty<'a, 'g>, name: &Name) -> Result<Typed, Reported> {
        match ty.node {
            TSType::TSStringKeyword(_) => Ok(Typed::required(Shape::String)),
            TSType::TSNumberKeyword(_) => Ok(Typed::required(Shape::Float)),
            TSType::TSBooleanKeyword(_) => Ok(Typed::required(Shape::Boolean)),
            TSType::TSArrayType(array) => self.list(ty.with(&array.element_type), name),
            TSType::TSTypeOperatorType(operator) if operator.operator == TSTypeOperatorOperator::Readonly => {
                self.typed(ty.with(&operator.type_annotation), name)
            }
            TSType::TSLiteralType(literal) => match &literal.literal {
                TSLiteral::StringLiteral(text) => {
                    Ok(Typed { literal: Some(text.value.to_string()), ..Typed::required(Shape::String) })
                }
                _ => Err(unsupported::report(ty, self.report)),
            },
            TSType::TSUnionType(_) => self.union(ty, name),
            TSType::TSTypeLiteral(_) | TSType::TSIntersectionType(_) => self.anonymous_object(ty, name),
            TSType::TSIndexedAccessType(access) => {
                self.indexed(ty.with(&access.object_type), ty.with(&access.index_type), name)
            }
            TSType::TSTypeReference(reference) => self.reference(ty, Use::new(ty, reference), name),
            _ => Err(unsupported::report(ty, self.report)),
        }
    }

    fn list(&mut self, element: Ty<'a, 'g>, name: &Name) -> Result<Typed, Reported> {
        let element = self.typed(element, name)?.into_element();
        Ok(Typed::required(Shape::List(Box::new(element))))
    }

    /// `T["member"]`, and `T[number]` of a list.
    fn indexed(&mut self, object: Ty<'a, 'g>, index: Ty<'a, 'g>, name: &Name) -> Result<Typed, Reported> {
        if matches!(index.node, TSType::TSNumberKeyword(_)) {
            return match self.typed(object, name)?.slot.shape {
                Shape::List(element) => Ok(Typed { slot: *element, undefined: false, literal: None }),
                _ => Err(self.error(index, "only the elements of a list are taken by number", "write T[\"member\"]")),
            };
        }
        let TSType::TSLiteralType(literal) = index.node else {
            return Err(self.error(index, "only one named member can be taken from a type", "write T[\"member\"]"));
        };
        let TSLiteral::StringLiteral(key) = &literal.literal else {
            return Err(self.error(index, "only one named member can be taken from a type", "write T[\"member\"]"));
        };
        let members = self.members(object, &name.base)?;
        match members.iter().find(|member| member.name == key.value.as_str()) {
            Some(member) => self.member_type(member),
            None => Err(self.no_such_member(index, &key.value, &members)),
        }
    }

    /// The arguments of a function: the members of its one parameter's type.
    pub(super) fn arguments(&mut self, ty: Ty<'a, 'g>, function: &str) -> Result<Vec<Member>, Reported> {
        let owner = name::capitalized(function);
        let members = self.members(ty, &owner)?;
        self.build_members(&members)
    }

    /// What an action returns: `T` of `Promise<T>`, or the type itself.
    pub(super) fn promised(&self, ty: Ty<'a, 'g>) -> Result<Ty<'a, 'g>, Reported> {
        if let TSType::TSTypeReference(reference) = ty.node {
            let used = Use::new(ty, reference);
            if let Named::Global("Promise") = self.named(used)? {
                let [inner] = self.type_arguments(used)?;
                return Ok(inner);
            }
        }
        Ok(ty)
    }

    /// What a stream yields: `T` of `AsyncGenerator<T>`, or of one of the interfaces that such a generator has.
    pub(super) fn yielded(&self, ty: Ty<'a, 'g>) -> Result<Ty<'a, 'g>, Reported> {
        if let TSType::TSTypeReference(reference) = ty.node {
            let used = Use::new(ty, reference);
            if let Named::Global("AsyncGenerator" | "AsyncIterable" | "AsyncIterableIterator") = self.named(used)? {
                // What it returns and what it is sent have types as well, which do not matter.
                if let Some(event) = used.first_argument() {
                    return Ok(event);
                }
            }
        }
        let message = "a stream gives its events one after the other, and this type does not say of what type they are";
        Err(self.error(ty, message, "write AsyncGenerator<Event>"))
    }

    /// Defines what a collection holds: the name of the value's definition, and the document's definition.
    pub(super) fn define_document(
        &mut self,
        document: DeclaredType<'a, 'g>,
    ) -> Result<(String, ObjectDefinition), Reported> {
        let value = self.document_value(document)?;
        let stored = self.document(document)?;
        self.object_definition(&stored).map(|stored| (value, stored)).ok_or_else(|| self.report.follows())
    }

    /// Where a member of a declared object type stands.
    pub(super) fn member_place(
        &mut self,
        declared: DeclaredType<'a, 'g>,
        member: &str,
    ) -> Result<Place<'a, 'g>, Reported> {
        let members = self.declared_members(declared)?;
        Ok(members.iter().find(|known| known.name == member).map_or(declared.place(), |member| member.place))
    }

    /// A definition by name.
    pub(super) fn definition(&self, name: &str) -> Option<&Definition> {
        self.registry.get(name)
    }

    /// An object's definition by name.
    pub(super) fn object_definition(&self, name: &str) -> Option<ObjectDefinition> {
        match self.registry.get(name) {
            Some(Definition::Object(object)) => Some(object.clone()),
            _ => None,
        }
    }

    /// Defines the rows of a `view.groupBy`.
    pub(super) fn define_rows(&mut self, function: &'a str, place: Place<'a, 'g>, members: Vec<Member>) -> Shape {
        self.synthesize(Origin::Rows(function), place, &name::join(function, "row"), members)
    }

    /// Defines something of a `view.index`, named after the function.
    pub(super) fn define_of_index(
        &mut self,
        function: &'a str,
        what: &'static str,
        place: Place<'a, 'g>,
        members: Vec<Member>,
    ) -> Shape {
        self.synthesize(Origin::Index(function, what), place, &name::join(function, what), members)
    }

    /// Defines the two ways in which a `view.index` is read: one for all of them.
    pub(super) fn define_index_order(&mut self, place: Place<'a, 'g>) -> Shape {
        const NAME: &str = "IndexOrder";
        if self.registry.known(&Origin::IndexOrder).is_none() {
            let value = |text: &str| EnumValue { graphql: text.to_owned(), typescript: text.to_owned() };
            let started = self.registry.start(Origin::IndexOrder, NAME, place);
            let values = vec![value("asc"), value("desc")];
            let definition = EnumDefinition { name: NAME.to_owned(), description: None, values };
            self.registry.complete(started, Definition::Enum(definition), place);
        }
        Shape::Enum(NAME.to_owned())
    }
}
