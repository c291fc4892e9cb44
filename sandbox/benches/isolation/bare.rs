//! V8 and nothing else: the same script with a JSON string each way, and an isolate from its making to its first answer.

use std::hint::black_box;
use std::time::{Duration, Instant};

use deno_core::{JsRuntime, RuntimeOptions, v8};

use crate::app::{ARGUMENTS, TOTAL};
use crate::figures::Samples;

const CALLS: usize = 20_000;
const STARTS: usize = 20;

const SCRIPT: &str = "(text) => { const { items, rate } = JSON.parse(text); \
     const net = items.reduce((sum, item) => sum + item.price * item.quantity, 0); \
     const tax = net * rate; return JSON.stringify({ net, tax, gross: net + tax }); }";

pub struct Bare {
    pub call: Samples,
    pub start: Samples,
}

pub fn measure() -> Bare {
    let measured = std::thread::spawn(|| {
        let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _inside = tokio.enter();
        let start = Samples::of(STARTS, || {
            let started = Instant::now();
            calls(1);
            started.elapsed()
        });
        Bare { call: Samples::new(calls(CALLS).split_off(CALLS / 10)), start }
    });
    let bare = measured.join().unwrap();
    println!("bare V8, a JSON string each way    p50 {:>9.2?}  p99 {:>9.2?}", bare.call.p50(), bare.call.p99());
    println!("bare V8, start to first answer     p50 {:>9.2?}  (deno_core without a snapshot)", bare.start.p50());
    bare
}

fn calls(count: usize) -> Vec<Duration> {
    let mut runtime = JsRuntime::new(RuntimeOptions::default());
    let function = runtime.execute_script("bench", SCRIPT).unwrap();
    deno_core::scope!(scope, &mut runtime);
    let function = v8::Local::<v8::Function>::try_from(v8::Local::new(scope, function)).unwrap();
    let once = || {
        v8::scope!(let scope, scope);
        let started = Instant::now();
        let argument = v8::String::new(scope, ARGUMENTS).unwrap();
        let receiver = v8::undefined(scope).into();
        let result = function.call(scope, receiver, &[argument.into()]).unwrap();
        assert_eq!(black_box(result.to_rust_string_lossy(scope)), TOTAL);
        started.elapsed()
    };
    std::iter::repeat_with(once).take(count).collect()
}
