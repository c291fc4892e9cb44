//! Releases on their way: `weir serve` in worker processes, over loopback, asked by clients while releases change under them.
//!
//! `cargo bench --bench rollouts` prints medians and the ratio to a floor of the same run; `-- deploy switch kept` runs parts:
//!
//! | part | |
//! |---|---|
//! | `deploy` | another version of `examples/shop`, from the first byte of the upload until a call is answered by it (aim: 500 ms); the stages of that, as the server's log has them; `weir deploy APP --server` from start to end; beside the start of a process and one plain request |
//! | `switch` | promotions and rollbacks, from the mutation to its answer, and from there to the next call (aim: 1 ms; under load 10 ms at the 99th percentile): with nobody else, beside a constant load, and beside clients who ask as fast as they can; whether a call that began after the answer was answered by the release before; calls around a switch beside all others |
//! | `kept` | memory, folder and start with 1 and with 100 releases on record |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    missing_docs,
    reason = "a benchmark that uses a part of the tests' tools"
)]

#[path = "../../apps.rs"]
mod apps;
mod connection;
mod deploy;
mod figures;
#[path = "../../graphql.rs"]
mod graphql;
mod kept;
mod server;
mod switch;
#[path = "../../weir.rs"]
mod weir;

const PARTS: [(&str, fn()); 3] = [("deploy", deploy::run), ("switch", switch::run), ("kept", kept::run)];

fn main() {
    let given: Vec<String> = std::env::args().skip(1).filter(|part| !part.starts_with("--")).collect();
    if let Some(unknown) = given.iter().find(|given| !PARTS.iter().any(|(part, _)| part == given)) {
        panic!("there is no part {unknown}: {:?}", PARTS.map(|(part, _)| part));
    }
    for (part, run) in PARTS {
        if given.is_empty() || given.iter().any(|given| given == part) {
            run();
        }
    }
}
