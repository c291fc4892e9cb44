//! The outline of what Weir serves: what [`crate::sdl`] prints, without the text.

use indexmap::IndexMap;
use serde_json::Value;

use super::{Composite, Literal, Outline, OutlineField, OutlineInput, OutlineType, Ty};
use crate::api::{Api, InputField, NamedType, Object, Of, TypeRef};

impl Outline {
    /// What clients can see of an app's schema. Directives are left out: all that Weir serves have the same.
    pub fn of(api: &Api) -> Self {
        let mut types = IndexMap::new();
        for root in api.roots() {
            types.insert(root.name.clone(), object(root));
        }
        types.extend(api.types.values().map(|ty| (ty.name().to_owned(), named(ty))));
        let scalars = api.scalars().into_iter().filter(|scalar| scalar.specified_by().is_some());
        types.extend(scalars.map(|scalar| (scalar.name().to_owned(), OutlineType::Scalar)));
        Self { types, directives: IndexMap::new() }
    }
}

fn named(ty: &NamedType) -> OutlineType {
    match ty {
        NamedType::Object(ty) => object(ty),
        NamedType::Input(input) => OutlineType::Input(inputs(&input.fields)),
        NamedType::Enum(ty) => OutlineType::Enum(ty.values.iter().map(|value| value.graphql.clone()).collect()),
        NamedType::Union(ty) => {
            OutlineType::Union(ty.alternatives.iter().map(|alternative| alternative.object.clone()).collect())
        }
    }
}

fn object(object: &Object) -> OutlineType {
    let fields = object.fields.iter().map(|field| {
        let outlined = OutlineField { arguments: inputs(&field.arguments), ty: ty(&field.ty) };
        (field.name.clone(), outlined)
    });
    OutlineType::Object(Composite { interfaces: Vec::new(), fields: fields.collect() })
}

fn inputs(fields: &[InputField]) -> IndexMap<String, OutlineInput> {
    let input = |field: &InputField| OutlineInput { ty: ty(&field.ty), default: field.default.as_ref().map(literal) };
    fields.iter().map(|field| (field.name.clone(), input(field))).collect()
}

fn ty(ty: &TypeRef) -> Ty {
    let of = match &ty.of {
        Of::Scalar(scalar) => Ty::Named(scalar.name().to_owned()),
        Of::Named(name) => Ty::Named(name.clone()),
        Of::List(element) => Ty::List(Box::new(self::ty(element))),
    };
    if ty.nullable { of } else { Ty::NonNull(Box::new(of)) }
}

/// A default, which is written alike in JSON and in GraphQL.
fn literal(value: &Value) -> Literal {
    match value {
        Value::Null => Literal::Null,
        Value::Bool(value) => Literal::Boolean(*value),
        Value::Number(number) => Literal::Number(number.clone()),
        Value::String(text) => Literal::String(text.clone()),
        Value::Array(values) => Literal::List(values.iter().map(literal).collect()),
        Value::Object(members) => {
            Literal::Object(members.iter().map(|(name, value)| (name.clone(), literal(value))).collect())
        }
    }
}
