//! Bounds on a document before anything recursive touches it.
//!
//! The parser recurses on brackets and the validator on fragments; either would overflow its stack, or run for hours,
//! on a document of a few kilobytes made for that. [`text`] bounds the text in one pass without recursion; [`spread`]
//! bounds what the fragments expand to, looking at each of them once.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Pos, Positioned};
use weir_schema::error::ErrorCode;
use weir_schema::graphql::GraphqlSettings;

use super::GraphqlError;
use super::document::location;

/// What has been seen of a text so far.
#[derive(Default)]
struct Counts {
    tokens: usize,
    definitions: usize,
    aliases: usize,
    directives: usize,
    variables: usize,
}

/// Checks the text against the limits of what can be counted without understanding it: `document_bytes`, `_tokens`,
/// `_name_bytes`, `_depth`, `_definitions`, `_aliases`, `_directives` and `_variables`. Looks at each byte once and stops at
/// the first that is too much. Gives the number of tokens.
pub fn text(text: &str, limits: &GraphqlSettings) -> Result<usize, GraphqlError> {
    size(text, limits)?;
    let (mut counts, mut depth, mut parentheses) = (Counts::default(), 0_usize, 0_usize);
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
            b'{' | b'[' | b'(' => {
                if *first == b'{' && depth == 0 {
                    counts.definitions += 1;
                    at_most("document_definitions", counts.definitions, limits.document_definitions, "definitions")?;
                }
                parentheses += usize::from(*first == b'(');
                depth += 1;
            }
            b'}' | b']' | b')' => {
                parentheses = parentheses.saturating_sub(usize::from(*first == b')'));
                depth = depth.saturating_sub(1);
            }
            // Within parentheses it stands after the name of an argument, a variable or a member.
            b':' if parentheses == 0 => {
                counts.aliases += 1;
                at_most("document_aliases", counts.aliases, limits.document_aliases, "aliases")?;
            }
            b'@' => {
                counts.directives += 1;
                at_most("document_directives", counts.directives, limits.document_directives, "directives")?;
            }
            b'$' => {
                counts.variables += 1;
                at_most("document_variables", counts.variables, limits.document_variables, "variables")?;
            }
            b'_' | b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                let length = rest.len();
                rest = skip_while(rest, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
                let length = length - rest.len() + 1;
                at_most("document_name_bytes", length, limits.document_name_bytes, "bytes in one name")?;
            }
            _ => {}
        }
        counts.tokens += 1;
        at_most("document_tokens", counts.tokens, limits.document_tokens, "tokens")?;
        if depth > limits.document_depth {
            let message = format!("the document nests deeper than {}", limits.document_depth);
            return Err(GraphqlError::limit("document_depth", message));
        }
    }
    Ok(counts.tokens)
}

/// Checks the text against `document_bytes` alone.
pub fn size(text: &str, limits: &GraphqlSettings) -> Result<(), GraphqlError> {
    at_most("document_bytes", text.len(), limits.document_bytes, "bytes")
}

/// Checks the name of an operation against `document_name_bytes`: no document could have it.
pub fn name(operation: Option<&str>, limits: &GraphqlSettings) -> Result<(), GraphqlError> {
    let most = limits.document_name_bytes;
    if operation.is_none_or(|name| name.len() <= most) {
        return Ok(());
    }
    Err(GraphqlError::limit("document_name_bytes", format!("operationName has more than {most} bytes")))
}

/// Refuses a document that has more of something than a limit allows.
fn at_most(limit: &'static str, found: usize, most: usize, of: &str) -> Result<(), GraphqlError> {
    if found <= most {
        return Ok(());
    }
    Err(GraphqlError::limit(limit, format!("the document has more than {most} {of}")))
}

pub(super) fn skip_while(bytes: &[u8], goes_on: impl Fn(u8) -> bool) -> &[u8] {
    let end = bytes.iter().position(|byte| !goes_on(*byte)).unwrap_or(bytes.len());
    bytes.get(end..).unwrap_or_default()
}

/// Skips a string whose first quote is gone. An unfinished one reaches to the end; the parser will say so.
pub(super) fn skip_string(bytes: &[u8]) -> &[u8] {
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

/// What a selection set comes to when all its fragments are spread.
#[derive(Clone, Copy, Default)]
struct Size {
    selections: usize,
    depth: usize,
    /// Fields that stand in it itself, or in fragments that do.
    fields: usize,
}

struct Measure<'a> {
    document: &'a ExecutableDocument,
    depth_max: usize,
    /// Sizes by fragment; `None` while it is being measured.
    fragments: HashMap<&'a str, Option<Size>>,
    /// Selections that were looked at: each of the document once.
    visited: usize,
}

/// Checks what the document expands to against `document_selections`, `document_depth` and `root_fields`, and that no
/// fragment spreads itself.
pub fn spread(document: &ExecutableDocument, limits: &GraphqlSettings) -> Result<(), GraphqlError> {
    Measure::of(document, limits).map(drop)
}

