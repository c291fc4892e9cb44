//! All that async-graphql does for an app: validation and introspection.
//!
//! Its dynamic execution is never reached. An extension answers in its place when a document is only to be validated, and
//! skips the validation when an introspection document, cut from a valid one, is to be executed.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_graphql::async_trait::async_trait;
use async_graphql::dynamic::{
    Enum, Field, FieldFuture, InputObject, InputValue, Object, Scalar, Schema, SchemaError, Subscription,
    SubscriptionField, SubscriptionFieldFuture, TypeRef, Union,
};
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute, NextValidation};
use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{CacheControl, Request, Response, ServerError, ValidationResult, Value, Variables};
use futures_util::FutureExt;
use weir_schema::api::{self, Api, NamedType, Of};
use weir_schema::error::ErrorCode;

use super::GraphqlError;
use super::document::location;

/// The library's builders share the method but no trait.
macro_rules! with_description {
    ($ty:expr, $description:expr) => {
        match &$description {
            Some(description) => $ty.description(description),
            None => $ty,
        }
    };
}

/// What the library is asked to do with a document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    Validate,
    Introspect,
}

struct OnlyWhatIsAsked;

impl ExtensionFactory for OnlyWhatIsAsked {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Extension for OnlyWhatIsAsked {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        match ctx.data_opt::<Ask>() {
            Some(Ask::Introspect) => {
                Ok(ValidationResult { cache_control: CacheControl::default(), complexity: 0, depth: 0 })
            }
            _ => next.run(ctx).await,
        }
    }

    async fn execute(&self, ctx: &ExtensionContext<'_>, name: Option<&str>, next: NextExecute<'_>) -> Response {
        match ctx.data_opt::<Ask>() {
            Some(Ask::Introspect) => next.run(ctx, name).await,
            _ => Response::default(),
        }
    }
}

/// The library's view of one schema.
pub struct Library {
    schema: Schema,
}

impl Library {
    /// Builds the library's schema. It repeats checks that [`Api::of`] has made, so that it does not fail.
    pub fn build(api: &Api) -> Result<Self, SchemaError> {
        let [query, mutation, subscription] = api.roots();
        let mut builder = Schema::build(&query.name, Some(&mutation.name), Some(&subscription.name))
            // `scan` has measured the document by this time.
            .limit_recursive_depth(usize::MAX)
            // It would compare each unknown name with all that there are: `suggest` does it for a few.
            .disable_suggestions()
            .extension(OnlyWhatIsAsked);
        for root in [query, mutation] {
            builder = builder.register(object(root));
        }
        let fields = subscription.fields.iter();
        builder = builder.register(fields.fold(Subscription::new(&subscription.name), |ty, field| {
            let described = SubscriptionField::new(&field.name, type_ref(&field.ty), |_| {
                SubscriptionFieldFuture::new(async {
                    Ok(futures_util::stream::empty::<async_graphql::Result<Value>>())
                })
            });
            let described = field.arguments.iter().fold(described, |ty, argument| ty.argument(input(argument)));
            ty.field(with_description!(described, field.description))
        }));
        for ty in api.types.values() {
            builder = match ty {
                NamedType::Object(ty) => builder.register(object(ty)),
                NamedType::Input(ty) => {
                    let described = with_description!(InputObject::new(&ty.name), ty.description);
                    builder.register(ty.fields.iter().fold(described, |ty, field| ty.field(input(field))))
                }
                NamedType::Enum(ty) => {
                    let described = with_description!(Enum::new(&ty.name), ty.description);
                    builder.register(described.items(ty.values.iter().map(|value| value.graphql.as_str())))
                }
                NamedType::Union(ty) => {
                    let described = with_description!(Union::new(&ty.name), ty.description);
                    let objects = ty.alternatives.iter().map(|alternative| &alternative.object);
                    builder.register(objects.fold(described, |ty, object| ty.possible_type(object)))
                }
            };
        }
        for scalar in api.scalars() {
            if let Some((about, url)) = scalar.specification() {
                builder = builder.register(Scalar::new(scalar.name()).description(about).specified_by_url(url));
            }
        }
        Ok(Self { schema: builder.finish()? })
    }

    /// Applies the library's validation rules. `operation` is the name of any operation of the document.
    pub async fn validate(
        &self,
        document: ExecutableDocument,
        operation: Option<&str>,
    ) -> Result<(), Vec<GraphqlError>> {
        let response = self.run(document, operation, Variables::default(), Ask::Validate).await?;
        let errors: Vec<GraphqlError> = response
            .errors
            .into_iter()
            .filter(|error| !is_about_variable_positions(error))
            .map(|error| {
                let refused = GraphqlError::new(ErrorCode::GraphqlValidationFailed, error.message);
                error.locations.into_iter().fold(refused, |refused, pos| refused.at(location(pos)))
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Answers a document that selects introspection fields only: an object by response key.
    pub async fn introspect(
        &self,
        document: ExecutableDocument,
        variables: serde_json::Value,
    ) -> Result<serde_json::Value, Vec<GraphqlError>> {
        let variables = Variables::from_json(variables);
        let response = self.run(document, None, variables, Ask::Introspect).await?;
        let failed = |message: String| vec![GraphqlError::new(ErrorCode::Internal, message)];
        match response.errors.into_iter().next() {
            Some(error) => Err(failed(error.message)),
            None => response.data.into_json().map_err(|error| failed(error.to_string())),
        }
    }

    async fn run(
        &self,
        document: ExecutableDocument,
        operation: Option<&str>,
        variables: Variables,
        ask: Ask,
    ) -> Result<Response, Vec<GraphqlError>> {
        let mut request = Request::new("").variables(variables).data(ask);
        if let Some(operation) = operation {
            request = request.operation_name(operation);
        }
        request.set_parsed_query(document);
        // A defect of the library must not take a client's connection down.
        AssertUnwindSafe(self.schema.execute(request))
            .catch_unwind()
            .await
            .map_err(|_| vec![GraphqlError::new(ErrorCode::Internal, "the document could not be validated")])
    }
}

/// The library refuses a `[T]!` variable where `[T]` is expected and knows no argument defaults there. The rule is ours
/// (`template::may_stand`), and its verdict on it does not count.
fn is_about_variable_positions(error: &ServerError) -> bool {
    error.message.starts_with("Variable \"") && error.message.contains("\" used in position expecting type \"")
}

fn object(ty: &api::Object) -> Object {
    let described = with_description!(Object::new(&ty.name), ty.description);
    ty.fields.iter().fold(described, |ty, field| {
        let described = Field::new(&field.name, type_ref(&field.ty), |_| FieldFuture::from_value(None));
        let described = field.arguments.iter().fold(described, |ty, argument| ty.argument(input(argument)));
        ty.field(with_description!(described, field.description))
    })
}

fn input(field: &api::InputField) -> InputValue {
    let described = with_description!(InputValue::new(&field.name, type_ref(&field.ty)), field.description);
    match field.default.clone().and_then(|default| Value::from_json(default).ok()) {
        Some(default) => described.default_value(default),
        None => described,
    }
}

fn type_ref(ty: &api::TypeRef) -> TypeRef {
    let of = match &ty.of {
        Of::Scalar(scalar) => TypeRef::named(scalar.name()),
        Of::Named(name) => TypeRef::named(name),
        Of::List(element) => TypeRef::List(Box::new(type_ref(element))),
    };
    if ty.nullable { of } else { TypeRef::NonNull(Box::new(of)) }
}
