//! The tests and their workers.

mod app;
mod calls;
mod deaths;
#[path = "../guest/examples.rs"]
mod examples;
mod liars;

use std::env;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use weir_sandbox::process::guest;

pub fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    if let [own, role, isolates, bytes_each] = &arguments[..]
        && role == guest::ARGUMENT
    {
        return match liars::Lie::of(own) {
            Some(lie) => lie.tell(),
            None => guest::main(isolates.parse().unwrap(), bytes_each.parse().unwrap()),
        };
    }
    weir_sandbox::isolate::prepare_v8();
    let trials = [calls::trials(), deaths::trials(), liars::trials()].into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A test by its name.
pub fn trial(name: &'static str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}
