//! Arguments as a document writes them: literals, coerced once when the plan is made, with variables left open.

use async_graphql::Name;
use async_graphql::parser::types::{BaseType, Type};
use async_graphql_value::Value as Literal;
use indexmap::IndexMap;
use serde_json::{Map, Number, Value};
use weir_schema::api::{Api, InputObject, NamedType, Of, Scalar, TypeRef};

use super::GraphqlError;
use super::input::{self, BadInput};
use super::introspection::{Known, Types};
use super::plan::Variable;

/// A coerced value with places for variables.
#[derive(Debug, PartialEq)]
pub enum Template {
    /// A value without variables.
    Constant(Value),
    /// The value of a variable.
    Variable {
        /// Its place among the operation's variables.
        index: usize,
        /// Whether null may stand here; a variable's default can let a nullable one in where it may not.
        nullable: bool,
    },
    /// A list with a variable in it.
    List(Vec<Self>),
    /// An object with a variable in it.
    Object(Vec<ObjectField>),
}

/// A field of an object in a [`Template`].
#[derive(Debug, PartialEq)]
pub struct ObjectField {
    /// Its name.
    pub name: String,
    /// What the document gives.
    pub value: Template,
    /// What it is when the document gives a variable without a value.
    pub default: Option<Value>,
}

/// The values of an operation's variables, coerced.
#[derive(Debug, Clone)]
pub struct Variables<'p> {
    /// By their place in the operation; `None` for one that has neither a value nor a default.
    values: Vec<Option<Value>>,
    operation: &'p [Variable],
    /// How often each is still to be read; the last reader takes the value instead of copying it.
    reads: Vec<u32>,
}

impl<'p> Variables<'p> {
    /// Coerces what a client sent. Names that the operation does not declare are ignored, as the specification says.
    pub fn coerce(
        api: &Api,
        operation: &'p [Variable],
        mut given: Map<String, Value>,
    ) -> Result<Self, Vec<GraphqlError>> {
        let mut values = Vec::with_capacity(operation.len());
        let mut bad = Vec::new();
        for variable in operation {
            let path = || format!("${}", variable.name);
            let refused = |error: BadInput| GraphqlError::from(error).at(variable.location);
            match (given.remove(&variable.name), &variable.default) {
                (Some(value), _) => match input::coerce(api, &variable.ty, &path(), value) {
                    Ok(value) => values.push(Some(value)),
                    Err(error) => bad.push(refused(error)),
                },
                (None, Some(default)) => values.push(Some(default.clone())),
                (None, None) if variable.ty.nullable => values.push(None),
                (None, None) => {
                    let message = format!("no value given; expected {}", variable.ty);
                    bad.push(refused(BadInput { path: path(), message }));
                }
            }
        }
        if bad.is_empty() { Ok(Self { values, operation, reads: Vec::new() }) } else { Err(bad) }
    }

    /// The value of a variable, for conditions.
    pub fn get(&self, index: usize) -> Option<&Value> {
        self.values.get(index).and_then(Option::as_ref)
    }

    /// Announces how often the plan reads each variable.
    pub fn expect_reads(&mut self, reads: &[u32]) {
        self.reads = reads.to_vec();
    }

    fn read(&mut self, index: usize) -> Option<Value> {
        let left = self.reads.get_mut(index).map_or(u32::MAX, |left| {
            *left = left.saturating_sub(1);
            *left
        });
        let value = self.values.get_mut(index)?;
        if left == 0 { value.take() } else { value.clone() }
    }

    fn name(&self, index: usize) -> &str {
        self.operation.get(index).map_or("", |variable| &variable.name)
    }
}

impl Template {
    /// Puts the variables in. `None` if it is a variable without a value.
    pub fn fill(&self, variables: &mut Variables<'_>) -> Result<Option<Value>, BadInput> {
        match self {
            Self::Constant(value) => Ok(Some(value.clone())),
            Self::Variable { index, nullable } => match variables.read(*index) {
                Some(Value::Null) if !nullable => Err(BadInput {
                    path: format!("${}", variables.name(*index)),
                    message: "null was given where a value is needed".into(),
                }),
                value => Ok(value),
            },
            Self::List(elements) => {
                let mut list = Vec::with_capacity(elements.len());
                for element in elements {
                    list.push(element.fill(variables)?.unwrap_or_default());
                }
                Ok(Some(Value::Array(list)))
            }
            Self::Object(fields) => {
                let mut object = Map::with_capacity(fields.len());
                for ObjectField { name, value, default } in fields {
                    if let Some(value) = value.fill(variables)?.or_else(|| default.clone()) {
                        object.insert(name.clone(), value);
                    }
                }
                Ok(Some(Value::Object(object)))
            }
        }
    }
}

