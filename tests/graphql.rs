//! A GraphQL client over HTTP, as small as can be.

use serde_json::{Value, json};

use crate::weir::PATIENCE;

/// Asks one server.
#[derive(Clone)]
pub struct Client {
    url: String,
    token: Option<String>,
}

impl Client {
    /// For a server at `http://HOST:PORT`.
    pub fn of(url: &str) -> Self {
        Self { url: url.to_owned(), token: None }
    }

    /// The same client with a token.
    pub fn showing(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The `data` of an answer without errors.
    #[track_caller]
    pub fn data(&self, query: &str) -> Value {
        self.data_with(query, json!({}))
    }

    /// The same, with variables.
    #[track_caller]
    pub fn data_with(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.answer(query, variables);
        assert!(answer.get("errors").is_none(), "{query}: {answer:#}");
        answer["data"].take()
    }

    /// The whole answer.
    #[track_caller]
    pub fn answer(&self, query: &str, variables: Value) -> Value {
        let (_, body) = self.post(&json!({ "query": query, "variables": variables }).to_string());
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    /// The errors of an answer, without the places in the document and without stacks.
    #[track_caller]
    pub fn errors(&self, query: &str) -> Value {
        let mut errors = self.answer(query, json!({}))["errors"].take();
        assert!(errors.is_array(), "{query}: no errors");
        strip(&mut errors);
        errors
    }

    /// Whether the schema has the root field of queries.
    pub fn has_query(&self, name: &str) -> bool {
        let fields = self.data("{ __schema { queryType { fields { name } } } }");
        let fields = fields["__schema"]["queryType"]["fields"].as_array().unwrap().clone();
        fields.iter().any(|field| field["name"] == name)
    }

    /// Posts a body to `/graphql`: the status and the body of the answer.
    #[track_caller]
    pub fn post(&self, body: &str) -> (u16, String) {
        let mut request = minreq::post(format!("{}/graphql", self.url)).with_header("content-type", "application/json");
        if let Some(token) = &self.token {
            request = request.with_header("authorization", format!("Bearer {token}"));
        }
        send(request.with_body(body))
    }

    /// Gets a path: the status and the body of the answer.
    #[track_caller]
    pub fn get(&self, path: &str) -> (u16, String) {
        send(minreq::get(format!("{}{path}", self.url)))
    }
}

/// Takes the places in the document and what only the developer sees out of errors.
pub fn strip(errors: &mut Value) {
    for error in errors.as_array_mut().unwrap() {
        error.as_object_mut().unwrap().shift_remove("locations");
        for detail in ["stack", "hostCall"] {
            error["extensions"].as_object_mut().unwrap().shift_remove(detail);
        }
    }
}

#[track_caller]
fn send(request: minreq::Request) -> (u16, String) {
    let response = request.with_timeout(PATIENCE.as_secs()).send().unwrap();
    (response.status_code, response.as_str().unwrap().to_owned())
}

/// JSON to compare with `expect!`: each member of an object and each element of a list on its own line, ids as `ID`.
pub fn lines(value: &Value) -> String {
    let text = match value {
        Value::Object(members) => {
            members.iter().map(|(name, member)| format!("{name}:{}\n", member_lines(member))).collect()
        }
        Value::Array(elements) => elements.iter().map(|element| format!("{element}\n")).collect(),
        other => format!("{other}\n"),
    };
    without_ids(&text)
}

fn member_lines(member: &Value) -> String {
    match member.as_array() {
        Some(elements) => elements.iter().map(|element| format!("\n  {element}")).collect(),
        None => format!(" {member}"),
    }
}

/// The length of the ids that Weir draws.
const ID_LENGTH: usize = 26;

/// The text with every id that Weir drew as `ID`.
fn without_ids(text: &str) -> String {
    let mut shown = String::new();
    let mut word = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_ascii_alphanumeric() {
            word.push(c);
            continue;
        }
        let is_id = word.len() == ID_LENGTH && word.starts_with('0');
        shown.push_str(if is_id { "ID" } else { &word });
        shown.push(c);
        word.clear();
    }
    shown.truncate(shown.len() - 1);
    shown
}
