#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Applies a patch as RFC 6902 has it: what does not fit is an error.
fn apply(document: &mut Value, patch: &Value) -> Result<(), String> {
    for operation in patch.as_array().ok_or("a patch is an array")? {
        let path = |member: &str| pointer(operation[member].as_str().ok_or(format!("no {member}"))?);
        let to = path("path")?;
        match operation["op"].as_str().ok_or("no op")? {
            "add" => add(document, &to, operation.get("value").ok_or("no value")?.clone())?,
            "remove" => drop(remove(document, &to)?),
            "replace" => {
                let value = operation.get("value").ok_or("no value")?.clone();
                *find(document, &to)? = value;
            }
            "move" => {
                let value = remove(document, &path("from")?)?;
                add(document, &to, value)?;
            }
            other => return Err(format!("{other} is none of ours")),
        }
    }
    Ok(())
}

fn pointer(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = text.split('/');
    match tokens.next() {
        Some("") => Ok(tokens.map(|token| token.replace("~1", "/").replace("~0", "~")).collect()),
        _ => Err(format!("{text} is no pointer")),
    }
}

fn find<'v>(value: &'v mut Value, path: &[String]) -> Result<&'v mut Value, String> {
    path.iter().try_fold(value, |value, token| {
        match value {
            Value::Object(members) => members.get_mut(token),
            Value::Array(elements) => token.parse::<usize>().ok().and_then(|index| elements.get_mut(index)),
            _ => None,
        }
        .ok_or(format!("nothing at {path:?}"))
    })
}

