//! Unions: with `null` and `undefined`, of string literals, of objects that a member tells apart.

use oxc::ast::ast::{TSLiteral, TSType};
use weir_schema::name::{capitalized, enum_value};
use weir_schema::shape::{Alternative, Definition, EnumDefinition, EnumValue, Shape, Slot, UnionDefinition};

use super::reference::{Named, Use};
use super::{Name, Ty, Typed, Types};
use crate::compile::module::TypeDeclaration;
use crate::compile::report::Reported;

/// The parts of a union, aliases of unions taken apart.
#[derive(Default)]
struct Parts<'a, 'g> {
    nullable: bool,
    undefined: bool,
    rest: Vec<Part<'a, 'g>>,
}

/// One part, with the name for anonymous types in it.
struct Part<'a, 'g> {
    ty: Ty<'a, 'g>,
    name: Name,
    kind: Kind,
}

/// What a part of a union is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Literal(String),
    Object,
    Other,
}

impl<'a, 'g> Types<'a, 'g> {
    /// Reads a union.
    pub(super) fn union(&mut self, ty: Ty<'a, 'g>, name: &Name) -> Result<Typed, Reported> {
        let TSType::TSUnionType(union) = ty.node else {
            return self.typed(ty, name);
        };
        let mut parts = Parts::default();
        for part in &union.types {
            self.part(ty.with(part), name, &mut parts);
        }
        let (nullable, undefined) = (parts.nullable, parts.undefined);
        let typed = match parts.rest.as_slice() {
            [] => return Err(self.error(ty, "`null` alone is no type", "write the type that it may have: T | null")),
            [part] => self.typed(part.ty, &part.name)?,
            _ => self.union_of(ty, parts, name)?,
        };
        Ok(Typed {
            slot: Slot { nullable: nullable || typed.slot.nullable, ..typed.slot },
            undefined: undefined || typed.undefined,
            literal: typed.literal,
        })
    }

    /// Sorts one part of a union in.
    fn part(&mut self, ty: Ty<'a, 'g>, name: &Name, parts: &mut Parts<'a, 'g>) {
        match ty.node {
            TSType::TSNullKeyword(_) => parts.nullable = true,
            TSType::TSUndefinedKeyword(_) => parts.undefined = true,
            TSType::TSUnionType(union) => {
                union.types.iter().for_each(|part| self.part(ty.with(part), name, parts));
            }
            _ => {
                let part = Part { ty, name: name.clone(), kind: Kind::Other };
                parts.rest.push(part);
            }
        }
    }

    /// Reads a union of several types: an enum or a union of objects.
    fn union_of(&mut self, ty: Ty<'a, 'g>, parts: Parts<'a, 'g>, name: &Name) -> Result<Typed, Reported> {
        let mut flat = Parts::default();
        for part in parts.rest {
            self.flatten(part.ty, &part.name, &mut flat)?;
        }
        let literals: Vec<String> = flat
            .rest
            .iter()
            .filter_map(|part| if let Kind::Literal(text) = &part.kind { Some(text.clone()) } else { None })
            .collect();
        let typed = if literals.len() == flat.rest.len() {
            self.enumeration(ty, &literals, name)?
        } else if flat.rest.iter().all(|part| part.kind == Kind::Object) {
            self.objects(ty, &flat.rest, name)?
        } else {
            return Err(self.mixed(ty, &flat.rest));
        };
        Ok(Typed { slot: Slot { nullable: flat.nullable, ..typed.slot }, undefined: flat.undefined, ..typed })
    }

    /// Takes aliases of unions and of literals apart.
    fn flatten(&mut self, ty: Ty<'a, 'g>, name: &Name, parts: &mut Parts<'a, 'g>) -> Result<(), Reported> {
        let kind = match ty.node {
            TSType::TSNullKeyword(_) => {
                parts.nullable = true;
                return Ok(());
            }
            TSType::TSUndefinedKeyword(_) => {
                parts.undefined = true;
                return Ok(());
            }
            TSType::TSUnionType(union) => {
                return union.types.iter().try_for_each(|part| self.flatten(ty.with(part), name, parts));
            }
            TSType::TSLiteralType(literal) => match &literal.literal {
                TSLiteral::StringLiteral(text) => Kind::Literal(text.value.to_string()),
                _ => Kind::Other,
            },
            TSType::TSTypeLiteral(_) | TSType::TSIntersectionType(_) => Kind::Object,
            TSType::TSTypeReference(reference) => match self.named(Use::new(ty, reference))? {
                Named::Weir("Doc" | "Page" | "Edge" | "PageInfo") => Kind::Object,
                Named::Global("Pick" | "Omit" | "Partial" | "Required" | "Readonly") => Kind::Object,
                Named::Weir(_) | Named::Global(_) => Kind::Other,
                Named::Declared(declared) => match declared.declaration {
                    TypeDeclaration::Interface(_) => Kind::Object,
                    TypeDeclaration::Other => Kind::Other,
                    TypeDeclaration::Alias(alias) => {
                        let used = Use::new(ty, reference);
                        self.check_plain(used, declared)?;
                        let behind = Ty::new(declared.module, &alias.type_annotation);
                        if matches!(behind.node, TSType::TSTypeLiteral(_) | TSType::TSIntersectionType(_)) {
                            Kind::Object
                        } else {
                            let name = self.declared_name(declared);
                            return self.guarded(used, declared, |types| types.flatten(behind, &name, parts));
                        }
                    }
                },
            },
            _ => Kind::Other,
        };
        parts.rest.push(Part { ty, name: name.clone(), kind });
        Ok(())
    }

