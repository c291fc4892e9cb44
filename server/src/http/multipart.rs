//! Files in GraphQL requests (<https://github.com/jaydenseric/graphql-multipart-request-spec>): a form of `operations`, `map`
//! and files, which become the base64 text of `Bytes` in the variables.
//!
//! Rule: a browser sends a form to any site without asking that site first. So such a request must have a header that
//! browsers do ask for. And nothing of a form is kept that is not named before it comes: files are encoded as they are read.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use axum::body::{Body, BodyDataStream};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response as HttpResponse;
use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderStringWriter;
use futures_util::StreamExt;
use indexmap::IndexMap;
use multer::{Constraints, Field, Multipart, SizeLimit};
use serde_json::Value;
use tokio::time::timeout;
use weir_schema::api::{Api, NamedType, Of, Scalar, TypeRef};
use weir_schema::error::ErrorCode;

use super::ServerOptions;
use super::bodies::Held;
use super::body::{DROPPED_BYTES_MAX, Unread};
use super::compression::{Coding, coding};
use super::connection;
use super::gateway::Gateway;
use super::graphql::{Method, Refusal, answer, bad, service_of, write};
use super::negotiate::MediaType;
use super::origin::is_preflighted;
use crate::auth::Credentials;
use crate::graphql::document::Operation;
use crate::graphql::{GraphqlError, Request, Response};

/// Whether a body is a form that may have files.
pub fn is_multipart(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|content| content.to_str().ok()?.split(';').next());
    media.is_some_and(|media| media.trim().eq_ignore_ascii_case("multipart/form-data"))
}

/// `POST /graphql` with files.
pub async fn post(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: Body,
    media: MediaType,
    credentials: &Credentials,
) -> HttpResponse {
    let mut held = gateway.bodies.hold(&connection::accepted(&parts.extensions).written);
    let Upload { request, places } = match read(&parts.headers, body, &gateway.options, &mut held).await {
        Ok(upload) => upload,
        Err(refusal) => return refusal.into_response(media),
    };
    // Whatever else is wrong with the document is told when it is answered.
    if let Ok(service) = service_of(gateway, parts)
        && let Ok(served) = service.route(credentials).await
        && let Ok(operation) = gateway.service.operation(&served, &request).await
        && let Some(place) = places.iter().find(|place| !takes_file(&served.schema.api, &operation, place))
    {
        let message = format!("${}: only Bytes take a file; declare it as Bytes", place.0.join("."));
        return write(media, &Response::refused(vec![GraphqlError::new(ErrorCode::BadArguments, message)]));
    }
    answer(gateway, request, parts, credentials, media, Method::Post).await
}

/// A request with its files where they belong.
struct Upload {
    request: Request,
    places: Vec<Place>,
}

/// A place in the variables: the name of one, and members and numbers of elements in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place(Vec<String>);

async fn read(headers: &HeaderMap, body: Body, options: &ServerOptions, held: &mut Held) -> Result<Upload, Refusal> {
    if coding(headers) != Some(Coding::Identity) {
        let error = bad("send a form with files as it is, without Content-Encoding");
        return Err(Refusal { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, error });
    }
    let mut stream = body.into_data_stream();
    let taken = timeout(options.body_timeout, take(&mut stream, boundary(headers), options, held)).await;
    taken.unwrap_or_else(|_| {
        let error = bad(Unread::Late(options.body_timeout).to_string());
        Err(Refusal { status: StatusCode::REQUEST_TIMEOUT, error })
    })
}

/// What separates the parts of the form, if it may be taken.
fn boundary(headers: &HeaderMap) -> Result<String, Refusal> {
    if !is_preflighted(headers) {
        return Err(refused(
            "a form with files needs a header that browsers ask for before they send it: add GraphQL-Preflight: 1 (or \
             Apollo-Require-Preflight, or X-Requested-With)",
        ));
    }
    let content = headers.get(header::CONTENT_TYPE).and_then(|content| content.to_str().ok()).unwrap_or_default();
    multer::parse_boundary(content).map_err(|_| refused("the content type has no boundary"))
}

