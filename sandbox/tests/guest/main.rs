//! What a script can reach, see and leave behind: script in, outcome out.
//!
//! | module | what it shows |
//! |---|---|
//! | `allowlist` | everything in reach of a script is on a list and frozen; what is not on it is refused |
//! | `determinism` | nothing but the call itself decides what a call gives |
//! | `errors` | the author learns which call of the host failed and where; nobody learns of the host |
//! | `failing` | what `attempt` makes of a throw, and what goes past it |
//! | `getters` | what the getters of a thrown error find and leave |
//! | `groups` | the rows of views of groups, and what each document contributes |
//! | `indexes` | the pages of sorted views, and the entries of each document |
//! | `residue` | a call leaves nothing that the next can see |
//! | `values` | what becomes of values on their way out of a script |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

mod allowlist;
mod determinism;
mod errors;
mod examples;
mod failing;
mod getters;
mod groups;
mod harness;
mod indexes;
mod residue;
mod streams;
mod values;
