//! Bounds on a document before anything recursive touches it.
//!
//! The parser recurses on brackets and the validator on fragments; either would overflow its stack, or run for hours,
//! on a document of a few kilobytes made for that. [`text`] bounds the text in one pass without recursion; [`spread`]
//! bounds what the fragments expand to, looking at each of them once.

use std::borrow::Cow;
use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Pos, Positioned};
use weir_schema::error::ErrorCode;

use super::document::location;
use super::{DocumentLimits, GraphqlError};

/// Checks the text against `document_bytes`, `document_tokens` and `document_depth`.
pub fn text(text: &str, limits: &DocumentLimits) -> Result<(), GraphqlError> {
    if text.len() > limits.document_bytes {
        let message = format!("the document has {} bytes; the limit is {}", text.len(), limits.document_bytes);
        return Err(GraphqlError::limit("document_bytes", message));
    }
    let (mut tokens, mut depth) = (0_usize, 0_usize);
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => continue,
            b'#' => {
                rest = skip_while(rest, |byte| byte != b'\n' && byte != b'\r');
                continue;
            }
            b'"' => rest = skip_string(rest),
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b'_' | b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                rest = skip_while(rest, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
            }
            _ => {}
        }
        tokens += 1;
        if tokens > limits.document_tokens {
            let message = format!("the document has more than {} tokens", limits.document_tokens);
            return Err(GraphqlError::limit("document_tokens", message));
        }
        if depth > limits.document_depth {
            let message = format!("the document nests deeper than {}", limits.document_depth);
            return Err(GraphqlError::limit("document_depth", message));
        }
    }
    Ok(())
}

fn skip_while(bytes: &[u8], goes_on: impl Fn(u8) -> bool) -> &[u8] {
    let end = bytes.iter().position(|byte| !goes_on(*byte)).unwrap_or(bytes.len());
    bytes.get(end..).unwrap_or_default()
}

/// Skips a string whose first quote is gone. An unfinished one reaches to the end; the parser will say so.
fn skip_string(bytes: &[u8]) -> &[u8] {
    let (mut rest, block) = match bytes {
        [b'"', b'"', rest @ ..] => (rest, true),
        [b'"', rest @ ..] => return rest,
        rest => (rest, false),
    };
    loop {
        rest = match rest {
            [] => return rest,
            [b'\\', b'"', b'"', b'"', rest @ ..] if block => rest,
            [b'"', b'"', b'"', rest @ ..] if block => return rest,
            [b'\\', _, rest @ ..] if !block => rest,
            [b'"' | b'\n', rest @ ..] if !block => return rest,
            [_, rest @ ..] => rest,
        };
    }
}

/// Writes out surrogate pairs (`\u{d}83d\u{d}e00`), on which the parser would panic, and refuses single surrogates.
pub fn surrogates(text: &str) -> Result<Cow<'_, str>, GraphqlError> {
    if !text.contains("\\u") {
        return Ok(Cow::Borrowed(text));
    }
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['"', '#']) {
        let (before, found) = rest.split_at(start);
        written.push_str(before);
        let after = found.get(1..).unwrap_or_default().as_bytes();
        let left = if found.starts_with('#') {
            skip_while(after, |byte| byte != b'\n' && byte != b'\r').len()
        } else {
            skip_string(after).len()
        };
        let (token, after) = found.split_at(found.len() - left);
        if token.starts_with('"') && !token.starts_with("\"\"\"") {
            write_pairs(&mut written, token)?;
        } else {
            written.push_str(token);
        }
        rest = after;
    }
    written.push_str(rest);
    Ok(Cow::Owned(written))
}

fn write_pairs(written: &mut String, token: &str) -> Result<(), GraphqlError> {
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let mut rest = token;
    while let Some(start) = rest.find('\\') {
        let (before, escape) = rest.split_at(start);
        written.push_str(before);
        let (length, first) = match unit(escape) {
            Some(first @ 0xd800..=0xdfff) => {
                let second = escape.get(6..).and_then(unit);
                let mut decoded = char::decode_utf16([Some(first), second].into_iter().flatten());
                match decoded.next() {
                    Some(Ok(c)) => {
                        written.push(c);
                        rest = escape.get(12..).unwrap_or_default();
                        continue;
                    }
                    _ => {
                        let message = "Syntax error: a string has half of a surrogate pair";
                        return Err(GraphqlError::new(ErrorCode::GraphqlParseFailed, message));
                    }
                }
            }
            // An escape of two characters at least, the second of which may be a backslash.
            _ => (2, escape),
        };
        let end = first.char_indices().nth(length).map_or(first.len(), |(end, _)| end);
        let (escape, after) = first.split_at(end);
        written.push_str(escape);
        rest = after;
    }
    written.push_str(rest);
    Ok(())
}

/// What a selection set comes to when all its fragments are spread.
#[derive(Clone, Copy, Default)]
struct Size {
    selections: usize,
    depth: usize,
}