impl<'a> Measure<'a> {
    fn of(document: &'a ExecutableDocument, limits: &GraphqlSettings) -> Result<Self, GraphqlError> {
        let mut measure = Self { document, depth_max: limits.document_depth, fragments: HashMap::new(), visited: 0 };
        let mut selections = 0_usize;
        for (_, operation) in document.operations.iter() {
            let root = measure.set(&operation.node.selection_set, 0)?;
            at_most("root_fields", root.fields, limits.root_fields, "fields at the root of an operation")?;
            selections = selections.saturating_add(root.selections);
        }
        for (name, fragment) in &document.fragments {
            selections = selections.saturating_add(measure.fragment(name, fragment.pos, 0)?.selections);
        }
        at_most("document_selections", selections, limits.document_selections, "fields with its fragments spread")?;
        Ok(measure)
    }

    /// Measures a selection set that stands `depth` deep.
    fn set(&mut self, set: &'a Positioned<SelectionSet>, depth: usize) -> Result<Size, GraphqlError> {
        let mut sum = Size::default();
        for selection in &set.node.items {
            self.visited += 1;
            let (inner, fields) = match &selection.node {
                Selection::Field(field) => (self.set(&field.node.selection_set, depth + 1)?, 1),
                Selection::InlineFragment(fragment) => {
                    let inner = self.set(&fragment.node.selection_set, depth + 1)?;
                    (inner, inner.fields)
                }
                Selection::FragmentSpread(spread) => {
                    let inner = self.fragment(spread.node.fragment_name.node.as_str(), spread.pos, depth + 1)?;
                    (inner, inner.fields)
                }
            };
            sum.selections = sum.selections.saturating_add(inner.selections).saturating_add(1);
            sum.fields = sum.fields.saturating_add(fields);
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
    use super::super::syntax;
    use super::*;

    fn limits() -> GraphqlSettings {
        GraphqlSettings {
            document_bytes: 100,
            document_tokens: 20,
            document_name_bytes: 12,
            document_depth: 3,
            document_definitions: 2,
            document_aliases: 2,
            document_directives: 2,
            document_variables: 2,
            document_selections: 4,
            root_fields: 3,
            ..GraphqlSettings::default()
        }
    }

    #[test]
    fn a_text_is_bounded() {
        let (full, long) = (format!("#{}", "x".repeat(99)), format!("#{}", "x".repeat(100)));
        let table = [
            ("{ a(b: [1]) }", None),
            ("# {{{{{{{{{{{{{{\n{ a }", None),
            (r#"{ a(b: "{{{{ \" {{{{") }"#, None),
            (r#"{ a(b: """{{{{ \""" {{{{" """) }"#, None),
            ("{{{", None),
            ("{{{{", Some("document_depth")),
            ("[[[[", Some("document_depth")),
            ("a b c d e f g h i j k l m n o p q r s t", None),
            ("a b c d e f g h i j k l m n o p q r s t u", Some("document_tokens")),
            (&full, None),
            (&long, Some("document_bytes")),
            ("{ \"unfinished", None),
            ("{ \"\"\"unfinished", None),
            ("{ abcdefghijkl }", None),
            ("{ abcdefghijklm }", Some("document_name_bytes")),
            ("{ a(b: -1234567890123) }", Some("document_name_bytes")),
            ("{ a } fragment F on A { b }", None),
            ("{ a } { a } { a }", Some("document_definitions")),
            ("{ x: a, y: b(x: 1 y: { z: 2 }) }", None),
            ("{ x: a, y: b, z: c }", Some("document_aliases")),
            ("{ a @x @y }", None),
            ("{ a @x @y @z }", Some("document_directives")),
            ("query($a: Int) { a(b: $a) }", None),
            ("query($a: Int) { a(b: $a, c: $a) }", Some("document_variables")),
        ];
        for (given, limit) in table {
            let refused = text(given, &limits()).err().and_then(|error| error.extensions.limit);
            assert_eq!(refused, limit, "{given}");
        }
    }

    #[test]
    fn what_a_document_expands_to_is_bounded() {
        let table = [
            ("{ a b c }", None),
            ("{ a b c d }", Some("root_fields")),
            ("{ a { b c d } }", None),
            ("{ a { b c d e } }", Some("document_selections")),
            ("{ a ...F } fragment F on Q { b }", None),
            ("{ ...F ...F } fragment F on Q { b c }", Some("root_fields")),
            ("{ a { b { c } } }", None),
            ("{ a { b { ...F } } } fragment F on Q { c }", Some("document_depth")),
        ];
        for (given, limit) in table {
            let document = syntax::parse(given).unwrap_or_else(|error| panic!("{given}: {error:?}"));
            let refused = spread(&document, &limits()).err().and_then(|error| error.extensions.limit);
            assert_eq!(refused, limit, "{given}");
        }
    }

    #[test]
    fn each_selection_is_looked_at_once_whatever_it_expands_to() {
        let fragments = (0..40).map(|i| format!("fragment F{i} on Q {{ ...F{0} ...F{0} }} ", i + 1));
        let bomb = format!("{{ ...F0 }} {} fragment F40 on Q {{ a }}", fragments.collect::<String>());
        let document = syntax::parse(&bomb).unwrap_or_else(|error| panic!("{error:?}"));
        let limits =
            GraphqlSettings { document_selections: usize::MAX, root_fields: usize::MAX, ..GraphqlSettings::default() };
        let visited = Measure::of(&document, &limits).map(|measure| measure.visited);
        assert_eq!(visited.ok(), Some(1 + 40 * 2 + 1));
    }
}
