//! "Did you mean": what a mistyped name may have been meant to be.
//!
//! Each suggestion compares a name with all that there are, so that only the first few errors of a document get one; none does
//! where clients may not know the schema. There what is wrong with a document or with variables lists no names of it either.

use weir_schema::api::Api;

use super::GraphqlError;

/// Errors of one document that are told. The rest would say the same again.
const ERRORS_MAX: usize = 20;
/// Errors that get suggestions.
const SUGGESTIONS_MAX: usize = 5;
/// Names that one error suggests.
const NAMES_MAX: usize = 3;
/// The longest name that is compared with others, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Bounds what is told of a document or of variables, and fits it to what clients may know.
pub fn tell(api: &Api, may_know: bool, mut errors: Vec<GraphqlError>) -> Vec<GraphqlError> {
    errors.truncate(ERRORS_MAX);
    if may_know {
        complete(api, &mut errors);
    } else {
        errors.iter_mut().for_each(|error| conceal(&mut error.message));
    }
    errors
}

/// Takes out the fields of an input and the values of an enum, which errors name that are about others.
fn conceal(message: &mut String) {
    if let Some(start) = message.find("; it has ") {
        message.truncate(start);
    }
    if let Some(expected) = message.find("expected ")
        && let Some((start, end)) =
            message.get(expected..).and_then(|rest| Some((rest.find(" (")?, rest.find("), got ")?)))
        && start < end
    {
        message.replace_range(expected + start..=expected + end, "");
    }
}

/// Adds suggestions to what was found wrong.
fn complete(api: &Api, errors: &mut [GraphqlError]) {
    for error in errors.iter_mut().take(SUGGESTIONS_MAX) {
        if let Some(names) = names(api, &error.message) {
            error.message.push_str(&format!(" Did you mean {names}?"));
        }
    }
}

/// What is like the unknown name in a message.
fn names(api: &Api, message: &str) -> Option<String> {
    let (wrong, candidates): (&str, Vec<&str>) = if let Some(rest) = prefixed(message) {
        let (wrong, rest) = rest.split_once("\" on type \"")?;
        let object = api.object(rest.strip_suffix("\".")?)?;
        (wrong, object.fields.iter().map(|field| field.name.as_str()).collect())
    } else {
        let (wrong, rest) = message.strip_prefix("Unknown argument \"")?.split_once("\" on field \"")?;
        let (field, rest) = rest.split_once("\" of type \"")?;
        let field = api.object(rest.strip_suffix("\".")?)?.field(field)?;
        (wrong, field.arguments.iter().map(|argument| argument.name.as_str()).collect())
    };
    if wrong.len() > NAME_BYTES_MAX {
        return None;
    }
    let is_comparable = |name: &&str| name.len() <= NAME_BYTES_MAX;
    let distances = candidates.into_iter().filter(is_comparable).map(|name| (distance(wrong, name), name));
    let mut near: Vec<(usize, &str)> = distances.filter(|(distance, _)| *distance <= wrong.len() * 2 / 5 + 1).collect();
    near.sort_by_key(|(distance, _)| *distance);
    let near: Vec<String> = near.into_iter().take(NAMES_MAX).map(|(_, name)| format!("\"{name}\"")).collect();
    match near.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        [others @ .., last] => Some(format!("{} or {last}", others.join(", "))),
    }
}

/// What follows the words by which an unknown field is told of.
fn prefixed(message: &str) -> Option<&str> {
    message.strip_prefix("Unknown field \"").or_else(|| message.strip_prefix("Cannot query field \""))
}

/// How many letters have to be changed, added or left out to make one name of the other, upper and lower case alike
/// (<https://en.wikipedia.org/wiki/Levenshtein_distance>).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut left = i + 1;
        let mut diagonal = i;
        for (to, cell) in b.bytes().zip(row.iter_mut().skip(1)) {
            let changed = diagonal + usize::from(!from.eq_ignore_ascii_case(&to));
            diagonal = *cell;
            left = changed.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn a_distance_counts_letters() {
        let table = [("", "", 0), ("a", "", 1), ("", "ab", 2), ("order", "Order", 0), ("oder", "order", 1)];
        let table = table.into_iter().chain([("kitten", "sitting", 3), ("orders", "order", 1), ("abc", "cba", 2)]);
        for (a, b, expected) in table {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn what_clients_may_not_know_is_taken_out() {
        let table = [
            ("$o.x: OrderInput has no field x; it has id, total", "$o.x: OrderInput has no field x"),
            ("$s: expected OrderStatus (open | paid), got \"x\"", "$s: expected OrderStatus, got \"x\""),
            ("$s: expected Int, got \"(a), got\"", "$s: expected Int, got \"(a), got\""),
        ];
        for (message, expected) in table {
            let mut message = message.to_owned();
            conceal(&mut message);
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn names_that_are_near_are_suggested() {
        let api = Api::of(&fixture::shop()).unwrap_or_else(|error| panic!("{error}"));
        let table = [
            ("Unknown field \"oder\" on type \"Query\".", Some("\"order\"")),
            ("Cannot query field \"oder\" on type \"Query\".", Some("\"order\"")),
            ("Unknown field \"zzz\" on type \"Query\".", None),
            ("Unknown field \"x\" on type \"Gone\".", None),
            ("Unknown argument \"filer\" on field \"ordersOf\" of type \"Query\".", Some("\"filter\"")),
            ("Unknown fragment: \"oder\"", None),
        ];
        for (message, expected) in table {
            assert_eq!(names(&api, message).as_deref(), expected, "{message}");
        }
        let long = format!("Unknown field \"{}\" on type \"Query\".", "o".repeat(NAME_BYTES_MAX + 1));
        assert_eq!(names(&api, &long), None);
    }
}
