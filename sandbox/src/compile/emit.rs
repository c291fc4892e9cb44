//! TypeScript to JavaScript: types are erased, nothing else changes.
//!
//! Imports that only types use vanish, as with the official compiler. V8 runs what is left as it stands, so nothing is
//! lowered to an older language version. Which library does it is the app's choice, and nobody but this module can
//! tell: what an app declares and what is wrong with it is always found in oxc's tree, before.

mod oxc;
#[cfg(feature = "swc")]
mod swc;

use ::oxc::allocator::Allocator;
use weir_schema::manifest::Transpiler;

use super::report::{Report, Reported};
use super::unit::Unit;

/// One module as JavaScript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JavaScript {
    /// ECMAScript module text.
    pub code: String,
    /// Source map (version 3, JSON text) to the TypeScript file.
    pub source_map: String,
    /// The import specifiers in `code`, each once, in the order of the text.
    pub specifiers: Vec<String>,
}

/// The transpilers that this build has.
pub const TRANSPILERS: &[Transpiler] = &[
    Transpiler::Oxc,
    #[cfg(feature = "swc")]
    Transpiler::Swc,
];

/// A transpiler that this build has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Provider {
    /// Prints the tree that the compiler has parsed.
    Oxc,
    /// Parses the text again.
    #[cfg(feature = "swc")]
    Swc,
}

/// A transpiler that this build does not have.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("this build of weir has no transpiler {}", name.as_str())]
pub(super) struct Lacking {
    name: Transpiler,
}

impl Lacking {
    /// What to do.
    pub(super) fn help(self) -> String {
        let name = self.name.as_str();
        format!("build weir with `cargo install --features {name}`, or leave `transpiler` out of app.toml")
    }
}

impl Provider {
    /// The one of this name.
    pub(super) fn new(name: Transpiler) -> Result<Self, Lacking> {
        match name {
            Transpiler::Oxc => Ok(Self::Oxc),
            #[cfg(feature = "swc")]
            Transpiler::Swc => Ok(Self::Swc),
            #[cfg(not(feature = "swc"))]
            Transpiler::Swc => Err(Lacking { name }),
        }
    }
}

/// Erases the types of a parsed module.
pub(super) fn emit<'a>(
    arena: &'a Allocator,
    unit: Unit<'a>,
    provider: Provider,
    report: &Report,
) -> Result<JavaScript, Reported> {
    match provider {
        Provider::Oxc => oxc::transpile(arena, unit, report),
        #[cfg(feature = "swc")]
        Provider::Swc => swc::transpile(&unit.file, report),
    }
}
