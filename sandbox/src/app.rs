//! A compiled app: all that a release needs to run.

use serde::{Deserialize, Serialize};
use weir_schema::declarations::Declarations;
use weir_schema::manifest::Manifest;

/// A compiled app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// `app.toml`.
    pub manifest: Manifest,
    /// Types, collections and functions.
    pub declarations: Declarations,
    /// `policies.cedar`, as it is: what it says is for the host to know.
    pub policies: Option<String>,
    /// Modules in an order in which each comes after all that it imports.
    pub modules: Vec<Module>,
}

/// One module as JavaScript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// The TypeScript file, relative to the app folder: `functions/orders.ts`. Also the module's specifier.
    pub path: String,
    /// ECMAScript module text. Its imports are `weir` or the `path` of another module of the app, as in `imports`.
    pub code: String,
    /// Source map (version 3, JSON text) from `code` to the TypeScript file.
    pub source_map: String,
    /// Each import specifier as it stands in `code`, with the `path` of the module it means (`weir` for the API).
    pub imports: Vec<(String, String)>,
}
