//! `weir types DIR`

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use weir_sandbox::compile::types;
use weir_schema::manifest;

use super::Failure;

/// The arguments of `weir types`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The app folder.
    dir: PathBuf,
}

/// What an editor and `tsc --noEmit` need to know of an app folder. Written only where there is none.
const TSCONFIG: &str = r#"{
  "compilerOptions": {
    "strict": true,
    "noEmit": true,
    "target": "es2024",
    "lib": ["es2024"],
    "module": "es2022",
    "moduleResolution": "bundler",
    "isolatedModules": true,
    "types": [],
    "paths": { "weir": ["./.weir/types/weir.d.ts"] }
  },
  "include": ["**/*.ts"]
}
"#;

/// Writes the types and says where.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = write(&arguments.dir)
        .map_err(|error| Failure::because(format!("cannot write types into {}: {error}", arguments.dir.display())))?;
    anstream::println!("wrote {}", path.display());
    Ok(())
}

/// Writes `.weir/types/weir.d.ts`, with the claims that the folder's `app.toml` declares if that is as it should be, and a `tsconfig.json` that finds it if the folder has none.
pub fn write(folder: &Path) -> io::Result<PathBuf> {
    if !folder.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotADirectory, "not a folder"));
    }
    let manifest = fs::read_to_string(folder.join("app.toml")).ok().and_then(|text| manifest::parse(&text).ok());
    let text = types::of_app(&manifest.map(|manifest| manifest.caller).unwrap_or_default());
    let directory = folder.join(".weir").join("types");
    fs::create_dir_all(&directory)?;
    let path = directory.join("weir.d.ts");
    if fs::read_to_string(&path).ok().as_deref() != Some(text.as_str()) {
        fs::write(&path, text)?;
    }
    let tsconfig = folder.join("tsconfig.json");
    if !tsconfig.exists() {
        fs::write(tsconfig, TSCONFIG)?;
    }
    Ok(path)
}
