//! Reads the scripts: each exported function of `tests/hostile/app/functions` says in its doc comment what must come of it.
//!
//! | tag | says |
//! |---|---|
//! | `@expects value JSON` | the call answers with this value |
//! | `@expects CODE words` | it fails with this code; the words are part of the message |
//! | `@expects LIMIT_EXCEEDED limit` | it fails at this limit; without a name at any |
//! | `@args JSON` | what it is called with |
//! | `@long member bytes` | a text of so many bytes as one more argument |
//! | `@expects STATUS words` | it is an endpoint that answers so; the words are part of its body |
//! | `@each words` | an endpoint whose path ends in `:what` is asked once with each of the words there |
//! | `@thread reason` | why isolates that are threads cannot contain it |
//!
//! Of a stream, a value is the list of its events, of which three are taken.
//!
//! Several `@expects` are alternatives: which of two limits is reached first may be V8's to say.

use std::fs;

use serde_json::{Value, json};

use crate::apps::root;

/// The app with the scripts.
pub const APP: &str = "tests/hostile/app";
/// What the neighbours call; no scripts.
const NEIGHBOUR: &str = "neighbour.ts";

/// One script.
#[derive(Debug, Clone)]
pub struct Script {
    /// The function's name, or the path of the endpoint.
    pub name: String,
    /// The file without its ending: the category.
    pub category: String,
    /// What it is called with.
    pub arguments: Value,
    /// What may come of it.
    pub expected: Vec<Expected>,
    /// Why threads cannot contain it.
    pub thread: Option<String>,
    /// The root of GraphQL that it belongs to, or the method of the endpoint.
    pub root: String,
    /// What makes it.
    pub maker: String,
}

/// What may come of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// This value.
    Value(Value),
    /// This limit, or any.
    Limit(Option<String>),
    /// This code, and these words in the message.
    Error(String, String),
    /// This status, and these words in the body.
    Answer(u16, String),
}

/// All scripts, in the order of their files.
pub fn scripts() -> Vec<Script> {
    let folder = root().join(APP).join("functions");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut all = Vec::new();
    for file in files.iter().filter(|file| !file.ends_with(NEIGHBOUR)) {
        let category = file.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(file).unwrap();
        all.extend(text.split("\nexport const ").skip(1).zip(text.split("\nexport const ")).flat_map(
            |(code, before)| {
                let comment = before.rsplit_once("/**").map(|(_, comment)| comment).unwrap_or_default();
                let comment = comment.strip_suffix("*/").unwrap_or_else(|| panic!("no comment before {code:.40}"));
                script(category, code, comment)
            },
        ));
    }
    all
}

fn script(category: &str, code: &str, comment: &str) -> Vec<Script> {
    let (name, rest) = code.split_once(" = ").unwrap();
    let maker: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    let mut each = Vec::new();
    let mut script = Script {
        name: name.to_owned(),
        category: category.to_owned(),
        arguments: json!({}),
        expected: Vec::new(),
        thread: None,
        root: match maker.as_str() {
            "query" | "view" => "query",
            "stream" => "subscription",
            _ => "mutation",
        }
        .to_owned(),
        maker,
    };
    if let Some(endpoint) = rest.strip_prefix("http.") {
        let (method, rest) = endpoint.split_once("(\"").unwrap();
        (script.root, script.name) = (method.to_owned(), rest.split_once('"').unwrap().0.to_owned());
    }
    // Tags run over several lines where they must.
    let lines = comment.lines().map(|line| line.trim().trim_start_matches("*").trim());
    let comment: String = lines.map(|line| format!(" {line}")).collect();
    for tag in comment.split(" @").skip(1) {
        let (tag, text) = tag.trim().split_once(' ').unwrap_or_else(|| panic!("{name}: @{tag} says nothing"));
        match tag {
            "expects" => script.expected.push(expected(name, text.trim())),
            "args" => script.arguments = json(name, text),
            "long" => {
                let (member, bytes) = text.trim().split_once(' ').unwrap();
                script.arguments[member] = json!("x".repeat(bytes.parse().unwrap()));
            }
            "thread" => script.thread = Some(text.trim().to_owned()),
            "each" => each.extend(text.split_whitespace()),
            _ => panic!("{name}: there is no tag @{tag}"),
        }
    }
    assert!(!script.expected.is_empty(), "{name} does not say what it expects");
    match script.name.strip_suffix(":what") {
        Some(path) => each.iter().map(|what| Script { name: format!("{path}{what}"), ..script.clone() }).collect(),
        None => vec![script],
    }
}

fn expected(name: &str, text: &str) -> Expected {
    let (what, rest) = text.split_once(' ').unwrap_or((text, ""));
    match what {
        "value" => Expected::Value(json(name, rest)),
        "LIMIT_EXCEEDED" => Expected::Limit(Some(rest.to_owned()).filter(|limit| !limit.is_empty())),
        what => match what.parse() {
            Ok(status) => Expected::Answer(status, rest.to_owned()),
            Err(_) => Expected::Error(what.to_owned(), rest.to_owned()),
        },
    }
}

fn json(name: &str, text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error} in {text}"))
}

impl Script {
    /// What is wrong with the answer of the server; `None`: it is as expected.
    pub fn judge(&self, answer: &Value) -> Option<String> {
        if self.expected.iter().any(|expected| expected.is(answer)) {
            return None;
        }
        let found = answer["errors"].get(0).unwrap_or(answer).to_string();
        let found: String = found.chars().take(400).collect();
        Some(format!("expected {:?}, got {found}", self.expected))
    }
}

impl Expected {
    fn is(&self, answer: &Value) -> bool {
        let error = &answer["errors"][0];
        let extensions = &error["extensions"];
        match self {
            Self::Value(value) => error.is_null() && answer["data"]["invoke"] == *value,
            Self::Limit(limit) => {
                let reached = limit.as_ref().is_none_or(|limit| extensions["limit"] == **limit);
                extensions["code"] == "LIMIT_EXCEEDED" && extensions["limit"].is_string() && reached
            }
            Self::Error(code, words) => {
                let has_words = error["message"].as_str().is_some_and(|message| message.contains(words));
                extensions["code"] == *code && has_words
            }
            Self::Answer(status, words) => {
                answer["status"] == *status && answer["body"].as_str().is_some_and(|body| body.contains(words))
            }
        }
    }
}
