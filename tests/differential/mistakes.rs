//! Mistakes in documents: tokens that go, come or change places.

use super::random::{Choose, Random};

/// Changes a token or two.
pub fn mistake(random: &mut Random, tokens: &mut Vec<String>) {
    for _ in 0..random.between(1, 2) {
        let place = random.between(0, tokens.len() - 1);
        match random.below(7) {
            0 => {
                tokens.remove(place);
            }
            1 => tokens.insert(place, tokens[place].clone()),
            2 => {
                let other = random.between(0, tokens.len() - 1);
                tokens.swap(place, other);
            }
            3 => tokens[place] = tokens[random.between(0, tokens.len() - 1)].clone(),
            4 => {
                let other = random.one_of(&[
                    "a",
                    "b",
                    "x",
                    "$v0",
                    "@skip(if: true)",
                    "@include",
                    "@deprecated",
                    "@nothing",
                    "T1",
                    "null",
                    "1",
                    "...",
                    "...F0",
                    "on",
                    "__typename",
                    "{",
                    "}",
                    "!",
                    "\"a\"",
                    "Int",
                    "id",
                    "__schema",
                    "=",
                ]);
                tokens[place] = other.to_owned();
            }
            5 => {
                let other = random.one_of(&[
                    "@skip(if: true)",
                    "@skip(if: $v0)",
                    "@nothing",
                    "...F0",
                    "...F1",
                    "a",
                    "__typename",
                    "...Nobody",
                    "(a: 1)",
                    "{a}",
                    ": Int",
                    "= 1",
                    "... on T0 { kind }",
                    "...{a}",
                    "x: a",
                    "a: b",
                ]);
                tokens.insert(place, other.to_owned());
            }
            _ => {
                // A whole group goes, with its brackets.
                if let Some(end) = closing(tokens, place) {
                    tokens.drain(place..=end);
                }
            }
        }
        if tokens.is_empty() {
            tokens.push("{".into());
        }
    }
}

/// Where the group ends whose bracket stands here.
fn closing(tokens: &[String], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate().skip(open) {
        match token.trim() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return (place > open).then_some(place);
        }
    }
    None
}