    /// A union of string literals.
    fn enumeration(&mut self, ty: Ty<'a, 'g>, literals: &[String], name: &Name) -> Result<Typed, Reported> {
        if let Some(known) = self.registry.known(&ty.origin()) {
            return Ok(Typed::required(Shape::Enum(known.to_owned())));
        }
        let mut values: Vec<EnumValue> = Vec::new();
        for literal in literals {
            let Some(graphql) = enum_value(literal) else {
                let message = format!("{literal:?} has no spelling as a value of a GraphQL enum");
                return Err(self.error(ty, message, "use letters, digits, `_` and `-`, or write string"));
            };
            match values.iter().find(|value| value.graphql == graphql) {
                Some(same) if same.typescript == *literal => {}
                Some(other) => {
                    let message = format!("{:?} and {literal:?} are both `{graphql}` in GraphQL", other.typescript);
                    return Err(self.error(ty, message, "spell one of them differently, or write string"));
                }
                None => values.push(EnumValue { graphql, typescript: literal.clone() }),
            }
        }
        let started = self.registry.start(ty.origin(), &name.definition, ty.place());
        let definition =
            EnumDefinition { name: name.definition.clone(), description: name.description.clone(), values };
        self.registry.complete(started, Definition::Enum(definition), ty.place());
        Ok(Typed::required(Shape::Enum(name.definition.clone())))
    }

    /// A union of objects.
    fn objects(&mut self, ty: Ty<'a, 'g>, parts: &[Part<'a, 'g>], name: &Name) -> Result<Typed, Reported> {
        if let Some(known) = self.registry.known(&ty.origin()) {
            return Ok(Typed::required(Shape::Union(known.to_owned())));
        }
        let mut literals = Vec::with_capacity(parts.len());
        for part in parts {
            literals.push(self.literal_members(part)?);
        }
        let Some(discriminator) = discriminator(&literals) else {
            let message = "nothing tells the objects of this union apart";
            let help = "give each a member with a literal of its own, such as kind: \"card\" and kind: \"cash\"";
            return Err(self.error(ty, message, help));
        };
        let started = self.registry.start(ty.origin(), &name.definition, ty.place());
        let mut alternatives = Vec::with_capacity(parts.len());
        for (part, literals) in parts.iter().zip(&literals) {
            let literal = literals.iter().find(|(member, _)| *member == discriminator);
            let literal = literal.map(|(_, literal)| literal.clone()).unwrap_or_default();
            let typed = self.typed(part.ty, &Name::anonymous(&part.name.base, &joined_words(&literal)))?;
            if let Shape::Object(object) = typed.slot.shape {
                alternatives.push(Alternative { literal, object });
            }
        }
        let definition = UnionDefinition {
            name: name.definition.clone(),
            description: name.description.clone(),
            discriminator,
            alternatives,
        };
        self.registry.complete(started, Definition::Union(definition), ty.place());
        Ok(Typed::required(Shape::Union(name.definition.clone())))
    }

    /// The members of an object that are always one literal.
    fn literal_members(&mut self, part: &Part<'a, 'g>) -> Result<Vec<(String, String)>, Reported> {
        let members = self.members(part.ty, &part.name.base)?;
        // As inside of any object, a member may be of the very union at hand.
        let expanding = std::mem::take(&mut self.expanding);
        let mut found = Vec::new();
        for member in members {
            let mut parts = Parts::default();
            if let Some(ty) = member.always()
                && self.flatten(ty, &part.name, &mut parts).is_ok()
                && let [Part { kind: Kind::Literal(literal), .. }] = parts.rest.as_slice()
                && !parts.nullable
                && !parts.undefined
            {
                found.push((member.name, literal.clone()));
            }
        }
        self.expanding = expanding;
        Ok(found)
    }

    fn mixed(&self, ty: Ty<'a, 'g>, parts: &[Part<'a, 'g>]) -> Reported {
        let is_string = |part: &Part| matches!(part.kind, Kind::Literal(_)) || is_keyword_string(part.ty.node);
        let help = if parts.iter().all(is_string) {
            "write string"
        } else {
            "write one type, a union of strings, a union of objects, or JSON"
        };
        self.error(ty, "a union of different kinds of types has no counterpart in GraphQL", help)
    }
}

fn is_keyword_string(node: &TSType) -> bool {
    matches!(node, TSType::TSStringKeyword(_))
}

/// The first member that is a literal in every object, and a different one in each.
fn discriminator(objects: &[Vec<(String, String)>]) -> Option<String> {
    let (first, others) = objects.split_first()?;
    let mut candidates = first.iter();
    let found = candidates.find(|(member, literal)| {
        let mut seen = vec![literal];
        others.iter().all(|object| match object.iter().find(|(name, _)| name == member) {
            Some((_, literal)) if !seen.contains(&literal) => {
                seen.push(literal);
                true
            }
            _ => false,
        })
    });
    found.map(|(member, _)| member.clone())
}

/// A literal as part of a type's name: `fee-pool` is `FeePool`.
fn joined_words(literal: &str) -> String {
    literal.split(|c: char| !c.is_ascii_alphanumeric()).map(capitalized).collect()
}
