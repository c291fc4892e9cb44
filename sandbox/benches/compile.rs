//! How long it takes from TypeScript in memory to declarations and JavaScript, a module on average, over all examples:
//! the median of many rounds, with each transpiler that the build has in turn.
//!
//! `cargo bench --bench compile`, and with swc beside oxc `cargo bench --bench compile --features weir-sandbox/swc`

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use weir_sandbox::compile::{Sources, TRANSPILERS, compile};
use weir_schema::manifest::Transpiler;

/// The promise: milliseconds a module.
const LIMIT_MS: f64 = 10.0;
/// For how long each example is compiled.
const BUDGET: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn Error>> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut folders: Vec<_> =
        fs::read_dir(examples)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    folders.retain(|folder| folder.join("app.toml").is_file());
    folders.sort();
    let mut total_ms = vec![0.0; TRANSPILERS.len()];
    let mut total_modules = 0;
    for folder in folders {
        let sources = Sources::read(&folder)?;
        let variants: Vec<Sources> = TRANSPILERS.iter().map(|transpiler| with(&sources, *transpiler)).collect();
        let modules = compile(&sources).map_err(|diagnostics| format!("{diagnostics:?}"))?.modules.len();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let medians = medians_ms(&variants);
        for ((transpiler, median), total) in TRANSPILERS.iter().zip(medians).zip(&mut total_ms) {
            let each = median / modules as f64;
            println!("{name}, {}: {median:.3} ms for {modules} modules, {each:.3} ms a module", transpiler.as_str());
            *total += median;
        }
        total_modules += modules;
    }
    let modules = f64::from(u32::try_from(total_modules)?);
    let first_ms = total_ms.first().copied().unwrap_or_default();
    for (transpiler, total_ms) in TRANSPILERS.iter().zip(total_ms) {
        let mean_ms = total_ms / modules;
        let (part, times) = (100.0 * mean_ms / LIMIT_MS, total_ms / first_ms);
        let name = transpiler.as_str();
        println!(
            "compile, {name}: {mean_ms:.3} ms a module; {part:.1} % of the promised {LIMIT_MS} ms; {times:.2} of oxc"
        );
    }
    Ok(())
}

/// The same app, compiled with a transpiler.
fn with(sources: &Sources, transpiler: Transpiler) -> Sources {
    let choice = format!("transpiler = \"{}\"\n", transpiler.as_str());
    Sources::from_texts(sources.paths().map(|path| {
        let text = sources.text(path).unwrap_or_default();
        (path.to_owned(), if path == "app.toml" { format!("{choice}{text}") } else { text.to_owned() })
    }))
}

/// The median time of one compilation of each, in turn, so that what else the machine does meets all of them.
fn medians_ms(variants: &[Sources]) -> Vec<f64> {
    let mut times = vec![Vec::new(); variants.len()];
    let start = Instant::now();
    while start.elapsed() < BUDGET {
        for (sources, times) in variants.iter().zip(&mut times) {
            let round = Instant::now();
            let _ = black_box(compile(black_box(sources)));
            times.push(round.elapsed().as_secs_f64() * 1e3);
        }
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or_default()
    };
    times.into_iter().map(median).collect()
}
