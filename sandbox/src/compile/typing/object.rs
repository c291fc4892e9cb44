//! Object types: interfaces, object literals, intersections, `Doc`, `Pick`, `Omit`, `Partial` and `Required`.
//!
//! An object is first taken apart into its members, each with the place where it is written; only then are the types of
//! the members read. So an object may contain itself, and an inherited member keeps the name of its first owner.

use oxc::ast::ast::{PropertyKey, TSInterfaceDeclaration, TSSignature, TSType};
use oxc::span::GetSpan;
use weir_schema::name::is_graphql_name;
use weir_schema::shape::{Definition, Member, ObjectDefinition, Shape, Slot};

use super::reference::{DeclaredType, Named, Use};
use super::registry::{Origin, Place};
use super::{Name, Ty, Typed, Types, unsupported};
use crate::compile::module::{Module, TypeDeclaration};
use crate::compile::report::Reported;

/// A member before its type is read.
#[derive(Clone)]
pub(in crate::compile) struct RawMember<'a, 'g> {
    /// As written.
    pub name: String,
    /// The owner whose name goes into the names of anonymous types.
    owner: String,
    description: Option<String>,
    kind: RawType<'a, 'g>,
    /// `member?: T`
    optional: bool,
    /// Whether `Required<T>` took `?` and `| undefined` away.
    required: bool,
    /// The member in the text.
    pub place: Place<'a, 'g>,
}

#[derive(Clone)]
enum RawType<'a, 'g> {
    /// The `id` of `Doc<T>`.
    Id,
    Written(Ty<'a, 'g>),
}

impl<'a, 'g> RawMember<'a, 'g> {
    /// The `id` of a document.
    pub(super) fn id(owner: &str, place: Place<'a, 'g>) -> Self {
        Self {
            name: "id".to_owned(),
            owner: owner.to_owned(),
            description: None,
            kind: RawType::Id,
            optional: false,
            required: false,
            place,
        }
    }

    /// The type as written, unless a member may be absent.
    pub(super) fn always(&self) -> Option<Ty<'a, 'g>> {
        match self.kind {
            RawType::Written(ty) if !self.optional => Some(ty),
            _ => None,
        }
    }
}

impl<'a, 'g> Types<'a, 'g> {
    /// Takes an object type apart. `owner` is for anonymous types inside of an object that is anonymous itself.
    pub(in crate::compile) fn members(
        &mut self,
        ty: Ty<'a, 'g>,
        owner: &str,
    ) -> Result<Vec<RawMember<'a, 'g>>, Reported> {
        match ty.node {
            TSType::TSTypeLiteral(literal) => self.signatures(ty.module, &literal.members, owner),
            TSType::TSIntersectionType(intersection) => {
                let mut all = Vec::new();
                for part in &intersection.types {
                    let members = self.members(ty.with(part), owner)?;
                    self.merge(&mut all, members)?;
                }
                Ok(all)
            }
            TSType::TSTypeReference(reference) => self.referenced_members(Use::new(ty, reference), owner),
            _ => Err(self.not_an_object(ty.place())),
        }
    }

    /// Takes a named type apart.
    fn referenced_members(&mut self, used: Use<'a, 'g>, owner: &str) -> Result<Vec<RawMember<'a, 'g>>, Reported> {
        match self.named(used)? {
            Named::Declared(declared) => {
                self.check_plain(used, declared)?;
                if let TypeDeclaration::Other = declared.declaration {
                    return Err(self.class_or_enum(used, declared.name));
                }
                self.guarded(used, declared, |types| types.declared_members(declared))
            }
            Named::Weir("Doc") => self.document_members(used),
            Named::Global("Readonly") => {
                let [object] = self.type_arguments(used)?;
                self.members(object, owner)
            }
            Named::Global("Partial") => {
                let [object] = self.type_arguments(used)?;
                let mut members = self.members(object, owner)?;
                members.iter_mut().for_each(|member| member.optional = true);
                Ok(members)
            }
            Named::Global("Required") => {
                let [object] = self.type_arguments(used)?;
                let mut members = self.members(object, owner)?;
                for member in &mut members {
                    member.optional = false;
                    member.required = true;
                }
                Ok(members)
            }
            Named::Global("Pick") => {
                let (members, keys) = self.members_and_keys(used, owner)?;
                Ok(members.into_iter().filter(|member| keys.contains(&member.name)).collect())
            }
            Named::Global("Omit") => {
                let (members, keys) = self.members_and_keys(used, owner)?;
                Ok(members.into_iter().filter(|member| !keys.contains(&member.name)).collect())
            }
            Named::Weir(_) | Named::Global(_) => Err(self.not_an_object(used.place())),
        }
    }

