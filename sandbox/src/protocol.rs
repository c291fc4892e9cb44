//! All that passes between a script and its host.
//!
//! A script can ask for what [`HostCall`] names and nothing else; a call ends in one [`Outcome`]. Both are plain data,
//! so that the two sides may be one thread or two processes.

mod fetch;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use weir_schema::limits::Limit;

pub use fetch::{FetchBody, FetchRequest, Redirect};

pub use crate::ops::Wanted;

/// One call of a function.
#[derive(Debug, Clone)]
pub struct CallRequest {
    /// The function, by its place in the declarations.
    pub function: usize,
    /// Checked arguments, as JSON text.
    pub arguments: String,
    /// The time that the script sees, in milliseconds since 1970.
    pub now_ms: u64,
    /// What `Math.random` starts from.
    pub seed: [u32; 4],
    /// Who calls, as the script sees it: a [`ScriptCaller`] as JSON text.
    pub caller: Arc<str>,
}

/// Who calls, as the script sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptCaller {
    /// `developer`, `user`, `service` or `anonymous`.
    pub kind: &'static str,
    /// The subject of the token, if there is one.
    pub subject: Option<String>,
    /// What else a token says, each as JSON text: the issuer, the roles, the scopes, then the claims that the app declares, in
    /// their order. Empty without a token.
    pub more: Vec<Box<str>>,
}

/// Where in [`ScriptCaller::more`] something stands.
pub mod more {
    /// Who made the token.
    pub const ISSUER: usize = 0;
    /// The caller's roles.
    pub const ROLES: usize = 1;
    /// What the token may be used for.
    pub const SCOPES: usize = 2;
    /// The first of the declared claims.
    pub const CLAIMS: usize = 3;
}

impl ScriptCaller {
    /// Somebody without a token.
    pub fn without_token(kind: &'static str) -> Self {
        Self { kind, subject: None, more: Vec::new() }
    }

    /// As JSON text.
    pub fn text(&self) -> Arc<str> {
        let more = |place: usize, none: &'static str| self.more.get(place).map_or(none, |text| text);
        // Strings always have a JSON form.
        let [kind, subject] = [serde_json::json!(self.kind), serde_json::json!(self.subject)];
        let (issuer, roles, scopes) = (more(more::ISSUER, "null"), more(more::ROLES, "[]"), more(more::SCOPES, "[]"));
        let claims = self.more.get(more::CLAIMS..).unwrap_or_default().join(",");
        format!(
            "{{\"kind\":{kind},\"subject\":{subject},\"issuer\":{issuer},\"roles\":{roles},\"scopes\":{scopes},\"claims\":[{claims}]}}"
        )
        .into()
    }
}

