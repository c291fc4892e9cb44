//! A server with tenants, and whoever asks it.

use std::cell::RefCell;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};

use crate::apps::App;
use crate::socket::Socket;
use crate::weir::{Dev, Ended, PATIENCE, Process, eventually, run, weir};

/// The issuer whose tokens name a tenant as `org`.
pub const ISSUER: &str = "https://tokens.example";
/// One whose tokens name none.
pub const OTHER: &str = "https://other.example";

const APP: &str = r#"
    import { action, fail, procedure, query, schedule, type Doc, type ID, type Page } from "weir";
    import { notes, type Note } from "../collections";
    export const texts = query((): string[] => notes.orderBy("text").all().map((note) => note.text));
    export const note = query((args: { id: ID }): Doc<Note> | null => notes.get(args.id));
    export const listed = query((args: { after?: string }): Page<Doc<Note>> => notes.orderBy("text").page({ first: 1, after: args.after }));
    export const add = procedure((args: { text: string }): Doc<Note> => notes.insert({ text: args.text }));
    export const later = procedure((args: { text: string }): ID => schedule({ after: 3600000 }, add, { text: args.text }));
    export const endless = query((): string => { console.log("it begins"); for (;;); });
    export const fails = query((args: { text: string }): string => { console.log(args.text); return fail("NO", args.text); });
    export const reach = action(async (args: { url: string }): Promise<string> => {
      try { return String((await fetch(args.url)).status); } catch (error) { return String(error); }
    });
    // file: collections.ts
    import { collection } from "weir";
    export interface Note { text: string }
    export const notes = collection<Note>({ index: ["text"] });
    // file: app.toml
    name = "app"
    version = "1.0.0"
    limits.cpu_ms = 50000
    limits.wall_ms = 50000
    [fetch]
    hosts = ["127.0.0.1:1", "127.0.0.2:1", "localhost:1"]
    // file: policies.cedar
    permit(principal, action, resource);
"#;

/// A server with a folder, a configuration and keys of its own.
pub struct Town {
    app: App,
    server: RefCell<Option<Dev>>,
    secrets: [Vec<u8>; 2],
    root: Option<String>,
}

/// Somebody who asks it.
#[derive(Clone)]
pub struct Asked {
    address: String,
    host: String,
    headers: Vec<(String, String)>,
}

/// A status and a body.
pub struct Answer(pub u16, pub String);

impl Answer {
    /// The code of the first error.
    pub fn code(&self) -> Value {
        let body: Value = serde_json::from_str(&self.1).unwrap_or_default();
        body["errors"][0]["extensions"]["code"].clone()
    }
}

