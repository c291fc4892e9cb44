//! Named types: the app's own, those of the module "weir", and TypeScript's utility types.

use oxc::ast::ast::{TSInterfaceHeritage, TSLiteral, TSType, TSTypeName, TSTypeReference};
use oxc::span::{GetSpan, Span};
use weir_schema::shape::Shape;

use super::object::RawMember;
use super::registry::{Origin, Place};
use super::{Name, Ty, Typed, Types, unsupported};
use crate::compile::graph::Meaning;
use crate::compile::module::{Module, TypeDeclaration};
use crate::compile::report::Reported;
use crate::compile::weir;

/// A named type where it is used, with its type arguments.
#[derive(Clone, Copy)]
pub(super) struct Use<'a, 'g> {
    pub module: &'g Module<'a>,
    name: &'a TSTypeName<'a>,
    arguments: &'a [TSType<'a>],
    span: Span,
}

impl<'a, 'g> Use<'a, 'g> {
    pub(super) fn new(ty: Ty<'a, 'g>, reference: &'a TSTypeReference<'a>) -> Self {
        let arguments = reference.type_arguments.as_ref().map_or(&[][..], |arguments| &arguments.params);
        Self { module: ty.module, name: &reference.type_name, arguments, span: reference.span }
    }

    /// What an interface extends.
    pub(super) fn heritage(module: &'g Module<'a>, heritage: &'a TSInterfaceHeritage<'a>) -> Self {
        let arguments = heritage.type_arguments.as_ref().map_or(&[][..], |arguments| &arguments.params);
        Self { module, name: &heritage.type_name, arguments, span: heritage.span }
    }

    /// The first of its type arguments.
    pub(super) fn first_argument(self) -> Option<Ty<'a, 'g>> {
        self.arguments.first().map(|node| Ty::new(self.module, node))
    }

    pub(super) fn place(self) -> Place<'a, 'g> {
        Place { file: self.module.file, span: self.span }
    }

    /// As written, without type arguments.
    pub(super) fn text(self) -> &'a str {
        self.name.span().source_text(self.module.file.text)
    }
}