/// Takes the form apart. What is left of one that is refused is still read, and dropped: most clients look for an answer only
/// when they have sent all.
async fn take(
    stream: &mut BodyDataStream,
    boundary: Result<String, Refusal>,
    options: &ServerOptions,
    held: &mut Held,
) -> Result<Upload, Refusal> {
    let limits = SizeLimit::new()
        .whole_stream(options.body_bytes as u64)
        .for_field("operations", options.body_bytes as u64)
        .for_field("map", options.body_bytes as u64)
        .per_field(options.upload_file_bytes as u64);
    let constraints = Constraints::new().size_limit(limits);
    let taken = match boundary {
        Ok(boundary) => fields(Multipart::with_constraints(&mut *stream, boundary, constraints), options, held).await,
        Err(refusal) => Err(refusal),
    };
    if taken.is_err() {
        let mut dropped = 0_usize;
        while let Some(Ok(piece)) = stream.next().await {
            dropped = dropped.saturating_add(piece.len());
            if dropped > DROPPED_BYTES_MAX {
                break;
            }
        }
    }
    taken
}

async fn fields(mut form: Multipart<'_>, options: &ServerOptions, held: &mut Held) -> Result<Upload, Refusal> {
    let unread = |error| unread(error, options);
    let mut operations = json_of(&mut form, "operations", options, held).await?;
    if operations.is_array() {
        return Err(refused("operations is a list: send a form for each request"));
    }
    let map = json_of(&mut form, "map", options, held).await?;
    let mut map = parse_map(map)?;
    let places: Vec<Place> = map.values().flatten().cloned().collect();
    if places.len() > options.upload_files {
        let most = options.upload_files;
        let message = format!("map has {} places for files; the limit is {most}", places.len());
        let error = GraphqlError::limit("upload_files", message);
        return Err(Refusal { status: StatusCode::PAYLOAD_TOO_LARGE, error });
    }
    let mut known = HashSet::new();
    for place in &places {
        if !known.insert(place) || place.in_variables(&mut operations).is_none_or(|value| !value.is_null()) {
            let path = place.0.join(".");
            return Err(refused(format!("map: variables.{path} must be null in operations, and stand in map once")));
        }
    }
    while let Some(field) = form.next_field().await.map_err(unread)? {
        let name = field.name().unwrap_or_default().to_owned();
        let places = map.shift_remove(&name);
        let places = places.ok_or_else(|| refused(format!("the part {name:?} is not in map, or there twice")))?;
        let text = base64_of(field, options, held).await?;
        for place in places {
            // Each place has a text of its own.
            held.grow(text.len()).map_err(Refusal::no_room)?;
            if let Some(value) = place.in_variables(&mut operations) {
                *value = Value::String(text.clone());
            }
        }
    }
    if let Some(name) = map.keys().next() {
        return Err(refused(format!("the file {name:?} is in map, and not in the form")));
    }
    let request = Request::parse(operations).map_err(|error| Refusal { status: StatusCode::BAD_REQUEST, error })?;
    Ok(Upload { request, places })
}

/// The next part, which must have this name and be JSON.
async fn json_of(
    form: &mut Multipart<'_>,
    name: &str,
    options: &ServerOptions,
    held: &mut Held,
) -> Result<Value, Refusal> {
    let field = form.next_field().await.map_err(|error| unread(error, options))?;
    let field = field.filter(|field| field.name() == Some(name));
    let mut field =
        field.ok_or_else(|| refused("the parts of the form are operations, map, then the files, in this order"))?;
    let mut text = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|error| unread(error, options))? {
        held.grow(piece.len()).map_err(Refusal::no_room)?;
        text.extend_from_slice(&piece);
    }
    held.grow_for_parsed(&text).map_err(Refusal::no_room)?;
    serde_json::from_slice(&text).map_err(|error| refused(format!("{name} is not JSON: {error}")))
}