/// Random bytes as hexadecimal digits.
pub fn random_text(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    SystemRandom::new().fill(&mut random).unwrap();
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Town {
    /// Starts one with these arguments.
    pub fn start(arguments: &[&str]) -> Self {
        let mut town = Self::found("");
        town.serve(arguments);
        if arguments.contains(&"--bootstrap") {
            let server = town.server.borrow();
            let (_, line) =
                server.as_ref().unwrap().stdout.wait_for(0, |line| line.starts_with("token of the administrator"));
            let token = line.rsplit(' ').next().unwrap().to_owned();
            drop(server);
            town.root = Some(token);
        }
        town
    }

    /// One that is not started, with more in its configuration, which begins in `[server]`.
    pub fn found(config: &str) -> Self {
        let app = App::of(APP);
        let mut town = Self { app, server: RefCell::default(), secrets: [Vec::new(), Vec::new()], root: None };
        let mut text = format!(
            "[server]\ndata = \"data\"\nlisten = \"127.0.0.1:0\"\n{config}\n[tenants]\nisolates = 1\nsecrets = \"secrets.d\"\nfetch_addresses = [\"127.0.0.2\"]\n[rate.address]\nlogins_failed = \"off\"\n"
        );
        for (number, (issuer, claim)) in [(ISSUER, "tenant_claim = \"org\"\n"), (OTHER, "")].into_iter().enumerate() {
            let secret = random_text(32);
            let file = town.private(&format!("secret-{number}"), &secret);
            town.secrets[number] = secret.into_bytes();
            text += &format!(
                "[[issuer]]\nissuer = \"{issuer}\"\nalgorithms = [\"HS256\"]\naudience = [\"weir\"]\nsecret = {{ file = \"{file}\" }}\n{claim}"
            );
        }
        town.private("weir.toml", &text);
        let made = run(&["keys", "generate", "--out", &town.path("key.pem")]);
        fs::write(town.path("key.pub"), made.stdout).unwrap();
        town
    }

    /// Starts the server again after it has stopped.
    pub fn serve(&self, arguments: &[&str]) {
        let mut command = weir(&["serve", "--config", &self.path("weir.toml")]);
        command.args(arguments).stdin(Stdio::null());
        *self.server.borrow_mut() = Some(Dev::of(Process::start(command)));
    }

    /// Stops it as a supervisor does.
    pub fn stop(&self) {
        assert_eq!(self.server.take().unwrap().stop(), Some(0));
    }

    /// Ends it as a power cut would.
    pub fn kill(&self) {
        self.server.take().unwrap().process.kill();
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        self.server.borrow().as_ref().unwrap().process.signal(name);
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.server.borrow().as_ref().unwrap().log.text(0)
    }

    /// The processes that it has started.
    #[cfg(target_os = "linux")]
    pub fn children(&self) -> Vec<u32> {
        let parent = format!("PPid:\t{}", self.server.borrow().as_ref().unwrap().process.id());
        let all = fs::read_dir("/proc").unwrap().flatten();
        let all = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        // One that has ended meanwhile has no status.
        let status = |id: &u32| fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let is_child = |id: &u32| status(id).lines().any(|line| line == parent) && !status(id).contains("State:\tZ");
        all.filter(is_child).collect()
    }

    pub fn url(&self) -> String {
        self.server.borrow().as_ref().unwrap().url.clone()
    }

    /// The token of the server's first administrator.
    pub fn root(&self) -> String {
        self.root.clone().unwrap()
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.app.data()
    }

    pub fn path(&self, name: &str) -> String {
        self.app.beside(name).to_str().unwrap().to_owned()
    }

    /// A file that only its owner can read; its path.
    pub fn private(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// A command on what it serves.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        run(&[arguments, &["--config", &self.path("weir.toml")]].concat())
    }

    /// A command on its data folder, by name.
    pub fn run_on_data(&self, arguments: &[&str]) -> Ended {
        run(&[arguments, &["--data", self.data().to_str().unwrap()]].concat())
    }

    /// `weir tenant` on its data folder.
    pub fn tenant(&self, arguments: &[&str]) -> Ended {
        self.run(&[&["tenant"], arguments].concat())
    }

    /// Makes a tenant: the token of its administrator.
    #[track_caller]
    pub fn create(&self, name: &str, arguments: &[&str]) -> String {
        let made = self.tenant(&[&["create", name], arguments].concat());
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        made.stdout.trim().to_owned()
    }

    /// Deploys the app to a tenant.
    #[track_caller]
    pub fn deploy(&self, name: &str) {
        let trusted = self.run(&["keys", "trust", &self.path("key.pub"), "--tenant", name]);
        assert_eq!(trusted.code, Some(0), "{}", trusted.stderr);
        let app = self.app.path();
        let deployed = self.run(&["deploy", app.to_str().unwrap(), "--key", &self.path("key.pem"), "--tenant", name]);
        assert_eq!(deployed.code, Some(0), "{}", deployed.stderr);
        // Calls are answered once its schema is built.
        let asked = self.at(&format!("{name}.example"));
        eventually("the release", || (asked.code("{ __typename }").0 == 200).then_some(()));
    }

    /// Deploys a version of the app with these arguments, trusting the key there first.
    #[track_caller]
    pub fn deploy_to(&self, version: &str, place: &[&str]) -> String {
        let app = self.app.path();
        let manifest = fs::read_to_string(app.join("app.toml")).unwrap();
        let lines = manifest.lines().map(|line| match line.starts_with("version = ") {
            true => format!("version = \"{version}\"\n"),
            false => format!("{line}\n"),
        });
        fs::write(app.join("app.toml"), lines.collect::<String>()).unwrap();
        let trusted = self.run(&[&["keys", "trust", &self.path("key.pub")], place].concat());
        assert_eq!(trusted.code, Some(0), "{}", trusted.stderr);
        let what = ["deploy", app.to_str().unwrap(), "--key", &self.path("key.pem")];
        let deployed = self.run(&[&what, place].concat());
        assert_eq!(deployed.code, Some(0), "{}", deployed.stderr);
        deployed.stdout
    }

    /// Adds a note to a tenant.
    pub fn add(&self, name: &str, text: &str) -> Value {
        let query = "mutation($text: String!) { add(text: $text) { id text } }";
        self.at(&format!("{name}.example")).data(query, json!({ "text": text }))["add"].clone()
    }

    /// A token with these claims of the issuer whose tokens name a tenant.
    pub fn token(&self, claims: Value) -> String {
        self.token_of(0, ISSUER, claims)
    }

    /// One of the other issuer.
    pub fn other_token(&self, claims: Value) -> String {
        self.token_of(1, OTHER, claims)
    }

    fn token_of(&self, number: usize, issuer: &str, claims: Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut all = json!({ "iss": issuer, "sub": "ada", "aud": "weir", "iat": now, "exp": 4_000_000_000_u64 });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), part(&all));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secrets[number]);
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes())))
    }

    fn address(&self) -> String {
        self.url().trim_start_matches("http://").to_owned()
    }

    /// Somebody who asks for a host.
    pub fn at(&self, host: &str) -> Asked {
        Asked { address: self.address(), host: host.to_owned(), headers: Vec::new() }
    }

    /// Somebody who asks for the server by its address.
    pub fn server(&self) -> Asked {
        self.at(&self.address())
    }

    /// A socket, with a host, a token in the upgrade, and one in the first message. An error says how it ends.
    pub fn socket(&self, host: Option<&str>, header: Option<&str>, token: Option<&str>) -> Result<Socket, String> {
        self.socket_with(host, header, &token.map_or(json!({}), |token| json!({ "token": token })))
    }

    /// The same with what the first message carries.
    pub fn socket_with(&self, host: Option<&str>, header: Option<&str>, payload: &Value) -> Result<Socket, String> {
        let stream = TcpStream::connect(self.address()).unwrap();
        let host = host.map_or_else(|| self.address(), str::to_owned);
        Socket::at(stream, &host, header, &json!({ "type": "connection_init", "payload": payload }))
            .map(|opened| opened.0)
    }
}

