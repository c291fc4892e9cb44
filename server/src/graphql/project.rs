//! Result coercion (<https://spec.graphql.org/draft/#sec-Value-Completion>): a function's JSON, seen through the selections.
//!
//! The response is written as it is read: a null where none may stand takes back what was written since the nearest
//! place where it may, and leaves an error with the path of the place where it came up.

use std::sync::Arc;

use serde_json::Value;
use weir_engine::content::{Content, Places};
use weir_schema::api::Scalar;
use weir_schema::error::ErrorCode;
use weir_schema::size::json_bytes;
use weir_schema::validate::{Place, PlaceStep};

use super::GraphqlError;
use super::error::{Location, PathStep};
use super::input;
use super::plan::{Complete, Completion, Key, Member, RootCall, Selected};
use super::response::write_value;

/// Errors kept of one response; a value of the wrong shape may have as many as it has elements.
const ERRORS_MAX: usize = 100;

/// Bytes reserved for a response, to begin with.
const RESPONSE_BYTES: usize = 256;

/// What is selected of a result may come to so many bytes whatever it is: a document may select one value under a thousand names.
const SELECTED_BYTES: usize = 1 << 20;
/// To so many times what it has itself it may come besides.
const SELECTED_TIMES: usize = 4;

/// What is selected of a result comes to more than that.
struct TooLarge;

/// A null that the place above has to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nulled;

/// One step of the path, not copied until there is an error.
#[derive(Clone, Copy)]
enum Step<'p> {
    Key(&'p str),
    Index(usize),
}

/// A response being written.
pub struct Projection<'p> {
    out: Vec<u8>,
    errors: Vec<GraphqlError>,
    path: Vec<Step<'p>>,
    /// Where the innermost field at hand stands.
    locations: &'p [Location],
    /// Where the value at hand is null because its caller may not view what is there, if there are such places.
    hidden: Option<Places>,
    /// The place in that value, as long as anything is hidden in it.
    place: Place,
    /// Whether null that may stand where something is hidden has an error.
    tells: bool,
    /// As long as `out` may become.
    end: usize,
    /// Whether it would become longer: then no place takes a null.
    is_over: bool,
}

impl<'p> Projection<'p> {
    /// A response with nothing in its root object.
    pub fn start() -> Self {
        let mut out = Vec::with_capacity(RESPONSE_BYTES);
        out.push(b'{');
        let (errors, path, place) = (Vec::new(), Vec::new(), Place::new());
        Self { out, errors, path, locations: &[], hidden: None, place, tells: true, end: usize::MAX, is_over: false }
    }

    /// The JSON text of `data`, which is null if a null went up to the root, and the errors.
    pub fn finish(mut self, nulled: bool) -> (Vec<u8>, Vec<GraphqlError>) {
        if nulled {
            self.out.clear();
            self.out.extend_from_slice(b"null");
        } else {
            self.out.push(b'}');
        }
        (self.out, self.errors)
    }

    /// How much is written so far.
    pub fn bytes(&self) -> usize {
        self.out.len()
    }

    /// Writes the key of a field, with a comma if it is not the first.
    pub fn key(&mut self, key: &'p Key) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        self.out.extend_from_slice(&key.json);
    }