/// Makes templates of literals.
pub struct Literals<'a> {
    api: &'a Api,
    variables: &'a [Variable],
    /// How often each variable is used.
    reads: &'a mut [u32],
}

impl<'a> Literals<'a> {
    /// For literals in an operation with these variables. `reads` counts their uses, each at its place.
    pub fn new(api: &'a Api, variables: &'a [Variable], reads: &'a mut [u32]) -> Self {
        Self { api, variables, reads }
    }

    /// Coerces a literal. The error is a message for the place where it stands.
    pub fn template(&mut self, ty: &TypeRef, default: Option<&Value>, literal: &Literal) -> Result<Template, String> {
        match literal {
            Literal::Variable(name) => self.variable(ty, default, name),
            Literal::Null if ty.nullable => Ok(Template::Constant(Value::Null)),
            Literal::Null => Err(format!("expected {ty}, got null")),
            literal => match &ty.of {
                Of::List(element) => match literal {
                    Literal::List(literals) => {
                        let elements = literals.iter().map(|literal| self.template(element, None, literal));
                        elements.collect::<Result<_, _>>().map(list)
                    }
                    single => Ok(list(vec![self.template(element, None, single)?])),
                },
                Of::Scalar(Scalar::Json) => self.json(literal),
                Of::Scalar(kind) => {
                    let value = scalar_literal(*kind, literal);
                    value.map(Template::Constant).ok_or_else(|| format!("expected {ty}, got {literal}"))
                }
                Of::Named(name) => match (self.api.types.get(name), literal) {
                    (Some(NamedType::Enum(enumeration)), Literal::Enum(given)) => {
                        let typescript = enumeration.typescript(given);
                        let typescript = typescript
                            .ok_or_else(|| format!("expected {}, got {given}", input::spellings(enumeration)))?;
                        Ok(Template::Constant(Value::String(typescript.to_owned())))
                    }
                    (Some(NamedType::Enum(enumeration)), other) => {
                        Err(format!("expected {}, got {other}", input::spellings(enumeration)))
                    }
                    (Some(NamedType::Input(input)), Literal::Object(given)) => self.object(input, given),
                    _ => Err(format!("expected {ty}, got {literal}")),
                },
            },
        }
    }

    fn object(&mut self, input: &InputObject, given: &IndexMap<Name, Literal>) -> Result<Template, String> {
        if let Some(unknown) = given.keys().find(|name| !input.fields.iter().any(|field| field.name == name.as_str())) {
            return Err(input::not_a_field(input, unknown));
        }
        let mut fields = Vec::with_capacity(given.len());
        for field in &input.fields {
            let value = match (given.get(field.name.as_str()), &field.default) {
                (Some(literal), default) => self
                    .template(&field.ty, default.as_ref(), literal)
                    .map_err(|message| format!("{}: {message}", field.name))?,
                (None, Some(default)) => Template::Constant(default.clone()),
                (None, None) if field.ty.nullable => continue,
                (None, None) => return Err(input::missing(input, &field.name, &field.ty)),
            };
            fields.push(ObjectField { name: field.name.clone(), value, default: field.default.clone() });
        }
        Ok(object(fields))
    }

    /// Any literal is JSON but a bare word, which could only be meant as an enum value. Inside it any variable may stand.
    fn json(&mut self, literal: &Literal) -> Result<Template, String> {
        Ok(match literal {
            Literal::Variable(name) => self.read(self.find(name)?.0, true),
            Literal::Null => Template::Constant(Value::Null),
            Literal::Boolean(value) => Template::Constant(Value::Bool(*value)),
            Literal::Number(value) => Template::Constant(Value::Number(value.clone())),
            Literal::String(value) => Template::Constant(Value::String(value.clone())),
            Literal::List(literals) => {
                let elements = literals.iter().map(|literal| self.json(literal));
                list(elements.collect::<Result<_, _>>()?)
            }
            Literal::Object(given) => {
                let fields = given.iter().map(|(name, literal)| {
                    let value = self.json(literal)?;
                    Ok(ObjectField { name: name.to_string(), value, default: None })
                });
                object(fields.collect::<Result<_, String>>()?)
            }
            other => return Err(format!("expected JSON, got {other}; write it as a string")),
        })
    }