    fn not_an_object(&self, place: Place) -> Reported {
        let help = "write an interface or { member: type }";
        self.report.error_with_help(place.file, place.span, "an object type is needed here", help)
    }

    /// The own `id` of a document, and the members of its type.
    fn document_members(&mut self, used: Use<'a, 'g>) -> Result<Vec<RawMember<'a, 'g>>, Reported> {
        let [object] = self.type_arguments(used)?;
        let document = self.document_type(used, object)?;
        let mut members = self.declared_members(document)?;
        members.insert(0, RawMember::id(document.name, used.place()));
        Ok(members)
    }

    /// The members of a declared type.
    pub(super) fn declared_members(
        &mut self,
        declared: DeclaredType<'a, 'g>,
    ) -> Result<Vec<RawMember<'a, 'g>>, Reported> {
        match declared.declaration {
            TypeDeclaration::Interface(interface) => self.interface_members(declared.module, interface),
            TypeDeclaration::Alias(alias) => {
                self.members(Ty::new(declared.module, &alias.type_annotation), declared.name)
            }
            TypeDeclaration::Other => Err(self.report.follows()),
        }
    }

    fn interface_members(
        &mut self,
        module: &'g Module<'a>,
        interface: &'a TSInterfaceDeclaration<'a>,
    ) -> Result<Vec<RawMember<'a, 'g>>, Reported> {
        let name = interface.id.name.as_str();
        let mut all = Vec::new();
        for base in &interface.extends {
            let members = self.referenced_members(Use::heritage(module, base), name)?;
            self.merge(&mut all, members)?;
        }
        for own in self.signatures(module, &interface.body.body, name)? {
            match all.iter_mut().find(|inherited: &&mut RawMember| inherited.name == own.name) {
                Some(inherited) => *inherited = own,
                None => all.push(own),
            }
        }
        Ok(all)
    }

    /// Adds members of another object. A member of both must be written in one place.
    fn merge(&self, all: &mut Vec<RawMember<'a, 'g>>, more: Vec<RawMember<'a, 'g>>) -> Result<(), Reported> {
        for member in more {
            match all.iter_mut().find(|known| known.name == member.name) {
                None => all.push(member),
                Some(known) if known.place.span == member.place.span => known.optional &= member.optional,
                Some(known) => {
                    let message = format!("the member `{}` comes from two types", member.name);
                    let help = format!("the other is at {}; leave one out with Omit", known.place.describe());
                    return Err(self.report.error_with_help(member.place.file, member.place.span, message, help));
                }
            }
        }
        Ok(())
    }

