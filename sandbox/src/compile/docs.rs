//! Doc comments: `/** … */` before a declaration becomes its description.

use std::collections::HashMap;

use oxc::ast::ast::{CommentContent, Program};

/// The text of each doc comment by the offset of what it precedes. The last comment before a thing wins.
pub(super) fn by_offset(program: &Program) -> HashMap<u32, String> {
    let comments = program.comments.iter();
    comments
        .filter(|comment| matches!(comment.content, CommentContent::Jsdoc | CommentContent::JsdocLegal))
        .filter_map(|comment| {
            let text = comment.content_span().source_text(program.source_text);
            let text = description(text.strip_prefix('*').unwrap_or(text));
            (!text.is_empty()).then_some((comment.attached_to, text))
        })
        .collect()
}

/// Strips the stars and the indentation, and ends at the first line that starts with a tag (`@param`).
fn description(comment: &str) -> String {
    let lines = comment.lines().map(|line| {
        let line = line.trim();
        line.strip_prefix('*').map_or(line, |rest| rest.strip_prefix(' ').unwrap_or(rest)).trim_end()
    });
    let lines: Vec<&str> = lines.take_while(|line| !line.trim_start().starts_with('@')).collect();
    lines.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::description;

    #[test]
    fn stars_and_tags_are_not_part_of_a_description() {
        let table = [
            (" One line. ", "One line."),
            ("\n   * First.\n   *\n   * - item\n   *   deeper\n   ", "First.\n\n- item\n  deeper"),
            ("\n * Places an order.\n * @param args what\n * @returns it\n ", "Places an order."),
            (" @internal ", ""),
            ("\r\n * Windows\r\n * lines\r\n ", "Windows\nlines"),
            ("\n   no stars\n   at all\n", "no stars\nat all"),
        ];
        for (comment, expected) in table {
            assert_eq!(description(comment), expected, "{comment:?}");
        }
    }
}
