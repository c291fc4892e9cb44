//! Makes the V8 startup snapshot: the prelude, already run.

use std::path::PathBuf;

use deno_core::snapshot::{CreateSnapshotOptions, create_snapshot};

#[path = "src/ops.rs"]
#[allow(dead_code, reason = "the snapshot needs the ops' names and order, not what answers them")]
mod ops;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let snapshot = create_snapshot(
        CreateSnapshotOptions {
            cargo_manifest_dir: env!("CARGO_MANIFEST_DIR"),
            startup_snapshot: None,
            skip_op_registration: false,
            extensions: vec![ops::weir::init()],
            extension_transpiler: None,
            with_runtime_cb: None,
        },
        None,
    )?;
    println!("cargo:rerun-if-changed=src/ops.rs");
    println!("cargo:rerun-if-changed=src/prelude");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("snapshot.bin"), snapshot.output)?;
    Ok(())
}