struct Measure<'a> {
    document: &'a ExecutableDocument,
    depth_max: usize,
    /// Sizes by fragment; `None` while it is being measured.
    fragments: HashMap<&'a str, Option<Size>>,
}

/// Checks what the document expands to against `document_selections` and `document_depth`, and that no fragment
/// spreads itself.
pub fn spread(document: &ExecutableDocument, limits: &DocumentLimits) -> Result<(), GraphqlError> {
    let mut measure = Measure { document, depth_max: limits.document_depth, fragments: HashMap::new() };
    let mut selections = 0_usize;
    for (_, operation) in document.operations.iter() {
        selections = selections.saturating_add(measure.set(&operation.node.selection_set, 0)?.selections);
    }
    for (name, fragment) in &document.fragments {
        selections = selections.saturating_add(measure.fragment(name, fragment.pos, 0)?.selections);
    }
    if selections > limits.document_selections {
        let message = format!("the document selects more than {} fields", limits.document_selections);
        return Err(GraphqlError::limit("document_selections", message));
    }
    Ok(())
}

impl<'a> Measure<'a> {
    /// Measures a selection set that stands `depth` deep.
    fn set(&mut self, set: &'a Positioned<SelectionSet>, depth: usize) -> Result<Size, GraphqlError> {
        let mut sum = Size::default();
        for selection in &set.node.items {
            let inner = match &selection.node {
                Selection::Field(field) => self.set(&field.node.selection_set, depth + 1)?,
                Selection::InlineFragment(fragment) => self.set(&fragment.node.selection_set, depth + 1)?,
                Selection::FragmentSpread(spread) => {
                    self.fragment(spread.node.fragment_name.node.as_str(), spread.pos, depth + 1)?
                }
            };
            sum.selections = sum.selections.saturating_add(inner.selections).saturating_add(1);
            sum.depth = sum.depth.max(inner.depth + 1);
        }
        if depth + sum.depth > self.depth_max {
            let message = format!("the document's selections nest deeper than {}", self.depth_max);
            return Err(GraphqlError::limit("document_depth", message));
        }
        Ok(sum)
    }

    fn fragment(&mut self, name: &'a str, spread: Pos, depth: usize) -> Result<Size, GraphqlError> {
        match self.fragments.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                let message = format!("Cannot spread fragment \"{name}\" within itself.");
                return Err(GraphqlError::new(ErrorCode::GraphqlValidationFailed, message).at(location(spread)));
            }
            None if depth > self.depth_max => {
                let message = format!("the document's fragments nest deeper than {}", self.depth_max);
                return Err(GraphqlError::limit("document_depth", message));
            }
            None => {}
        }
        // The validator reports fragments that do not exist.
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Size::default()) };
        self.fragments.insert(name, None);
        let size = self.set(&fragment.node.selection_set, depth)?;
        self.fragments.insert(name, Some(size));
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> DocumentLimits {
        DocumentLimits { document_bytes: 100, document_tokens: 10, document_depth: 3, ..DocumentLimits::default() }
    }

    #[test]
    fn a_text_is_bounded() {
        let long = "x".repeat(101);
        let table = [
            ("{ a(b: [1]) }", None),
            ("# {{{{{{{{{{{{{{\n{ a }", None),
            (r#"{ a(b: "{{{{ \" {{{{") }"#, None),
            (r#"{ a(b: """{{{{ \""" {{{{" """) }"#, None),
            ("{{{{", Some("document_depth")),
            ("[[[[", Some("document_depth")),
            ("a b c d e f g h i j k", Some("document_tokens")),
            (&long, Some("document_bytes")),
            ("{ \"unfinished", None),
            ("{ \"\"\"unfinished", None),
        ];
        for (given, limit) in table {
            let refused = text(given, &limits()).err().and_then(|error| error.extensions.limit);
            assert_eq!(refused, limit, "{given}");
        }
    }

    #[test]
    fn surrogate_pairs_are_written_out() {
        let table = [
            (r#"{ a }"#, Some(r#"{ a }"#)),
            (r#"{ a(b: "\ud83d\uDE00!") }"#, Some(r#"{ a(b: "😀!") }"#)),
            (r#"{ a(b: "\u00e9\\\"\u0041") }"#, Some(r#"{ a(b: "\u00e9\\\"\u0041") }"#)),
            (r#"{ a(b: "\\ud83d") }"#, Some(r#"{ a(b: "\\ud83d") }"#)),
            (r#"{ a(b: """\ud83d""") }"#, Some(r#"{ a(b: """\ud83d""") }"#)),
            ("# \"\\ud83d\n{ a }", Some("# \"\\ud83d\n{ a }")),
            (r#"{ a(b: "\ud83d") }"#, None),
            (r#"{ a(b: "\ud83dx\ude00") }"#, None),
            (r#"{ a(b: "\ude00\ud83d") }"#, None),
            (r#"{ a(b: "\ud8"#, Some(r#"{ a(b: "\ud8"#)),
        ];
        for (given, expected) in table {
            assert_eq!(surrogates(given).ok().as_deref(), expected, "{given}");
        }
    }
}