/// What a type name means.
#[derive(Clone, Copy)]
pub(super) enum Named<'a, 'g> {
    /// A type of the module "weir".
    Weir(&'a str),
    /// A type that is nowhere declared or imported: TypeScript's own, or a mistake.
    Global(&'a str),
    /// A type of the app.
    Declared(DeclaredType<'a, 'g>),
}

/// A type of the app.
#[derive(Clone, Copy)]
pub(in crate::compile) struct DeclaredType<'a, 'g> {
    /// The module that declares it.
    pub module: &'g Module<'a>,
    /// Its name there.
    pub name: &'a str,
    /// The declaration.
    pub declaration: TypeDeclaration<'a>,
    /// The name in the text.
    pub span: Span,
    statement: u32,
}

impl<'a, 'g> DeclaredType<'a, 'g> {
    pub(super) fn key(&self) -> (&'a str, &'a str) {
        (self.module.file.path, self.name)
    }

    pub(super) fn place(&self) -> Place<'a, 'g> {
        Place { file: self.module.file, span: self.span }
    }
}

impl<'a, 'g> Types<'a, 'g> {
    /// Reads a named type.
    pub(super) fn reference(&mut self, ty: Ty<'a, 'g>, used: Use<'a, 'g>, name: &Name) -> Result<Typed, Reported> {
        match self.named(used)? {
            Named::Declared(declared) => self.declared(used, declared),
            Named::Weir("Doc") => {
                let [object] = self.type_arguments(used)?;
                let document = self.document_type(used, object)?;
                Ok(Typed::required(Shape::Object(self.document(document)?)))
            }
            Named::Weir("Ref") => {
                let [object] = self.type_arguments(used)?;
                let document = self.document_type(used, object)?;
                Ok(Typed::required(Shape::Ref(document.name.to_owned())))
            }
            Named::Weir("Page") => {
                let [node] = self.type_arguments(used)?;
                self.page(used, node, name)
            }
            Named::Weir("Edge") => {
                let [node] = self.type_arguments(used)?;
                let node = self.node(used, node, name)?;
                Ok(Typed::required(self.edge(used.place(), node)))
            }
            Named::Weir(other) if weir::CODE_TYPES.contains(&other) => {
                Err(unsupported::report_code_type(used.place(), other, self.report))
            }
            Named::Weir(scalar) => {
                let [] = self.type_arguments(used)?;
                match scalar {
                    "ID" => Ok(Typed::required(Shape::Id)),
                    "Int" => Ok(Typed::required(Shape::Int)),
                    "Float" => Ok(Typed::required(Shape::Float)),
                    "DateTime" => Ok(Typed::required(Shape::DateTime)),
                    "JSON" => Ok(Typed::required(Shape::Json)),
                    "Bytes" => Ok(Typed::required(Shape::Bytes)),
                    "PageInfo" => Ok(Typed::required(self.page_info(used.place()))),
                    _ if weir::VALUES.contains(&scalar) => {
                        Err(self.use_error(used, format!("`{scalar}` is a value, not a type")))
                    }
                    _ => Err(self.report.follows()),
                }
            }
            Named::Global("Array" | "ReadonlyArray") => {
                let [element] = self.type_arguments(used)?;
                self.list(element, name)
            }
            Named::Global("Readonly") => {
                let [object] = self.type_arguments(used)?;
                self.typed(object, name)
            }
            Named::Global("Pick" | "Omit" | "Partial" | "Required") => self.anonymous_object(ty, name),
            Named::Global(other) => Err(unsupported::report_global(used.place(), other, self.report)),
        }
    }

    /// Finds what a type name means.
    pub(super) fn named(&self, used: Use<'a, 'g>) -> Result<Named<'a, 'g>, Reported> {
        let meaning = match used.name {
            TSTypeName::IdentifierReference(identifier) => {
                let name = identifier.name.as_str();
                match self.graph.lookup(used.module, name) {
                    None => return Ok(Named::Global(name)),
                    Some(meaning) => Some(meaning),
                }
            }
            TSTypeName::QualifiedName(qualified) => match &qualified.left {
                TSTypeName::IdentifierReference(whole) => match self.graph.lookup(used.module, &whole.name) {
                    Some(Meaning::Whole(target)) => self.graph.exported(target, qualified.right.name.as_str()),
                    Some(Meaning::Broken) => Some(Meaning::Broken),
                    _ => None,
                },
                _ => None,
            },
            TSTypeName::ThisExpression(_) => None,
        };
        match meaning {
            Some(Meaning::Weir(name)) => Ok(Named::Weir(name)),
            Some(Meaning::Broken) => Err(self.report.follows()),
            Some(Meaning::Declared(module, name)) => match module.types.get(name) {
                Some(declared) => Ok(Named::Declared(DeclaredType {
                    module,
                    name,
                    declaration: declared.declaration,
                    span: declared.span,
                    statement: declared.statement,
                })),
                None => Err(self.use_error(used, format!("`{}` is a value, not a type", used.text()))),
            },
            Some(Meaning::Whole(_)) | None => Err(self.use_error(used, format!("there is no type `{}`", used.text()))),
        }
    }

    fn use_error(&self, used: Use, message: String) -> Reported {
        self.report.error_with_help(used.module.file, used.span, message, "name an interface or a type alias")
    }

    /// Reads a type of the app: defines an interface, follows an alias.
    fn declared(&mut self, used: Use<'a, 'g>, declared: DeclaredType<'a, 'g>) -> Result<Typed, Reported> {
        self.check_plain(used, declared)?;
        let name = self.declared_name(declared);
        let (path, declared_name) = declared.key();
        match declared.declaration {
            TypeDeclaration::Interface(_) => {
                let origin = Origin::Declared { path, name: declared_name };
                if let Some(known) = self.registry.known(&origin) {
                    return Ok(Typed::required(Shape::Object(known.to_owned())));
                }
                let members = self.guarded(used, declared, |types| types.declared_members(declared))?;
                self.define_object(&members, origin, declared.place(), &name).map(Shape::Object).map(Typed::required)
            }
            TypeDeclaration::Alias(alias) => self
                .guarded(used, declared, |types| types.typed(Ty::new(declared.module, &alias.type_annotation), &name)),
            TypeDeclaration::Other => Err(self.class_or_enum(used, declared.name)),
        }
    }

    /// The name of a declared type: `Order`, or `OrderValue` where `Order` is its document.
    pub(super) fn declared_name(&self, declared: DeclaredType) -> Name {
        let base = declared.name.to_owned();
        let definition = if self.documents.contains(&declared.key()) { format!("{base}Value") } else { base.clone() };
        Name { base, definition, description: declared.module.doc(declared.statement) }
    }

    /// Does something inside of a declared type, unless the type consists of itself.
    pub(super) fn guarded<T>(
        &mut self,
        used: Use<'a, 'g>,
        declared: DeclaredType<'a, 'g>,
        inside: impl FnOnce(&mut Self) -> Result<T, Reported>,
    ) -> Result<T, Reported> {
        if self.expanding.contains(&declared.key()) {
            let message = format!("the type `{}` consists of itself", declared.name);
            let help = "a type may contain itself only as a member of an object";
            return Err(self.report.error_with_help(used.module.file, used.span, message, help));
        }
        self.expanding.push(declared.key());
        let result = inside(self);
        self.expanding.pop();
        result
    }

    /// Checks that a declared type is not generic and used without type arguments.
    pub(super) fn check_plain(&self, used: Use<'a, 'g>, declared: DeclaredType<'a, 'g>) -> Result<(), Reported> {
        let parameters = match declared.declaration {
            TypeDeclaration::Interface(interface) => &interface.type_parameters,
            TypeDeclaration::Alias(alias) => &alias.type_parameters,
            TypeDeclaration::Other => &None,
        };
        if parameters.is_none() && used.arguments.is_empty() {
            return Ok(());
        }
        let message = format!("`{}` is generic, which GraphQL has no counterpart for", declared.name);
        let help = "declare an interface for each use";
        Err(self.report.error_with_help(used.module.file, used.span, message, help))
    }

    pub(super) fn class_or_enum(&self, used: Use, name: &str) -> Reported {
        let message = format!("`{name}` is a class or an enum, which GraphQL has no counterpart for");
        let help = "write an interface, or a union of strings such as \"open\" | \"paid\"";
        self.report.error_with_help(used.module.file, used.span, message, help)
    }

    /// The type arguments, as many as there must be.
    pub(super) fn type_arguments<const N: usize>(&self, used: Use<'a, 'g>) -> Result<[Ty<'a, 'g>; N], Reported> {
        let arguments: Vec<Ty> = used.arguments.iter().map(|node| Ty::new(used.module, node)).collect();
        arguments.try_into().map_err(|given: Vec<Ty>| {
            let plural = if N == 1 { "" } else { "s" };
            let message = format!("`{}` takes {N} type argument{plural}, not {}", used.text(), given.len());
            self.report.error(used.module.file, used.span, message)
        })
    }

    /// The type of documents that `Doc<T>` or `Ref<T>` names.
    pub(super) fn document_type(
        &mut self,
        used: Use<'a, 'g>,
        object: Ty<'a, 'g>,
    ) -> Result<DeclaredType<'a, 'g>, Reported> {
        match self.final_declaration(object)? {
            Some(declared) if self.documents.contains(&declared.key()) => Ok(declared),
            _ => {
                let text = object.span().source_text(object.module.file.text);
                let message = format!("`{}` takes the type of a collection, and `{text}` is not one", used.text());
                let help = "declare a collection of it, or write what is meant: T & { id: ID }, ID";
                Err(self.error(object, message, help))
            }
        }
    }

    /// Declares that a type is held by a collection.
    pub(in crate::compile) fn add_document(&mut self, ty: Ty<'a, 'g>) -> Result<DeclaredType<'a, 'g>, Reported> {
        match self.final_declaration(ty)? {
            Some(declared) => {
                self.documents.insert(declared.key());
                Ok(declared)
            }
            None => {
                let help = "declare it as an interface and name that: collection<Order>()";
                Err(self.error(ty, "the type of a collection needs a name", help))
            }
        }
    }

    /// The declaration behind a type, past aliases that only give another name; `None` for types without a name.
    pub(super) fn final_declaration(&mut self, ty: Ty<'a, 'g>) -> Result<Option<DeclaredType<'a, 'g>>, Reported> {
        let TSType::TSTypeReference(reference) = ty.node else {
            return Ok(None);
        };
        let used = Use::new(ty, reference);
        let Named::Declared(declared) = self.named(used)? else {
            return Ok(None);
        };
        self.check_plain(used, declared)?;
        if let TypeDeclaration::Alias(alias) = declared.declaration {
            let behind = Ty::new(declared.module, &alias.type_annotation);
            let further = self.guarded(used, declared, |types| types.final_declaration(behind))?;
            return Ok(Some(further.unwrap_or(declared)));
        }
        Ok(Some(declared))
    }

    /// Defines `Doc<T>`: the members of the type, with `id` before them.
    pub(super) fn document(&mut self, document: DeclaredType<'a, 'g>) -> Result<String, Reported> {
        let (path, name) = document.key();
        let origin = Origin::Document { path, name };
        if let Some(known) = self.registry.known(&origin) {
            return Ok(known.to_owned());
        }
        let mut members = self.declared_members(document)?;
        members.insert(0, RawMember::id(name, document.place()));
        let name = Name { definition: name.to_owned(), ..self.declared_name(document) };
        self.define_object(&members, origin, document.place(), &name)
    }

    /// Defines the type of a document without its id. An `id` of its own is a mistake: Weir adds one.
    pub(super) fn document_value(&mut self, document: DeclaredType<'a, 'g>) -> Result<String, Reported> {
        let members = self.declared_members(document)?;
        if let Some(id) = members.iter().find(|member| member.name == "id") {
            let message = format!("`{}` is held by a collection and declares `id`, which Weir adds", document.name);
            let help = "leave it out; Doc<T> has it";
            return Err(self.report.error_with_help(id.place.file, id.place.span, message, help));
        }
        let (path, name) = document.key();
        let origin = match document.declaration {
            TypeDeclaration::Interface(_) => Origin::Declared { path, name },
            TypeDeclaration::Alias(alias) => Ty::new(document.module, &alias.type_annotation).origin(),
            TypeDeclaration::Other => return Err(self.report.follows()),
        };
        match self.registry.known(&origin) {
            Some(known) => Ok(known.to_owned()),
            None => self.define_object(&members, origin, document.place(), &self.declared_name(document)),
        }
    }

    /// The members of the first type argument and the names in the second, for `Pick` and `Omit`.
    pub(super) fn members_and_keys(
        &mut self,
        used: Use<'a, 'g>,
        owner: &str,
    ) -> Result<(Vec<RawMember<'a, 'g>>, Vec<String>), Reported> {
        let [object, keys] = self.type_arguments(used)?;
        let members = self.members(object, owner)?;
        let mut names = Vec::new();
        self.keys(keys, &mut names)?;
        match names.iter().find(|name| !members.iter().any(|member| member.name == **name)) {
            Some(unknown) => Err(self.no_such_member(keys, unknown, &members)),
            None => Ok((members, names)),
        }
    }

    fn keys(&mut self, ty: Ty<'a, 'g>, names: &mut Vec<String>) -> Result<(), Reported> {
        match ty.node {
            TSType::TSLiteralType(literal) => {
                if let TSLiteral::StringLiteral(text) = &literal.literal {
                    names.push(text.value.to_string());
                    return Ok(());
                }
            }
            TSType::TSUnionType(union) => {
                return union.types.iter().try_for_each(|part| self.keys(ty.with(part), names));
            }
            TSType::TSTypeReference(reference) => {
                let used = Use::new(ty, reference);
                if let Named::Declared(declared) = self.named(used)?
                    && let TypeDeclaration::Alias(alias) = declared.declaration
                {
                    let behind = Ty::new(declared.module, &alias.type_annotation);
                    return self.guarded(used, declared, |types| types.keys(behind, names));
                }
            }
            _ => {}
        }
        Err(self.error(ty, "the names of members are needed here", "write them as \"name\" | \"email\""))
    }
}
