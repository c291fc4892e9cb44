//! What isolation costs: calls, starts, memory and neighbours, of isolates on threads and in worker processes.
//!
//! `cargo bench --bench isolation` prints figures, and ratios to bare V8 that was measured in the same run;
//! `cargo bench --bench isolation -- calls starts memory neighbours` only the parts that are named. The workers are this
//! very binary, hence its own `main`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark"
)]

#[cfg(unix)]
mod app;
#[cfg(unix)]
mod bare;
#[cfg(unix)]
mod calls;
#[cfg(unix)]
mod figures;
#[cfg(unix)]
mod memory;
#[cfg(unix)]
mod neighbours;
#[cfg(unix)]
mod starts;

use std::process::ExitCode;

#[cfg(unix)]
fn main() -> ExitCode {
    use weir_sandbox::process::guest;

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [guest::ARGUMENT, isolates, bytes_each] => {
            return guest::main(isolates.parse().unwrap(), bytes_each.parse().unwrap());
        }
        [starts::NOTHING] => return ExitCode::SUCCESS,
        [memory::THREADS, isolates, within_bytes] => {
            memory::on_threads(isolates.parse().unwrap(), within_bytes.parse().unwrap());
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    weir_sandbox::isolate::prepare_v8();
    let bare = bare::measure();
    let named: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |part: &str| named.is_empty() || named.iter().any(|name| *name == part);
    if is_wanted("calls") {
        calls::run(&bare);
    }
    if is_wanted("starts") {
        starts::run(&bare);
    }
    if is_wanted("memory") {
        memory::run();
    }
    if is_wanted("neighbours") {
        neighbours::run();
    }
    ExitCode::SUCCESS
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    println!("skipped: worker processes take a Unix");
    ExitCode::SUCCESS
}
