//! Literals have the types of their places (<https://spec.graphql.org/draft/#sec-Values-of-Correct-Type>). Variables in them
//! are the concern of [`super::variables`].

use async_graphql_value::Value as Literal;
use weir_schema::api::{NamedType, Of, Scalar, TypeRef};

use super::super::input;
use super::super::template::scalar_literal;
use super::Validator;

impl Validator<'_> {
    /// Checks what of a literal is constant. The error is a message for the place where it stands.
    pub(super) fn constant(&self, ty: &TypeRef, literal: &Literal) -> Result<(), String> {
        match (literal, &ty.of) {
            (Literal::Variable(_), _) => Ok(()),
            (Literal::Null, _) if ty.nullable => Ok(()),
            (Literal::Null, _) => Err(format!("expected {ty}, got null")),
            (Literal::List(literals), Of::List(element)) => {
                literals.iter().try_for_each(|literal| self.constant(element, literal))
            }
            (single, Of::List(element)) => self.constant(element, single),
            (literal, Of::Scalar(Scalar::Json)) => json(literal),
            (literal, Of::Scalar(kind)) => {
                scalar_literal(*kind, literal).map(drop).ok_or_else(|| format!("expected {ty}, got {literal}"))
            }
            (literal, Of::Named(name)) => self.named_constant(ty, name, literal),
        }
    }

    fn named_constant(&self, ty: &TypeRef, name: &str, literal: &Literal) -> Result<(), String> {
        match (self.types.named(name), literal) {
            (Some(NamedType::Enum(enumeration)), Literal::Enum(given)) if enumeration.typescript(given).is_some() => {
                Ok(())
            }
            (Some(NamedType::Enum(enumeration)), other) => {
                Err(format!("expected {}, got {other}", input::spellings(enumeration)))
            }
            (Some(NamedType::Input(object)), Literal::Object(given)) => {
                let is_known = |name: &str| object.fields.iter().any(|field| field.name == name);
                if let Some(unknown) = given.keys().find(|name| !is_known(name)) {
                    return Err(input::not_a_field(object, unknown));
                }
                for field in &object.fields {
                    match given.get(field.name.as_str()) {
                        Some(literal) => {
                            self.constant(&field.ty, literal)
                                .map_err(|message| format!("{}: {message}", field.name))?;
                        }
                        None if field.is_required() => return Err(input::missing(object, &field.name, &field.ty)),
                        None => {}
                    }
                }
                Ok(())
            }
            _ => Err(format!("expected {ty}, got {literal}")),
        }
    }
}

/// Any literal is JSON but a bare word, which could only be meant as an enum value.
fn json(literal: &Literal) -> Result<(), String> {
    match literal {
        Literal::List(literals) => literals.iter().try_for_each(json),
        Literal::Object(members) => members.values().try_for_each(json),
        Literal::Enum(word) => Err(format!("expected JSON, got {word}; write it as a string")),
        _ => Ok(()),
    }
}
