//! Collecting diagnostics: files with their lines, and the proof that a mistake has been reported.

use std::cell::RefCell;

use oxc::span::Span;

use crate::diagnostic::Diagnostic;

/// The most diagnostics of one compilation; what is wrong beyond them shows when they are mended.
const DIAGNOSTICS_MAX: usize = 100;

/// The longest source line that is quoted, in bytes.
const EXCERPT_BYTES_MAX: usize = 1_000;

/// One source file, with positions in it.
pub(super) struct File<'a> {
    /// Relative to the app folder.
    pub path: &'a str,
    /// The whole text, without a byte order mark.
    pub text: &'a str,
    /// Byte offsets of the starts of all lines.
    lines: Vec<usize>,
}

impl<'a> File<'a> {
    pub(super) fn new(path: &'a str, text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(offset, _)| offset + 1);
        Self { path, text, lines: std::iter::once(0).chain(breaks).collect() }
    }

    /// The line of a byte offset, from 1.
    pub(super) fn line(&self, offset: u32) -> u32 {
        self.lines.partition_point(|start| *start <= offset as usize) as u32
    }

    /// A diagnostic about a part of the file. A part of several lines is cut at the end of its first.
    fn diagnostic(&self, span: Span, message: String) -> Diagnostic {
        let line = self.line(span.start);
        let start = self.lines.get(line.saturating_sub(1) as usize).copied().unwrap_or_default();
        let end = self.lines.get(line as usize).copied().unwrap_or(self.text.len());
        let excerpt = self.text.get(start..end).unwrap_or_default().trim_end_matches(['\n', '\r']);
        let chars = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default().chars().count() as u32;
        let marked = (span.end as usize).min(start + excerpt.len());
        Diagnostic {
            file: self.path.to_owned(),
            line,
            column: chars(start, span.start as usize) + 1,
            length: chars(span.start as usize, marked).max(1),
            message,
            help: None,
            excerpt: (excerpt.len() <= EXCERPT_BYTES_MAX).then(|| excerpt.to_owned()),
        }
    }
}

/// Proof that something is wrong and that its diagnostic is in the [`Report`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Reported(());

/// All that is wrong with an app.
#[derive(Default)]
pub(super) struct Report {
    diagnostics: RefCell<Vec<Diagnostic>>,
}

impl Report {
    /// Reports a mistake at a place.
    pub(super) fn error(&self, file: &File, span: Span, message: impl Into<String>) -> Reported {
        self.push(file.diagnostic(span, message.into()))
    }

    /// Reports a mistake at a place, with what to do about it.
    pub(super) fn error_with_help(
        &self,
        file: &File,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Reported {
        self.push(Diagnostic { help: Some(help.into()), ..file.diagnostic(span, message.into()) })
    }

    /// Reports a mistake of a whole file.
    pub(super) fn file_error(&self, path: &str, message: impl Into<String>, help: impl Into<String>) -> Reported {
        self.push(Diagnostic {
            file: path.to_owned(),
            line: 0,
            column: 0,
            length: 1,
            message: message.into(),
            help: Some(help.into()),
            excerpt: None,
        })
    }

    fn push(&self, diagnostic: Diagnostic) -> Reported {
        let mut diagnostics = self.diagnostics.borrow_mut();
        if diagnostics.len() < DIAGNOSTICS_MAX && !diagnostics.contains(&diagnostic) {
            diagnostics.push(diagnostic);
        }
        Reported(())
    }

    /// The proof for what follows from a mistake that some diagnostic already tells.
    ///
    /// Only for names of files that do not parse and of imports that lead nowhere: both are always reported.
    pub(super) fn follows(&self) -> Reported {
        Reported(())
    }

    /// Whether nothing is wrong.
    pub(super) fn is_clean(&self) -> bool {
        self.diagnostics.borrow().is_empty()
    }

    /// All diagnostics by file and position.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let mut diagnostics = self.diagnostics.into_inner();
        diagnostics.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        diagnostics
    }
}
