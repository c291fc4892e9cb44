//! Reads rows from a file: a JSON array, or JSON lines. One row in memory at a time, each with its line number.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde_json::Value;

/// The longest row, in bytes.
const ROW_BYTES_MAX: usize = 16 << 20;

/// One row.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// The line on which it starts, from 1.
    pub line: u64,
    /// What it holds.
    pub value: Value,
    /// How far into the file it reaches, in bytes.
    pub end: u64,
}

/// Why the rows cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The operating system refused.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Not JSON, or not rows.
    #[error("line {line}: {message}")]
    Bad {
        /// Where, from 1.
        line: u64,
        /// What is wrong.
        message: String,
    },
}

/// The rows of one file.
pub struct Rows<R> {
    reader: R,
    form: Form,
    line: u64,
    offset: u64,
    /// A row has been read: in an array, a comma must come before the next.
    started: bool,
}

#[derive(PartialEq)]
enum Form {
    Unknown,
    Lines,
    Array,
    Ended,
}

impl Rows<BufReader<File>> {
    /// Opens a file.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::new(BufReader::with_capacity(1 << 20, File::open(path)?)))
    }
}

impl<R: BufRead> Rows<R> {
    /// Reads rows from anything.
    pub fn new(reader: R) -> Self {
        Self { reader, form: Form::Unknown, line: 1, offset: 0, started: false }
    }

    /// The next row; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Row>, RowsError> {
        let first = self.skip_space()?;
        if self.form == Form::Unknown {
            self.form = match first {
                None => Form::Ended,
                Some(b'[') => {
                    self.advance()?;
                    Form::Array
                }
                Some(_) => Form::Lines,
            };
            return self.next();
        }
        match (&self.form, first) {
            (Form::Ended, None) | (Form::Lines, None) => Ok(None),
            (Form::Ended, Some(_)) => Err(self.bad("something stands behind the end of the array")),
            (Form::Array, None) => Err(self.bad("the array is not closed: the file ends too soon")),
            (Form::Array, Some(b']')) => {
                self.advance()?;
                self.form = Form::Ended;
                self.next()
            }
            (Form::Array, Some(b',')) if self.started => {
                self.advance()?;
                self.skip_space()?;
                self.row().map(Some)
            }
            (Form::Array, Some(_)) if self.started => Err(self.bad("expected a comma between two rows")),
            _ => self.row().map(Some),
        }
    }

    fn bad(&self, message: impl Into<String>) -> RowsError {
        RowsError::Bad { line: self.line, message: message.into() }
    }

    fn peek(&mut self) -> Result<Option<u8>, RowsError> {
        Ok(self.reader.fill_buf()?.first().copied())
    }

    fn advance(&mut self) -> Result<Option<u8>, RowsError> {
        let byte = self.peek()?;
        if let Some(byte) = byte {
            self.reader.consume(1);
            self.offset += 1;
            self.line += u64::from(byte == b'\n');
        }
        Ok(byte)
    }

    /// Skips white space (and a byte order mark at the start); the byte after it.
    fn skip_space(&mut self) -> Result<Option<u8>, RowsError> {
        loop {
            match self.peek()? {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.advance()?,
                Some(0xef | 0xbb | 0xbf) if self.offset < 3 => self.advance()?,
                other => return Ok(other),
            };
        }
    }

    /// One object, from its first byte to its last.
    fn row(&mut self) -> Result<Row, RowsError> {
        let line = self.line;
        let mut text = Vec::new();
        let mut nesting = Nesting::default();
        while let Some(byte) = self.advance()? {
            text.push(byte);
            if text.len() > ROW_BYTES_MAX {
                return Err(RowsError::Bad { line, message: format!("the row is longer than {ROW_BYTES_MAX} bytes") });
            }
            if nesting.closes(byte) {
                break;
            }
            let next = self.peek()?;
            let at_end = matches!((&self.form, next), (Form::Array, Some(b',' | b']')) | (Form::Lines, Some(b'\n')));
            if nesting.is_flat() && at_end {
                break;
            }
        }
        self.started = true;
        let value: Value = serde_json::from_slice(&text).map_err(|error| {
            let line = line + u64::try_from(error.line().saturating_sub(1)).unwrap_or_default();
            // serde_json counts from the start of the row.
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or(&said);
            RowsError::Bad { line, message: format!("not JSON: {said}") }
        })?;
        if !value.is_object() {
            return Err(RowsError::Bad { line, message: format!("expected an object, got {value}") });
        }
        Ok(Row { line, value, end: self.offset })
    }
}

/// Where in the nesting of brackets and strings a byte stands.
#[derive(Default)]
struct Nesting {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    /// Takes the next byte; true if it closes the outermost bracket.
    fn closes(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }

    fn is_flat(&self) -> bool {
        self.depth == 0 && !self.in_string
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        let mut rows = Rows::new(text.as_bytes());
        let mut shown = String::new();
        loop {
            match rows.next() {
                Ok(Some(row)) => shown.push_str(&format!("{}: {}\n", row.line, row.value)),
                Ok(None) => break,
                Err(error) => {
                    shown.push_str(&format!("{error}\n"));
                    break;
                }
            }
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn arrays_and_lines_are_rows() {
        let rows = expect![[r#"
            1: {"a":1}
            2: {"b":"}]\""}
            4: {"c":[{}]}
        "#]];
        check("{\"a\":1}\n{\"b\":\"}]\\\"\"}\n\n{\"c\":[{}]}\n", rows);
        let rows = expect![[r#"
            1: {"a":1}
            2: {"b":2}
            4: {"c":3}
        "#]];
        check("[{\"a\":1},\n{\"b\":2}\n,\n{\"c\":3}]\n", rows);
        check(
            "\u{feff}[{\"a\":1}]",
            expect![[r#"
            1: {"a":1}
        "#]],
        );
        check("", expect![""]);
        check(" [ ] ", expect![""]);
    }

    #[test]
    fn what_is_no_row_is_told_with_its_line() {
        check(
            "{\"a\":1}\n{\"a\":}\n",
            expect![[r#"
            1: {"a":1}
            line 2: not JSON: expected value
        "#]],
        );
        check(
            "[{\"a\":1},\n7]",
            expect![[r#"
            1: {"a":1}
            line 2: expected an object, got 7
        "#]],
        );
        check(
            "[{\"a\":1}\n{\"a\":2}]",
            expect![[r#"
            1: {"a":1}
            line 2: expected a comma between two rows
        "#]],
        );
        check(
            "[{\"a\":1},\n{\"a\":",
            expect![[r#"
            1: {"a":1}
            line 2: not JSON: EOF while parsing a value
        "#]],
        );
        check(
            "[{\"a\":1}\n",
            expect![[r#"
            1: {"a":1}
            line 2: the array is not closed: the file ends too soon
        "#]],
        );
        check(
            "[] x",
            expect![[r#"
            line 1: something stands behind the end of the array
        "#]],
        );
        check(
            "hello\n",
            expect![[r#"
            line 1: not JSON: expected value
        "#]],
        );
    }
}