    /// Has a value written that is known to be as it must. Of one that cannot be written whole, nothing is.
    pub fn written<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let start = self.out.len();
        write(&mut self.out).inspect_err(|_| self.out.truncate(start))
    }

    /// Writes a type's name, which JSON has not to escape.
    pub fn typename(&mut self, name: &str) {
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'"');
    }

    /// Writes a root field that failed before there was a value.
    pub fn failed(
        &mut self,
        key: &'p Key,
        completion: &Completion,
        locations: &[Location],
        error: GraphqlError,
    ) -> Result<(), Nulled> {
        self.push(error.at_all(locations).on(vec![key.step()]));
        if completion.nullable {
            self.out.extend_from_slice(b"null");
            Ok(())
        } else {
            Err(Nulled)
        }
    }

    /// Notes that a member of a root field failed for which null may not stand, nor for the root field.
    pub fn failed_below(&mut self, root: &Key, member: &Key, error: GraphqlError) {
        self.push(error.on(vec![root.step(), member.step()]));
    }

    /// The JSON text of one element of a root field's list, by itself. No part of it may be missing; what is hidden in it is
    /// told of only where it cannot be null.
    pub fn element(
        key: &'p Key,
        completion: &'p Completion,
        locations: &'p [Location],
        index: usize,
        value: &Value,
        hidden: &Places,
    ) -> Result<Vec<u8>, Vec<GraphqlError>> {
        let mut projection = Self { out: Vec::new(), hidden: some(hidden), tells: false, ..Self::start() };
        let written = projection.bounded(value, |projection| {
            projection.locations = locations;
            projection.place = vec![PlaceStep::Element(index)];
            projection.path = vec![Step::Key(&key.name), Step::Index(index)];
            projection.value(completion, value)
        });
        match written {
            Ok(Ok(())) if projection.errors.is_empty() => Ok(projection.out),
            Ok(_) => Err(projection.errors),
            Err(TooLarge) => {
                let path = vec![key.step(), PathStep::Index(index)];
                Err(vec![too_large().at_all(locations).on(path)])
            }
        }
    }

    /// Writes the value of a root field, which others may have been sent in the same form.
    pub fn shared(&mut self, key: &'p Key, call: &'p RootCall, content: &Arc<Content>) -> Result<(), Nulled> {
        if let Some(form) = content.form(call.form) {
            self.out.extend_from_slice(&form);
            return Ok(());
        }
        let (start, errors) = (self.out.len(), self.errors.len());
        let value = content.value();
        self.hidden = some(content.hidden());
        match self.bounded(value, |this| this.root(key, &call.completion, &call.locations, value)) {
            Ok(written) => written?,
            Err(TooLarge) => return self.failed(key, &call.completion, &call.locations, too_large()),
        }
        // Where nobody else has it, nobody will ask. What has errors is to be told with them.
        if Arc::strong_count(content) > 1 && self.errors.len() == errors {
            content.keep_form(call.form, self.out.get(start..).unwrap_or_default());
        }
        Ok(())
    }

    /// Writes what is selected of a result within its bound. Of what goes past it, nothing is written.
    fn bounded(
        &mut self,
        value: &Value,
        write: impl Fn(&mut Self) -> Result<(), Nulled>,
    ) -> Result<Result<(), Nulled>, TooLarge> {
        let (start, errors) = (self.out.len(), self.errors.len());
        let mut most = None;
        loop {
            self.end = start.saturating_add(most.unwrap_or(SELECTED_BYTES));
            let written = write(self);
            if !std::mem::take(&mut self.is_over) {
                return Ok(written);
            }
            self.out.truncate(start);
            self.errors.truncate(errors);
            // Few results are so large that their own size counts, which takes time to tell.
            if most.is_some() {
                return Err(TooLarge);
            }
            most = Some(json_bytes(value).saturating_mul(SELECTED_TIMES).saturating_add(SELECTED_BYTES));
        }
    }

    /// Writes the value of a root field.
    fn root(
        &mut self,
        key: &'p Key,
        completion: &'p Completion,
        locations: &'p [Location],
        value: &Value,
    ) -> Result<(), Nulled> {
        self.locations = locations;
        self.path.clear();
        self.path.push(Step::Key(&key.name));
        self.place.clear();
        self.value(completion, value)
    }

    fn value(&mut self, completion: &'p Completion, value: &Value) -> Result<(), Nulled> {
        if self.out.len() > self.end {
            self.is_over = true;
            return Err(Nulled);
        }
        if value.is_null() {
            let is_hidden = self.hidden.as_ref().is_some_and(|hidden| hidden.binary_search(&self.place).is_ok());
            if is_hidden && (self.tells || !completion.nullable) {
                self.error_of(ErrorCode::Forbidden, "the caller may not view this".into());
            }
            return if is_hidden && !completion.nullable {
                Err(Nulled)
            } else if completion.nullable {
                self.out.extend_from_slice(b"null");
                Ok(())
            } else {
                self.error("null came up where the schema promises a value".into());
                Err(Nulled)
            };
        }
        let start = self.out.len();
        let (depth, inside) = (self.path.len(), self.place.len());
        let locations = self.locations;
        match self.present(&completion.of, value) {
            Err(Nulled) if completion.nullable && !self.is_over => {
                self.out.truncate(start);
                self.path.truncate(depth);
                self.place.truncate(inside);
                self.locations = locations;
                self.out.extend_from_slice(b"null");
                Ok(())
            }
            result => result,
        }
    }

    fn present(&mut self, of: &'p Complete, value: &Value) -> Result<(), Nulled> {
        match (of, value) {
            (Complete::Scalar(scalar), value) if is_scalar(*scalar, value) => {
                write_value(&mut self.out, value);
                Ok(())
            }
            (Complete::Enum(enumeration), Value::String(typescript)) => match enumeration.graphql(typescript) {
                Some(graphql) => {
                    self.typename(graphql);
                    Ok(())
                }
                None => self.mismatch(&input::spellings(enumeration), value),
            },
            (Complete::List(element), Value::Array(values)) => {
                self.out.push(b'[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    self.path.push(Step::Index(index));
                    self.enter(|| PlaceStep::Element(index));
                    self.value(element, value)?;
                    self.place.pop();
                    self.path.pop();
                }
                self.out.push(b']');
                Ok(())
            }
            (Complete::Object(selected), Value::Object(_)) => self.selected(selected, value),
            (Complete::Union { name, discriminator, alternatives }, value) => {
                let literal = value.get(discriminator).and_then(Value::as_str);
                match alternatives.iter().find(|(alternative, _)| Some(alternative.as_str()) == literal) {
                    Some((_, selected)) => self.selected(selected, value),
                    None => self.mismatch(&format!("{name}, told by {discriminator}"), value),
                }
            }
            (Complete::Scalar(scalar), value) => self.mismatch(scalar.name(), value),
            (Complete::Enum(enumeration), value) => self.mismatch(&input::spellings(enumeration), value),
            (Complete::List(_), value) => self.mismatch("a list", value),
            (Complete::Object(selected), value) => self.mismatch(&selected.typename, value),
        }
    }

    fn selected(&mut self, selected: &'p Selected, value: &Value) -> Result<(), Nulled> {
        self.out.push(b'{');
        for (index, field) in selected.fields.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(&field.key.json);
            match &field.member {
                None => self.typename(&selected.typename),
                Some(Member { name, completion, locations, .. }) => {
                    let outer = std::mem::replace(&mut self.locations, locations);
                    self.path.push(Step::Key(&field.key.name));
                    self.enter(|| PlaceStep::Member(name.clone()));
                    self.value(completion, value.get(name).unwrap_or(&Value::Null))?;
                    self.place.pop();
                    self.path.pop();
                    self.locations = outer;
                }
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    fn mismatch(&mut self, expected: &str, value: &Value) -> Result<(), Nulled> {
        self.error(format!("the schema promises {expected}, but {} came up", input::describe(value)));
        Err(Nulled)
    }

    /// Goes on inside of the value, where it matters which place that is.
    fn enter(&mut self, step: impl FnOnce() -> PlaceStep) {
        if self.hidden.is_some() {
            self.place.push(step());
        }
    }

    fn error(&mut self, message: String) {
        self.error_of(ErrorCode::Internal, message);
    }

    fn error_of(&mut self, code: ErrorCode, message: String) {
        let path = self.path.iter().map(|step| match step {
            Step::Key(key) => PathStep::Key((*key).to_owned()),
            Step::Index(index) => PathStep::Index(*index),
        });
        let error = GraphqlError::new(code, message).at_all(self.locations).on(path.collect());
        self.push(error);
    }

    fn push(&mut self, error: GraphqlError) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(error);
        }
    }
}

/// Those that there are.
fn some(places: &Places) -> Option<Places> {
    (!places.is_empty()).then(|| places.clone())
}

fn too_large() -> GraphqlError {
    let message = format!(
        "what is selected comes to more than {SELECTED_TIMES} times the result: select it under fewer names at once"
    );
    GraphqlError::limit("response_bytes", message)
}

fn is_scalar(scalar: Scalar, value: &Value) -> bool {
    match scalar {
        Scalar::Json => true,
        Scalar::String | Scalar::Id | Scalar::DateTime | Scalar::Bytes => value.is_string(),
        Scalar::Boolean => value.is_boolean(),
        Scalar::Float => value.is_number(),
        Scalar::Int => matches!(value, Value::Number(number) if input::int(number).is_some()),
    }
}