fn add(document: &mut Value, path: &[String], value: Value) -> Result<(), String> {
    let Some((last, parents)) = path.split_last() else {
        *document = value;
        return Ok(());
    };
    match find(document, parents)? {
        Value::Object(members) => drop(members.insert(last.clone(), value)),
        Value::Array(elements) => {
            let index = last.parse().map_err(|_| format!("{last} is no index"))?;
            if index > elements.len() {
                return Err(format!("{index} is past the end"));
            }
            elements.insert(index, value);
        }
        _ => return Err(format!("nothing can be put in at {path:?}")),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &[String]) -> Result<Value, String> {
    let (last, parents) = path.split_last().ok_or("the whole cannot be removed")?;
    match find(document, parents)? {
        Value::Object(members) => members.shift_remove(last),
        Value::Array(elements) => {
            let index = last.parse::<usize>().ok().filter(|index| *index < elements.len());
            index.map(|index| elements.remove(index))
        }
        _ => None,
    }
    .ok_or(format!("nothing at {path:?}"))
}

/// The patch, after it has been applied.
fn patch(old: &Value, new: &Value) -> Value {
    let patch = serde_json::to_value(diff("", old, new)).unwrap();
    let mut applied = old.clone();
    apply(&mut applied, &patch).unwrap_or_else(|error| panic!("{error}\n{patch}\n{old}\n{new}"));
    assert_eq!(&applied, new, "{patch}\n{old}");
    patch
}

fn check(old: &Value, new: &Value, expected: &Expect) {
    let patch = patch(old, new);
    let lines: Vec<String> = patch.as_array().unwrap().iter().map(Value::to_string).collect();
    expected.assert_eq(&lines.join("\n"));
}

/// A list of objects with these ids, long enough that none is replaced as a whole.
fn list(ids: impl IntoIterator<Item = usize>) -> Value {
    let text = "a text that is longer than any operation which moves or removes the element that it is a member of";
    ids.into_iter().map(|id| json!({ "id": format!("n{id}"), "text": text, "done": false })).collect()
}

#[test]
fn members_come_go_and_change() {
    let long = "x".repeat(200);
    check(
        &json!({ "same": long, "goes": 1, "changes": { "a": 1, "b": [1, 2] }, "a/b~c": 1, "kind": [] }),
        &json!({ "same": long, "changes": { "a": 1, "b": [1, 3] }, "comes": null, "a/b~c": 2, "kind": {} }),
        &expect![[r#"
            {"op":"remove","path":"/goes"}
            {"op":"replace","path":"/changes/b/1","value":3}
            {"op":"add","path":"/comes","value":null}
            {"op":"replace","path":"/a~1b~0c","value":2}
            {"op":"replace","path":"/kind","value":{}}"#]],
    );
    check(&json!({ "a": 1 }), &json!({ "a": 1 }), &expect![""]);
    check(&json!({ "a": 1, "b": 2 }), &json!({ "b": 2, "a": 1 }), &expect![""]);
    check(&json!([1]), &json!(null), &expect![[r#"{"op":"replace","path":"","value":null}"#]]);
}

#[test]
fn a_list_with_ids_is_patched_by_them() {
    let old = list(0..1000);
    let table = [
        ("at the front", list([1000].into_iter().chain(0..1000))),
        ("in the middle", list((0..500).chain([1000]).chain(500..1000))),
        ("at the end", list(0..1001)),
        ("one gone", list((0..1000).filter(|id| *id != 7))),
        ("first to last", list((1..1000).chain([0]))),
        ("last to first", list([999].into_iter().chain(0..999))),
    ];
    for (change, new) in table {
        assert_eq!(patch(&old, &new).as_array().unwrap().len(), 1, "{change}");
    }
    let mut changed = old.clone();
    changed[41]["done"] = json!(true);
    check(&old, &changed, &expect![[r#"{"op":"replace","path":"/41/done","value":true}"#]]);
    let reversed = patch(&old, &list((0..1000).rev()));
    assert_eq!(reversed.as_array().unwrap().len(), 999);
    assert!(reversed.as_array().unwrap().iter().all(|operation| operation["op"] == "move"));
    let swapped = patch(&old, &list([500].into_iter().chain(1..500).chain([0]).chain(501..1000)));
    assert_eq!(swapped.as_array().unwrap().len(), 2);
}

#[test]
fn an_element_that_moves_may_change_too() {
    let mut new = list([3, 0, 4, 2]);
    new[0]["text"] = json!("short");
    check(
        &list([0, 1, 2, 3]),
        &new,
        &expect![[r#"
            {"op":"remove","path":"/1"}
            {"op":"move","from":"/2","path":"/0"}
            {"op":"add","path":"/2","value":{"id":"n4","text":"a text that is longer than any operation which moves or removes the element that it is a member of","done":false}}
            {"op":"replace","path":"/0/text","value":"short"}"#]],
    );
}

#[test]
fn other_lists_are_patched_between_their_common_ends() {
    let numbers = |numbers: &[u32]| json!(numbers.iter().map(|n| format!("the number {n:>60}")).collect::<Vec<_>>());
    let old = numbers(&[0, 1, 2, 3, 4, 5]);
    check(
        &old,
        &numbers(&[0, 1, 4, 5]),
        &expect![[r#"
        {"op":"remove","path":"/3"}
        {"op":"remove","path":"/2"}"#]],
    );
    assert_eq!(patch(&old, &numbers(&[9, 0, 1, 2, 3, 4, 5])).as_array().unwrap().len(), 1);
    // Ids that are not there, not distinct, or no ids.
    for odd in [json!([{}, { "id": 1 }]), json!([{ "id": 1 }, { "id": 1 }]), json!([{ "id": [] }, { "id": true }])] {
        patch(&odd, &json!([{ "id": 1 }, { "id": 2 }]));
        patch(&json!([{ "id": 1 }, { "id": 2 }]), &odd);
    }
    // A number and a text are two ids.
    patch(&json!([{ "id": 1 }, { "id": "1" }]), &json!([{ "id": "1" }, { "id": 1 }]));
}

#[test]
fn what_changes_throughout_is_replaced_where_it_begins() {
    let numbers = |from: u32| -> Vec<u32> { (from..from + 1000).collect() };
    let (old, new) =
        (json!({ "a": "x".repeat(100), "n": numbers(0) }), json!({ "a": "x".repeat(100), "n": numbers(5000) }));
    let patch = patch(&old, &new);
    assert_eq!(patch.as_array().unwrap().len(), 1);
    assert_eq!(patch[0]["path"], "/n");
}

#[test]
fn values_may_nest_as_deep_as_text_can() {
    let nested = |inner: u32| {
        (0..120)
            .fold(json!(inner), |value, depth| if depth % 2 == 0 { json!([value, 0]) } else { json!({ "a": value }) })
    };
    assert_eq!(patch(&nested(1), &nested(2)).as_array().unwrap().len(), 1);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..4i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c/~\"é]{0,4}".prop_map(Value::from),
        "[a-c]{60}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        let key = "[ab/~01]{0,2}";
        let keyed = prop::collection::hash_map(0..12u32, prop::collection::hash_map(key, inner.clone(), 0..3), 0..8);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::hash_map(key, inner.clone(), 0..5).prop_map(|members| members.into_iter().collect()),
            keyed.prop_map(|elements| {
                let element = |(id, members): (u32, std::collections::HashMap<String, Value>)| -> Value {
                    members.into_iter().chain([("id".to_owned(), json!(id))]).collect()
                };
                elements.into_iter().map(element).collect()
            }),
        ]
    })
}

/// The same value with changes here and there, as these numbers have it.
fn mutated(value: &Value, choices: &mut impl Iterator<Item = usize>) -> Value {
    let mut choose = |of: usize| choices.next().unwrap_or(1) % of;
    match value {
        Value::Array(elements) => {
            let mut elements = elements.clone();
            if !elements.is_empty() {
                let (from, to) = (choose(elements.len()), choose(elements.len()));
                match choose(4) {
                    0 => drop(elements.remove(from)),
                    1 => {
                        let moved = elements.remove(from);
                        elements.insert(to.min(elements.len()), moved);
                    }
                    2 => elements.insert(to, json!({ "id": 100 })),
                    _ => {}
                }
            }
            elements.iter().map(|element| mutated(element, choices)).collect()
        }
        Value::Object(members) => {
            let skipped = choose(2 * members.len() + 1);
            let kept = members.iter().enumerate().filter(|(place, _)| *place != skipped);
            kept.map(|(_, (key, member))| (key.clone(), mutated(member, choices))).collect()
        }
        other => {
            if choose(4) == 0 {
                json!("changed")
            } else {
                other.clone()
            }
        }
    }
}

proptest! {
    #[test]
    fn a_patch_makes_any_value_of_any_other(old in value(), new in value()) {
        patch(&old, &new);
    }

    #[test]
    fn a_patch_makes_what_became_of_a_value(old in value(), choices in prop::collection::vec(any::<usize>(), 0..60)) {
        patch(&old, &mutated(&old, &mut choices.into_iter()));
    }

    #[test]
    fn a_patch_arranges_any_ids(
        old in prop::collection::hash_set(0..40usize, 0..30),
        new in prop::collection::hash_set(0..40usize, 0..30),
    ) {
        let (old, new): (Vec<_>, Vec<_>) = (old.into_iter().collect(), new.into_iter().collect());
        let (goes, comes) = (old.iter().filter(|id| !new.contains(id)).count(), new.iter().filter(|id| !old.contains(id)).count());
        let (steps, _) = order::arrange(&old, &new);
        prop_assert!(steps.len() <= goes + comes + new.len().saturating_sub(comes + 1));
        let mut list = old;
        for step in steps {
            match step {
                Step::Remove { at } => drop(list.remove(at)),
                Step::Add { at, new: place } => list.insert(at, new[place]),
                Step::Move { from, to } => {
                    let moved = list.remove(from);
                    list.insert(to, moved);
                }
            }
        }
        prop_assert_eq!(list, new);
    }
}
