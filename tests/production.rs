//! An app that `weir serve` runs, with an issuer of the test's own: signed, deployed, and asked by whom tokens name.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::apps::App;
use crate::issuer::Key;
use crate::serve::serve;
use crate::weir::{Dev, Ended, PATIENCE, run};

/// Who signs the tokens, where a file has its key.
pub const ISSUER: &str = "https://issuer.example";

/// An app that is served.
pub struct Production {
    /// The app.
    pub app: App,
    /// The server.
    pub server: Dev,
    /// The token of the first administrator.
    pub root: String,
    /// What the issuer signs with.
    key: Key,
}

impl Production {
    /// Deploys an app, whose callers show tokens that are signed with a key that is in a file.
    pub fn start(app: App) -> Self {
        Self::start_with(app, ISSUER, "keys = [{ file = \"issuer.json\" }]")
    }

    /// The same with an issuer whose keys are elsewhere, as the rest of its section says.
    pub fn start_with(app: App, issuer: &str, section: &str) -> Self {
        let key = Key::make("k1");
        fs::write(app.beside("issuer.json"), key.jwk().to_string()).unwrap();
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\ndata = \"data\"\nisolation = \"thread\"\n\
             [[issuer]]\nissuer = \"{issuer}\"\nalgorithms = [\"ES256\"]\naudience = [\"shop\"]\n{section}\n"
        );
        fs::write(app.beside("weir.toml"), config).unwrap();
        let server = serve(&["--config", app.beside("weir.toml").to_str().unwrap(), "--bootstrap"]);
        let (_, line) = server.stdout.wait_for(0, |line| line.starts_with("token of the administrator root"));
        let root = line.rsplit(' ').next().unwrap().to_owned();
        let production = Self { app, server, root, key };
        let public = run(&["keys", "generate", "--out", &production.path("key.pem")]);
        fs::write(production.path("key.pub"), public.stdout).unwrap();
        let trusted = production.on_data(&["keys", "trust", &production.path("key.pub")]);
        assert_eq!(trusted.code, Some(0), "{}", trusted.stderr);
        production.deploy();
        production
    }

    fn path(&self, name: &str) -> String {
        self.app.beside(name).to_str().unwrap().to_owned()
    }

    /// A command on the data folder.
    pub fn on_data(&self, arguments: &[&str]) -> Ended {
        run(&[arguments, &["--data", self.app.data().to_str().unwrap()]].concat())
    }

    /// Has the app served as it is now: so it is when this returns.
    pub fn deploy(&self) {
        let folder = self.app.path();
        let ended = self.on_data(&["deploy", folder.to_str().unwrap(), "--key", &self.path("key.pem")]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }

    /// A token for a subject, with these claims besides.
    pub fn token(&self, subject: &str, mut claims: Value) -> String {
        claims["sub"] = json!(subject);
        self.key.token(ISSUER, &claims)
    }

    /// Asks for an answer in pieces, such as `text/event-stream` or `application/jsonl`.
    pub fn pieces(&self, token: Option<&str>, accept: &str, query: &str) -> Pieces {
        let mut stream = TcpStream::connect(self.server.url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = json!({ "query": query }).to_string();
        let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        write!(
            stream,
            "POST /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept: {accept}\r\n\
             content-type: application/json\r\n{authorization}content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        Pieces(BufReader::new(stream).lines())
    }
}

/// What comes of an answer in pieces, to its end.
pub struct Pieces(Lines<BufReader<TcpStream>>);

impl Iterator for Pieces {
    type Item = Value;

    /// The next that is JSON: an event's data, or a line.
    fn next(&mut self) -> Option<Value> {
        self.0.by_ref().map_while(Result::ok).find_map(|line| {
            let text = line.strip_prefix("data: ").unwrap_or(&line);
            serde_json::from_str(text).ok().filter(Value::is_object)
        })
    }
}

/// The code of the first error of an answer, or of a call in it; `ok` where there is none.
pub fn outcome(answer: &Value) -> String {
    let code = |code: &Value| code.as_str().unwrap_or_else(|| panic!("an error without a code: {answer}")).to_owned();
    if let Some(error) = answer.pointer("/errors/0") {
        return code(&error["extensions"]["code"]);
    }
    answer.pointer("/data/batch/0/error/code").map_or_else(|| "ok".to_owned(), code)
}
