//! What is wrong with a source file, where, and what to do.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use unicode_width::UnicodeWidthChar;

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

/// How a diagnostic is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text alone.
    Plain,
    /// With ANSI colours, for terminals.
    Ansi,
}

/// Columns that a tab takes in an excerpt.
const TAB_COLUMNS: usize = 4;

impl Diagnostic {
    /// Writes the diagnostic as compilers do, ending in a line break:
    ///
    /// ```text
    /// error: `any` has no counterpart in GraphQL
    ///  --> functions/orders.ts:3:44
    ///   |
    /// 3 | export const all = query((args: { filter: any }): string => "");
    ///   |                                           ^^^
    /// help: write the type, or JSON (from "weir") for any JSON value
    /// ```
    pub fn render(&self, style: Style) -> String {
        let ink = Ink { style };
        let mut text = String::new();
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let bar = ink.blue("|");
        let _ = writeln!(text, "{}{}", ink.red("error"), ink.bold(&format!(": {}", printable(&self.message))));
        let _ = writeln!(text, "{margin}{} {}", ink.blue("-->"), self.place());
        if let (Some(excerpt), 1..) = (&self.excerpt, self.line) {
            let (before, marked, after) = self.split(excerpt);
            let (indent, width) = (columns(before), columns(marked).max(1));
            let excerpt = [before, marked, after].map(printable).concat();
            let _ = writeln!(text, "{margin} {bar}");
            let _ = writeln!(text, "{} {bar} {excerpt}", ink.blue(&number));
            if self.column > 0 {
                let caret = "^".repeat(width);
                let _ = writeln!(text, "{margin} {bar} {}{}", " ".repeat(indent), ink.red(&caret));
            }
        }
        if let Some(help) = &self.help {
            let _ = writeln!(text, "{}: {}", ink.green("help"), printable(help));
        }
        text
    }

    /// `file:line:column`, as far as known.
    fn place(&self) -> String {
        match (self.line, self.column) {
            (0, _) => self.file.clone(),
            (line, 0) => format!("{}:{line}", self.file),
            (line, column) => format!("{}:{line}:{column}", self.file),
        }
    }

    /// What stands before, in and after the meant part of the line.
    fn split<'e>(&self, excerpt: &'e str) -> (&'e str, &'e str, &'e str) {
        let (before, rest) = split_at_char(excerpt, self.column.saturating_sub(1) as usize);
        let (marked, after) = split_at_char(rest, self.length as usize);
        (before, marked, after)
    }
}

fn split_at_char(text: &str, count: usize) -> (&str, &str) {
    let offset = text.char_indices().nth(count).map_or(text.len(), |(offset, _)| offset);
    text.split_at_checked(offset).unwrap_or((text, ""))
}

/// The columns that a text takes on a terminal.
fn columns(text: &str) -> usize {
    let width = |c: char| if c == '\t' { TAB_COLUMNS } else { c.width().unwrap_or(1) };
    text.chars().map(width).sum()
}

/// The text with tabs as spaces, and without characters that a terminal would obey.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => printable.extend(std::iter::repeat_n(' ', TAB_COLUMNS)),
            c if c.is_control() => printable.push(char::REPLACEMENT_CHARACTER),
            c => printable.push(c),
        }
    }
    printable
}

struct Ink {
    style: Style,
}

impl Ink {
    fn paint(&self, code: &str, text: &str) -> String {
        match self.style {
            Style::Plain => text.to_owned(),
            Style::Ansi => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    fn red(&self, text: &str) -> String {
        self.paint("1;31", text)
    }

    fn blue(&self, text: &str) -> String {
        self.paint("1;34", text)
    }

    fn green(&self, text: &str) -> String {
        self.paint("1;32", text)
    }

    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(excerpt: &str, column: u32, length: u32, expected: Expect) {
        let diagnostic = Diagnostic {
            file: "functions/orders.ts".into(),
            line: 12,
            column,
            length,
            message: "this is wrong".into(),
            help: Some("write it right".into()),
            excerpt: Some(excerpt.into()),
        };
        expected.assert_eq(&diagnostic.render(Style::Plain));
    }

    #[test]
    fn the_caret_stands_under_what_is_meant() {
        check(
            "const a: any = 1;",
            10,
            3,
            expect![[r#"
                error: this is wrong
                  --> functions/orders.ts:12:10
                   |
                12 | const a: any = 1;
                   |          ^^^
                help: write it right
            "#]],
        );
    }

    #[test]
    fn tabs_and_wide_characters_are_aligned() {
        check(
            "\t\"日本\" + 𝒳: any",
            12,
            3,
            expect![[r#"
                error: this is wrong
                  --> functions/orders.ts:12:12
                   |
                12 |     "日本" + 𝒳: any
                   |                 ^^^
                help: write it right
            "#]],
        );
    }

    #[test]
    fn a_terminal_obeys_nothing_in_a_source() {
        check(
            "a\u{1b}[2Jb",
            1,
            99,
            expect![[r#"
                error: this is wrong
                  --> functions/orders.ts:12:1
                   |
                12 | a�[2Jb
                   | ^^^^^^
                help: write it right
            "#]],
        );
    }

    #[test]
    fn a_file_as_a_whole_has_no_excerpt() {
        let diagnostic = Diagnostic {
            file: "app.toml".into(),
            line: 0,
            column: 0,
            length: 1,
            message: "this folder has no app.toml".into(),
            help: None,
            excerpt: None,
        };
        expect![[r#"
            error: this folder has no app.toml
             --> app.toml
        "#]]
        .assert_eq(&diagnostic.render(Style::Plain));
        assert!(diagnostic.render(Style::Ansi).starts_with("\u{1b}[1;31merror\u{1b}[0m"));
    }
}