impl Asked {
    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let mut asked = self.clone();
        asked.headers.push((name.to_owned(), value.to_owned()));
        asked
    }

    pub fn showing(&self, token: &str) -> Self {
        self.with_header("authorization", &format!("Bearer {token}"))
    }

    /// The same without the token that is shown.
    pub fn without_token(&self) -> Self {
        let headers = self.headers.iter().filter(|(name, _)| name != "authorization").cloned().collect();
        Self { headers, ..self.clone() }
    }

    fn send(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let host = &self.host;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n{headers}\r\n"
        );
        // It may hang up before it has read all.
        let _ = stream.write_all((head + body).as_bytes());
        stream
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut answer = Vec::new();
        let _ = self.send(method, path, body).read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer(status, body.to_owned())
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        let Answer(status, body) = self.exchange("GET", path, "");
        (status, body)
    }

    /// A request as it is.
    pub fn post(&self, body: &Value) -> Answer {
        self.exchange("POST", "/graphql", &body.to_string())
    }

    pub fn answer(&self, query: &str) -> Answer {
        self.post(&json!({ "query": query }))
    }

    /// The version that answers.
    #[track_caller]
    pub fn version(&self) -> String {
        let mut answer = Vec::new();
        let body = json!({ "query": "{ __typename }" }).to_string();
        let _ = self.send("POST", "/graphql", &body).read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        let line = answer.lines().find_map(|line| line.strip_prefix("x-weir-release: "));
        line.unwrap_or_else(|| panic!("no version: {answer}")).to_owned()
    }

    /// The status, and the code of the first error.
    pub fn code(&self, query: &str) -> (u16, Value) {
        let answer = self.answer(query);
        (answer.0, answer.code())
    }

    #[track_caller]
    pub fn data(&self, query: &str, variables: Value) -> Value {
        let Answer(_, body) = self.post(&json!({ "query": query, "variables": variables }));
        let mut answer: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        answer["data"].take()
    }

    /// Asks the control plane.
    pub fn admin(&self, query: &str) -> Value {
        let Answer(_, body) = self.exchange("POST", "/admin/graphql", &json!({ "query": query }).to_string());
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    /// The data of the first event of a subscription.
    pub fn first_event(&self, query: &str) -> String {
        let body = json!({ "query": query }).to_string();
        let stream = self.with_header("accept", "text/event-stream").send("POST", "/graphql", &body);
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        lines.find(|line| line.starts_with("data: {")).unwrap()
    }
}