/// Everything that a script may ask of its host, as JSON: `{"get": {"collection": "orders", "id": "…"}}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HostCall {
    /// A document or null.
    Get {
        /// The collection's exported name.
        collection: String,
        /// The document's id.
        id: String,
    },
    /// Stores a new document and returns it.
    Insert {
        /// The collection's exported name.
        collection: String,
        /// The document without an id.
        value: Value,
    },
    /// Stores a document in the place of an existing one and returns it.
    Replace {
        /// The collection's exported name.
        collection: String,
        /// The document's id.
        id: String,
        /// The document; its own `id` is allowed.
        value: Value,
    },
    /// Changes members of an existing document and returns it.
    Patch {
        /// The collection's exported name.
        collection: String,
        /// The document's id.
        id: String,
        /// The members to set; the document's own `id` is allowed.
        part: Value,
        /// The optional members to remove.
        removed: Vec<String>,
    },
    /// Removes a document; returns whether it was there.
    Delete {
        /// The collection's exported name.
        collection: String,
        /// The document's id.
        id: String,
    },
    /// Documents in index order, as an array.
    Rows {
        /// What to read.
        #[serde(flatten)]
        plan: Plan,
        /// At most so many; all without.
        limit: Option<usize>,
        /// What becomes of them.
        #[serde(default)]
        taken: Taken,
    },
    /// One page of them, as a connection.
    Page {
        /// What to read.
        #[serde(flatten)]
        plan: Plan,
        /// At most so many.
        size: usize,
        /// From which end.
        #[serde(default)]
        from: PageEnd,
        /// The cursor to go on after.
        after: Option<String>,
        /// The cursor to end before.
        before: Option<String>,
    },
    /// How many they are.
    Count {
        /// What to read.
        #[serde(flatten)]
        plan: Plan,
    },
    /// The script looks at something that is neither an argument nor the store's. Queries and views tell of each once.
    Observe(Observed),
    /// A view that another function calls. Answered with `{"result": …}` where the result is known, otherwise with
    /// `{"number": …, "args": …}`: the script computes it from these, and says with one of the next two what came of it. What is
    /// asked in between belongs to the view.
    View {
        /// The view's exported name.
        function: String,
        /// Its arguments.
        #[serde(default)]
        args: Value,
    },
    /// The result of a view that was called; answered with what it comes to as its declared type.
    ViewResult {
        /// The number that the call was answered with.
        number: u64,
        /// What the view returned.
        #[serde(default)]
        value: Value,
    },
    /// A view that was called threw an error.
    ViewFailed {
        /// The number that the call was answered with.
        number: u64,
    },
    /// A line for the function log.
    Log {
        /// `debug`, `info`, `warn` or `error`.
        level: String,
        /// The text.
        text: String,
    },
    /// A measurement.
    Metric {
        /// Its name.
        name: String,
        /// Its value.
        value: f64,
    },
    /// Another function of the app. Actions only.
    Call {
        /// The function's exported name.
        function: String,
        /// Its arguments.
        #[serde(default)]
        args: Value,
    },
    /// Has a function called later, if the transaction is committed; returns the job's id. Procedures only.
    Schedule {
        /// The function's exported name.
        function: String,
        /// Its arguments.
        args: Value,
        /// When it is due.
        when: When,
    },
    /// Removes a job that has not begun; returns whether there was one. Procedures only.
    CancelJob {
        /// The job's id.
        id: String,
    },
    /// Sets or ends a savepoint; answers with its number. Procedures only.
    Savepoint {
        /// What to do.
        step: SavepointStep,
        /// Of the savepoint that is ended, from 1 for the outermost; without meaning where one is set.
        number: usize,
    },
    /// A request to another server; answered with its response. Actions only.
    Fetch(FetchRequest),
    /// A secret, as a JSON string. Actions only.
    Secret {
        /// Its name in `app.toml`.
        name: String,
    },
}

/// What a result can depend on besides the arguments and the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Observed {
    /// `caller.kind`.
    Kind,
    /// `caller.subject`.
    Subject,
    /// `caller.issuer`.
    Issuer,
    /// `caller.roles`.
    Roles,
    /// `caller.scopes`.
    Scopes,
    /// A member of `caller.claims`, by its place among those that the app declares.
    Claim(u8),
    /// The time.
    Time,
    /// `Math.random`.
    Randomness,
    /// How deep calls nest: one was refused.
    Depth,
}

/// What becomes of a savepoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SavepointStep {
    /// It is set, inside of those that are.
    Set,
    /// It ends, and what was written since stays.
    Release,
    /// It ends with those inside of it, and what was written since is taken back.
    RollBack,
}

/// When a job is due, as the script says it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum When {
    /// So long after the time of the call: a text such as `5m`, or milliseconds.
    After(Value),
    /// At this time.
    At(String),
}

/// Which documents of a collection, in which order.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Plan {
    /// The collection's exported name.
    pub collection: String,
    /// Fields that equal values.
    pub equal: Vec<(String, Value)>,
    /// Bounds on one field.
    pub range: Option<Bounds>,
    /// Field and `asc` or `desc`.
    pub order: Option<(String, Order)>,
}

/// What becomes of rows that a script asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Taken {
    /// The script looks into them.
    #[default]
    Apart,
    /// They are the result of the call, untouched. A host that reads them by itself, later, answers null.
    Whole,
}

/// An end of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PageEnd {
    /// What comes first, behind `after`.
    #[default]
    First,
    /// What comes last, before `before`.
    Last,
}

/// Bounds on one field.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Bounds {
    /// The field.
    pub field: String,
    /// Greater than.
    pub gt: Option<Value>,
    /// Greater than or equal.
    pub gte: Option<Value>,
    /// Less than.
    pub lt: Option<Value>,
    /// Less than or equal.
    pub lte: Option<Value>,
}