    fn variable(&mut self, ty: &TypeRef, default: Option<&Value>, name: &str) -> Result<Template, String> {
        let (index, variable) = self.find(name)?;
        if !variable.may_stand(ty, default) {
            return Err(format!("the variable ${name} has the type {}, where {ty} is expected", variable.ty));
        }
        Ok(self.read(index, ty.nullable))
    }

    fn find(&self, name: &str) -> Result<(usize, &'a Variable), String> {
        let found = self.variables.iter().enumerate().find(|(_, variable)| variable.name == name);
        found.ok_or_else(|| format!("the variable ${name} is not declared"))
    }

    fn read(&mut self, index: usize, nullable: bool) -> Template {
        if let Some(reads) = self.reads.get_mut(index) {
            *reads += 1;
        }
        Template::Variable { index, nullable }
    }
}

impl Variable {
    /// Whether it may stand in a place of this type, with or without a default.
    pub fn may_stand(&self, place: &TypeRef, default: Option<&Value>) -> bool {
        let own = self.default.as_ref().is_some_and(|default| !default.is_null());
        may_stand(&self.ty, own, place, default.is_some())
    }
}

/// Whether a variable of a type, which has a default other than null or not, may stand in a place of a type, which has a
/// default or not (<https://spec.graphql.org/draft/#IsVariableUsageAllowed()>).
pub fn may_stand(given: &TypeRef, has_default: bool, place: &TypeRef, place_has_default: bool) -> bool {
    if !place.nullable && given.nullable {
        let has_value = has_default || place_has_default;
        return has_value && compatible(given, &TypeRef { nullable: true, of: place.of.clone() });
    }
    compatible(given, place)
}

/// The value of a literal as a scalar other than JSON. A whole number has no fraction, not even `.0`, when it is a literal; the
/// tree does not tell `-0` and `-0.0` apart, and both are whole.
pub fn scalar_literal(kind: Scalar, literal: &Literal) -> Option<Value> {
    let is_negative_zero =
        |number: &Number| number.as_f64() == Some(0.0) && number.as_f64().is_some_and(f64::is_sign_negative);
    let value = match literal {
        Literal::Number(value) if kind == Scalar::Id && is_negative_zero(value) => Value::from("-0"),
        Literal::Boolean(value) => Value::Bool(*value),
        Literal::Number(value) if kind == Scalar::Int && value.is_f64() && !is_negative_zero(value) => return None,
        Literal::Number(value) => Value::Number(value.clone()),
        Literal::String(value) => Value::String(value.clone()),
        _ => return None,
    };
    input::scalar(kind, value).ok()
}

fn compatible(given: &TypeRef, expected: &TypeRef) -> bool {
    if given.nullable && !expected.nullable {
        return false;
    }
    match (&given.of, &expected.of) {
        (Of::List(given), Of::List(expected)) => compatible(given, expected),
        (given, expected) => given == expected,
    }
}

/// The type that a variable is declared with, which may be none of arguments. The error is a message for the place where it
/// stands.
pub fn variable_type(types: Types<'_>, ty: &Type) -> Result<TypeRef, String> {
    let of = match &ty.base {
        BaseType::List(element) => Of::List(Box::new(variable_type(types, element)?)),
        BaseType::Named(name) => match types.find(name) {
            Some(Known::Scalar(scalar)) => Of::Scalar(scalar),
            Some(_) => Of::Named(name.to_string()),
            None => return Err(format!("Unknown type \"{name}\"")),
        },
    };
    Ok(TypeRef { of, nullable: ty.nullable })
}

/// A list, folded to a constant if it holds no variable.
fn list(elements: Vec<Template>) -> Template {
    if elements.iter().all(|element| matches!(element, Template::Constant(_))) {
        let constant = |element| if let Template::Constant(value) = element { value } else { Value::Null };
        Template::Constant(Value::Array(elements.into_iter().map(constant).collect()))
    } else {
        Template::List(elements)
    }
}

/// An object, folded to a constant if it holds no variable.
fn object(fields: Vec<ObjectField>) -> Template {
    if fields.iter().all(|field| matches!(field.value, Template::Constant(_))) {
        let constant = |field: ObjectField| match field.value {
            Template::Constant(value) => (field.name, value),
            _ => (field.name, Value::Null),
        };
        Template::Constant(Value::Object(fields.into_iter().map(constant).collect()))
    } else {
        Template::Object(fields)
    }
}