    fn signatures(
        &mut self,
        module: &'g Module<'a>,
        signatures: &'a [TSSignature<'a>],
        owner: &str,
    ) -> Result<Vec<RawMember<'a, 'g>>, Reported> {
        let mut members: Vec<RawMember> = Vec::new();
        let mut failed = None;
        for signature in signatures {
            match self.signature(module, signature, owner) {
                Ok(member) if members.iter().any(|known| known.name == member.name) => {
                    let message = format!("the member `{}` is declared twice", member.name);
                    failed = Some(self.report.error(module.file, signature.span(), message));
                }
                Ok(member) => members.push(member),
                Err(reported) => failed = Some(reported),
            }
        }
        failed.map_or(Ok(members), Err)
    }

    fn signature(
        &self,
        module: &'g Module<'a>,
        signature: &'a TSSignature<'a>,
        owner: &str,
    ) -> Result<RawMember<'a, 'g>, Reported> {
        let TSSignature::TSPropertySignature(property) = signature else {
            return Err(unsupported::report_signature(module.file, signature, self.report));
        };
        let name = match &property.key {
            PropertyKey::StaticIdentifier(identifier) => identifier.name.as_str(),
            PropertyKey::StringLiteral(text) => text.value.as_str(),
            key => {
                let message = "the name of a member must be written out";
                return Err(self.report.error(module.file, key.span(), message));
            }
        };
        if !is_graphql_name(name) {
            let message = format!("`{name}` is not a name that GraphQL allows");
            let help = "use letters, digits and `_`, not starting with a digit or with `__`";
            return Err(self.report.error_with_help(module.file, property.key.span(), message, help));
        }
        let Some(annotation) = &property.type_annotation else {
            let message = format!("the member `{name}` has no type");
            let help = format!("write {name}: string, or what else it is");
            return Err(self.report.error_with_help(module.file, property.span, message, help));
        };
        Ok(RawMember {
            name: name.to_owned(),
            owner: owner.to_owned(),
            description: module.doc(property.span.start),
            kind: RawType::Written(Ty::new(module, &annotation.type_annotation)),
            optional: property.optional,
            required: false,
            place: Place { file: module.file, span: property.key.span() },
        })
    }

    /// Reads the type of one member. Whether it is optional is in `undefined`.
    pub(in crate::compile) fn member_type(&mut self, member: &RawMember<'a, 'g>) -> Result<Typed, Reported> {
        let typed = match member.kind {
            RawType::Id => Typed::required(Shape::Id),
            RawType::Written(ty) => self.typed(ty, &Name::anonymous(&member.owner, &member.name))?,
        };
        Ok(Typed { undefined: (typed.undefined && !member.required) || member.optional, ..typed })
    }

    /// Reads the types of all members.
    pub(super) fn build_members(&mut self, members: &[RawMember<'a, 'g>]) -> Result<Vec<Member>, Reported> {
        let expanding = std::mem::take(&mut self.expanding);
        let mut built = Vec::with_capacity(members.len());
        let mut failed = None;
        for member in members {
            match self.member_type(member) {
                Ok(Typed { slot, undefined, literal }) => built.push(Member {
                    name: member.name.clone(),
                    description: member.description.clone(),
                    slot: Slot { optional: undefined, ..slot },
                    literal,
                }),
                Err(reported) => failed = Some(reported),
            }
        }
        self.expanding = expanding;
        failed.map_or(Ok(built), Err)
    }

    /// Reads an object type that has no declaration of its own.
    pub(super) fn anonymous_object(&mut self, ty: Ty<'a, 'g>, name: &Name) -> Result<Typed, Reported> {
        let object = match self.registry.known(&ty.origin()) {
            Some(known) => known.to_owned(),
            None => {
                let members = self.members(ty, &name.base)?;
                self.define_object(&members, ty.origin(), ty.place(), name)?
            }
        };
        Ok(Typed::required(Shape::Object(object)))
    }

    /// Defines an object with these members.
    pub(super) fn define_object(
        &mut self,
        members: &[RawMember<'a, 'g>],
        origin: Origin<'a>,
        place: Place<'a, 'g>,
        name: &Name,
    ) -> Result<String, Reported> {
        if members.is_empty() {
            let message = "an object type without members has no counterpart in GraphQL";
            return Err(self.report.error_with_help(place.file, place.span, message, "add a member, or write JSON"));
        }
        let started = self.registry.start(origin, &name.definition, place);
        let members = self.build_members(members)?;
        let definition = ObjectDefinition {
            name: name.definition.clone(),
            input_name: format!("{}Input", name.base),
            description: name.description.clone(),
            members,
        };
        self.registry.complete(started, Definition::Object(definition), place);
        Ok(name.definition.clone())
    }

    /// Defines an object whose members are known.
    pub(super) fn synthesize(
        &mut self,
        origin: Origin<'a>,
        place: Place<'a, 'g>,
        name: &str,
        members: Vec<Member>,
    ) -> Shape {
        if self.registry.known(&origin).is_none() {
            let started = self.registry.start(origin, name, place);
            let definition = ObjectDefinition {
                name: name.to_owned(),
                input_name: format!("{name}Input"),
                description: None,
                members,
            };
            self.registry.complete(started, Definition::Object(definition), place);
        }
        Shape::Object(name.to_owned())
    }

    pub(super) fn no_such_member(&self, key: Ty, name: &str, members: &[RawMember]) -> Reported {
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        self.error(key, format!("there is no member `{name}`"), format!("there are {}", names.join(", ")))
    }
}
