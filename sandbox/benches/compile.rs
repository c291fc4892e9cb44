//! How long it takes from TypeScript in memory to declarations and JavaScript, a module on average, over all examples.
//!
//! `cargo bench --bench compile`

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use weir_sandbox::compile::{Sources, compile};

/// The promise: milliseconds a module.
const LIMIT_MS: f64 = 10.0;
/// For how long each example is compiled.
const BUDGET: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut folders: Vec<_> =
        fs::read_dir(examples)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    folders.retain(|folder| folder.join("app.toml").is_file());
    folders.sort();
    let (mut total_ms, mut total_modules) = (0.0, 0);
    for folder in folders {
        let sources = Sources::read(&folder)?;
        let modules = compile(&sources).map_err(|diagnostics| format!("{diagnostics:?}"))?.modules.len();
        let (mut rounds, start) = (0_u32, Instant::now());
        while start.elapsed() < BUDGET {
            let _ = black_box(compile(black_box(&sources)));
            rounds += 1;
        }
        let app_ms = start.elapsed().as_secs_f64() * 1e3 / f64::from(rounds);
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        println!("{name}: {app_ms:.3} ms for {modules} modules, {:.3} ms a module", app_ms / modules as f64);
        total_ms += app_ms;
        total_modules += modules;
    }
    let mean_ms = total_ms / f64::from(u32::try_from(total_modules)?);
    println!("compile: {mean_ms:.3} ms a module; {:.1} % of the promised {LIMIT_MS} ms", 100.0 * mean_ms / LIMIT_MS);
    Ok(())
}