/// The direction of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// Smallest first.
    Asc,
    /// Largest first.
    Desc,
}

/// Why the host did not do what a script asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The script asked for something impossible; it is thrown there as an `Error` with this message.
    #[error("{0}")]
    Refused(String),
    /// A limit that the host keeps is reached: the call ends, whatever the script does.
    #[error("limit reached: {0}")]
    Limit(Limit),
    /// The host cannot go on: the call ends, whatever the script does. The host knows why.
    #[error("the host gave up")]
    Aborted,
}

/// The answer to a [`HostCall`] of an action.
pub type Answering = Pin<Box<dyn Future<Output = Result<String, HostError>>>>;

/// Answers one call's [`HostCall`]s and takes its [`Outcome`].
pub trait Host: Send {
    /// Answers with JSON text.
    fn ask(&mut self, call: HostCall) -> Result<String, HostError>;
    /// Answers a [`HostCall::Call`] or a [`HostCall::Fetch`] in its own time, while the script goes on.
    fn start(&mut self, call: HostCall) -> Answering;
    /// Whether anybody still waits for the outcome. A call that waits for an isolate is not run otherwise.
    fn is_awaited(&self) -> bool {
        true
    }
    /// Takes an event of a stream, as JSON text, and returns once the next is wanted, or none. Blocks for as long as whoever
    /// reads the stream takes its time. A host that runs no streams wants none.
    fn event(&mut self, _event: String) -> Wanted {
        Wanted::Nothing
    }
    /// The call is over.
    fn finish(self: Box<Self>, outcome: Outcome);
}

/// How a call ended, as the sandbox saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// A value, as JSON text. Of a stream, which has given its values as events: null.
    Value(String),
    /// A throw, a `fail`, or no value.
    Failed(ScriptError),
    /// A limit was reached, by its name in `limits`.
    Limit(Limit),
    /// The host gave up in the middle ([`HostError::Aborted`]).
    Aborted,
    /// The isolate could not be made; the message is for the log.
    Broken(String),
    /// The worker died of something else than this call, which may be made again: nothing of it has left its host.
    Lost,
    /// It has waited for an isolate for too long, and was not begun.
    Late {
        /// When it may be worth another try.
        retry_after: Duration,
    },
}

/// An error of a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptError {
    /// What the script named in `fail`.
    pub app_code: Option<String>,
    /// The message that it threw.
    pub message: String,
    /// What was asked of the host, where the host's refusal is what was thrown: `orders.insert`, `call(placeOrder)`.
    pub host_call: Option<String>,
    /// Where, in TypeScript, innermost first.
    #[serde(deserialize_with = "stack_of_some_lines")]
    pub stack: Vec<Frame>,
}

/// The longest message of an error, in bytes.
const MESSAGE_BYTES_MAX: usize = 8 << 10;
/// The most lines of a stack.
const STACK_LINES_MAX: usize = 50;

impl ScriptError {
    /// No longer than anybody reads: scripts throw what they like.
    pub fn cut(mut self) -> Self {
        let texts = [Some(&mut self.message), self.app_code.as_mut(), self.host_call.as_mut()];
        for text in texts.into_iter().flatten().filter(|text| text.len() > MESSAGE_BYTES_MAX) {
            text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX));
            text.push('…');
        }
        self.stack.truncate(STACK_LINES_MAX);
        self
    }
}

/// Reads a stack, and no more of it than a stack has: a line takes much more memory than bytes.
fn stack_of_some_lines<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Frame>, D::Error> {
    struct Lines;
    impl<'de> Visitor<'de> for Lines {
        type Value = Vec<Frame>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a stack of at most {STACK_LINES_MAX} lines")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut lines: A) -> Result<Self::Value, A::Error> {
            let mut stack = Vec::new();
            while let Some(line) = lines.next_element()? {
                if stack.len() == STACK_LINES_MAX {
                    return Err(A::Error::invalid_length(STACK_LINES_MAX + 1, &self));
                }
                stack.push(line);
            }
            Ok(stack)
        }
    }
    deserializer.deserialize_seq(Lines)
}

/// One line of a stack, in the app's own files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The function's name, where it has one.
    pub function: Option<String>,
    /// The TypeScript file, relative to the app folder.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}
