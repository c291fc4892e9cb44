//! What is wrong with a source file, where, and what to do.

use serde::{Deserialize, Serialize};

/// One mistake in an app's sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Relative to the app folder.
    pub file: String,
    /// From 1; 0 when the file as a whole is meant.
    pub line: u32,
    /// In characters, from 1; 0 when the line as a whole is meant.
    pub column: u32,
    /// How many characters are meant, at least 1.
    pub length: u32,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The source line, without its line break.
    pub excerpt: Option<String>,
}
