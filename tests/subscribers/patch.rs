//! Applies JSON Patches, RFC 6902, as a client does that has no library for it: the operations that Weir sends.

use serde_json::Value;

/// Applies all operations in order. An error says which one does not fit what is there.
pub fn apply(document: &mut Value, patch: &Value) -> Result<(), String> {
    let operations = patch.as_array().ok_or_else(|| format!("no list: {patch}"))?;
    for operation in operations {
        apply_one(document, operation).ok_or_else(|| format!("{operation} does not fit {document}"))?;
    }
    Ok(())
}

fn apply_one(document: &mut Value, operation: &Value) -> Option<()> {
    let path = operation.get("path")?.as_str()?;
    match operation.get("op")?.as_str()? {
        "add" => add(document, path, operation.get("value")?.clone()),
        "remove" => remove(document, path).map(drop),
        "replace" => {
            *document.pointer_mut(path)? = operation.get("value")?.clone();
            Some(())
        }
        "move" => {
            let moved = remove(document, operation.get("from")?.as_str()?)?;
            add(document, path, moved)
        }
        _ => None,
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Option<()> {
    let Some((parent, name)) = path.rsplit_once('/') else {
        *document = value;
        return path.is_empty().then_some(());
    };
    match document.pointer_mut(parent)? {
        Value::Object(members) => drop(members.insert(unescaped(name), value)),
        Value::Array(elements) => {
            let place = if name == "-" { elements.len() } else { place(name)? };
            (place <= elements.len()).then(|| elements.insert(place, value))?;
        }
        _ => return None,
    }
    Some(())
}

fn remove(document: &mut Value, path: &str) -> Option<Value> {
    let (parent, name) = path.rsplit_once('/')?;
    match document.pointer_mut(parent)? {
        Value::Object(members) => members.shift_remove(&unescaped(name)),
        Value::Array(elements) => {
            let place = place(name)?;
            (place < elements.len()).then(|| elements.remove(place))
        }
        _ => None,
    }
}

/// RFC 6901: no sign and no leading zeros.
fn place(name: &str) -> Option<usize> {
    let is_plain = name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()));
    is_plain.then(|| name.parse().ok())?
}

fn unescaped(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

/// Examples of the RFC's appendix A, and one of what the operations have in common.
#[test]
fn patches_are_applied_as_the_standard_says() {
    let cases = [
        (
            r#"{"foo":["bar","baz"]}"#,
            r#"[{"op":"add","path":"/foo/1","value":"qux"}]"#,
            r#"{"foo":["bar","qux","baz"]}"#,
        ),
        (r#"{"foo":["bar"]}"#, r#"[{"op":"add","path":"/foo/-","value":["abc"]}]"#, r#"{"foo":["bar",["abc"]]}"#),
        (r#"{"foo":["bar","qux","baz"]}"#, r#"[{"op":"remove","path":"/foo/1"}]"#, r#"{"foo":["bar","baz"]}"#),
        (r#"{"baz":"qux","foo":1}"#, r#"[{"op":"replace","path":"/baz","value":"boo"}]"#, r#"{"baz":"boo","foo":1}"#),
        (r#"{"foo":[1,2,3,4]}"#, r#"[{"op":"move","from":"/foo/1","path":"/foo/3"}]"#, r#"{"foo":[1,3,4,2]}"#),
        (
            r#"{"a/b":1}"#,
            r#"[{"op":"replace","path":"/a~1b","value":2},{"op":"add","path":"/c","value":3}]"#,
            r#"{"a/b":2,"c":3}"#,
        ),
        (r#"{"a":1}"#, r#"[{"op":"replace","path":"","value":[]}]"#, "[]"),
    ];
    for (before, patch, after) in cases {
        let mut document: Value = serde_json::from_str(before).unwrap();
        apply(&mut document, &serde_json::from_str(patch).unwrap()).unwrap();
        assert_eq!(document, serde_json::from_str::<Value>(after).unwrap(), "{patch}");
    }
    for patch in [
        r#"[{"op":"add","path":"/foo/3","value":1}]"#,
        r#"[{"op":"remove","path":"/foo/01"}]"#,
        r#"[{"op":"replace","path":"/bar","value":1}]"#,
    ] {
        let mut document = serde_json::json!({ "foo": [1, 2] });
        assert!(apply(&mut document, &serde_json::from_str(patch).unwrap()).is_err(), "{patch}");
    }
}
