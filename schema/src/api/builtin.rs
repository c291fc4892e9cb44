//! What every schema has beside the app's own: `invoke`, `batch` and their types.

use serde_json::Value;

use super::{BATCH, Field, INVOKE, InputField, InputObject, NamedType, Object, Of, Scalar, TypeRef};

/// Calls any function of this root by name.
pub(super) fn invoke() -> Field {
    Field {
        name: INVOKE.into(),
        description: Some(
            "Calls a function of this root by its name. Arguments and result are plain JSON in the spelling of the \
             TypeScript types."
                .into(),
        ),
        arguments: vec![
            input("function", "The function's name.", required(Scalar::String)),
            input("args", "Its arguments as one object; null for none.", nullable(Scalar::Json)),
        ],
        ty: nullable(Scalar::Json),
    }
}

/// Calls many functions of Mutation.
pub(super) fn batch() -> Field {
    let list = |name: &str| TypeRef::required(Of::List(Box::new(TypeRef::required(Of::Named(name.into())))));
    let atomic = InputField {
        default: Some(Value::Bool(true)),
        ..input("atomic", "All or none, in one transaction; otherwise each by itself.", required(Scalar::Boolean))
    };
    Field {
        name: BATCH.into(),
        description: Some("Calls many procedures, in order. There is one result per call, in the same order.".into()),
        arguments: vec![input("calls", "The calls.", list("CallInput")), atomic],
        ty: list("CallResult"),
    }
}

/// The types of `batch`.
pub(super) fn types() -> [NamedType; 3] {
    [
        NamedType::Input(InputObject {
            name: "CallInput".into(),
            description: Some("One call of a batch.".into()),
            fields: vec![
                input("function", "The procedure's name.", required(Scalar::String)),
                input("args", "Its arguments as one object; null for none.", nullable(Scalar::Json)),
            ],
        }),
        NamedType::Object(Object {
            name: "CallResult".into(),
            description: Some("What came of one call of a batch: a value or an error.".into()),
            fields: vec![
                field("value", "What the procedure returned, as JSON.", nullable(Scalar::Json)),
                field("error", "Why it failed.", TypeRef::nullable(Of::Named("CallError".into()))),
            ],
        }),
        NamedType::Object(Object {
            name: "CallError".into(),
            description: Some("Why a call of a batch failed.".into()),
            fields: vec![
                field("code", "As in `extensions.code` of an error.", required(Scalar::String)),
                field("message", "For people.", required(Scalar::String)),
                field("appCode", "What the procedure named in `fail`.", nullable(Scalar::String)),
            ],
        }),
    ]
}

fn required(scalar: Scalar) -> TypeRef {
    TypeRef::required(Of::Scalar(scalar))
}

fn nullable(scalar: Scalar) -> TypeRef {
    TypeRef::nullable(Of::Scalar(scalar))
}

fn input(name: &str, description: &str, ty: TypeRef) -> InputField {
    InputField { name: name.into(), description: Some(description.into()), ty, default: None }
}

fn field(name: &str, description: &str, ty: TypeRef) -> Field {
    Field { name: name.into(), description: Some(description.into()), arguments: Vec::new(), ty }
}
