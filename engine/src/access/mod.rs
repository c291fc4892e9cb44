//! Who may do what: the policies of an app, written in Cedar, decided on the host's side of the sandbox.
//!
//! | module | what it does |
//! |---|---|
//! | `action`, `value`, `expr` | what policies speak of: actions, values, conditions |
//! | `schema` | the Cedar schema of an app, made from what it declares |
//! | [`compile`] | `policies.cedar` parsed and validated, with mistakes by line and column |
//! | `eval` | what a condition comes to, as Cedar evaluates it |
//! | `reduce` | what is left of a condition once all but the document is known |
//! | [`policies`] | the policies of a release, and what they decide |
//! | `attributes` | what of a caller they look at |
//! | `rows` | the rules of a collection for one caller |
//! | `guard` | what binds one run |
//! | [`rate`] | how often policies allow calls |
//! | `hidden` | members that a run was not shown, for what is told of its result |
//! | `outline` | the policies of a text, to compare with those of another |
//! | [`question`] | one question from outside and its answer with the policies that decided |
//!
//! Rule: the developer and the scheduler may do everything; nobody else may do what no policy permits.

pub mod action;
mod attributes;
pub mod compile;
mod eval;
mod expr;
pub(crate) mod guard;
pub(crate) mod hidden;
pub(crate) mod outline;
pub mod policies;
pub mod question;
pub mod rate;
mod reduce;
pub(crate) mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod value;