/// Which file goes where.
fn parse_map(map: Value) -> Result<IndexMap<String, Vec<Place>>, Refusal> {
    let shape = || refused("map is an object of lists of paths, as {\"0\": [\"variables.file\"]}");
    let Value::Object(map) = map else { return Err(shape()) };
    let mut parsed = IndexMap::with_capacity(map.len());
    for (name, paths) in map {
        let Value::Array(paths) = paths else { return Err(shape()) };
        let places: Option<Vec<Place>> = paths.iter().map(|path| Place::parse(path.as_str()?)).collect();
        parsed.insert(name, places.ok_or_else(shape)?);
    }
    Ok(parsed)
}

impl Place {
    /// `variables.files.0`
    fn parse(path: &str) -> Option<Self> {
        let place: Vec<String> = path.strip_prefix("variables.")?.split('.').map(str::to_owned).collect();
        place.iter().all(|step| !step.is_empty()).then_some(Self(place))
    }

    /// What is there now.
    fn in_variables<'v>(&self, operations: &'v mut Value) -> Option<&'v mut Value> {
        self.0.iter().try_fold(operations.get_mut("variables")?, |value, step| match value {
            Value::Object(members) => members.get_mut(step),
            Value::Array(elements) => elements.get_mut(step.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

async fn base64_of(mut field: Field<'_>, options: &ServerOptions, held: &mut Held) -> Result<String, Refusal> {
    let mut text = EncoderStringWriter::new(&STANDARD);
    while let Some(piece) = field.chunk().await.map_err(|error| unread(error, options))? {
        held.grow(piece.len()).map_err(Refusal::no_room)?;
        // Writing to a string cannot fail.
        let _ = text.write_all(&piece);
    }
    Ok(text.into_inner())
}

/// Whether a file may stand there: where `Bytes` are declared, or in `JSON`. What is not declared is not told here.
fn takes_file(api: &Api, operation: &Operation, Place(steps): &Place) -> bool {
    let Some((name, steps)) = steps.split_first() else { return true };
    let variable = operation.variables.iter().find(|variable| variable.name == *name);
    variable.is_none_or(|variable| is_bytes_at(api, &variable.ty, steps))
}

fn is_bytes_at(api: &Api, ty: &TypeRef, steps: &[String]) -> bool {
    match (&ty.of, steps) {
        (Of::Scalar(Scalar::Json), _) | (Of::Scalar(Scalar::Bytes), []) => true,
        // One value stands for a list of one.
        (Of::List(of), []) => is_bytes_at(api, of, steps),
        (Of::List(of), [_, steps @ ..]) => is_bytes_at(api, of, steps),
        (Of::Named(name), [member, steps @ ..]) => match api.types.get(name) {
            Some(NamedType::Input(input)) => {
                let field = input.fields.iter().find(|field| field.name == *member);
                field.is_none_or(|field| is_bytes_at(api, &field.ty, steps))
            }
            _ => false,
        },
        (Of::Scalar(_) | Of::Named(_), _) => false,
    }
}

fn refused(message: impl Into<String>) -> Refusal {
    Refusal { status: StatusCode::BAD_REQUEST, error: bad(message) }
}

/// Why a form cannot be read.
fn unread(error: multer::Error, options: &ServerOptions) -> Refusal {
    let error = match error {
        multer::Error::FieldSizeExceeded { field_name, .. } => {
            let name = field_name.unwrap_or_default();
            let message = format!("the file {name:?} has more than {} bytes", options.upload_file_bytes);
            GraphqlError::limit("upload_file_bytes", message)
        }
        multer::Error::StreamSizeExceeded { .. } => {
            GraphqlError::limit("body_bytes", format!("the body has more than {} bytes", options.body_bytes))
        }
        multer::Error::IncompleteFieldData { .. }
        | multer::Error::IncompleteHeaders
        | multer::Error::IncompleteStream
        | multer::Error::StreamReadFailed(_) => return refused(Unread::Broken.to_string()),
        other => return refused(format!("the body is no form: {other}")),
    };
    Refusal { status: StatusCode::PAYLOAD_TOO_LARGE, error }
}
