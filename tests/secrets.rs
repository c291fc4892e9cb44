//! Nothing that is written anywhere holds a secret: a canary stands in every place where one can be given, and everything that the
//! binary writes is searched for it. Its log is at its most talkative meanwhile.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use crate::apps::App;
use crate::edge::{certificate, exchange};
use crate::socket::Socket;
use crate::weir::{Ended, PATIENCE, Process, binary, finish, weir};

const APP: &str = r#"
import { action, collection, fail, http, metric, procedure, query, secret, type Doc, type HttpResponse, type Int } from "weir";
export interface Note { text: string }
export const notes = collection<Note>({});
export const all = query((): Doc<Note>[] => notes.all());
export const add = procedure((args: { text: string }): Int => { notes.insert(args); return notes.count(); });
export const use = action(async (): Promise<Int> => secret("FILE_KEY").length + secret("ENVIRONMENT_KEY").length);
export const leak = action(async (args: { how: string }): Promise<Int> => {
  for (const key of [secret("FILE_KEY"), secret("ENVIRONMENT_KEY")]) {
    console.log("the key is " + key, { key });
    console.error(key);
    if (args.how === "throw") throw new Error("no charge with " + key);
    if (args.how === "fail") fail("LEAK", "it is " + key);
    if (args.how === "code") fail(key, "no message");
    if (args.how === "metric") metric(key, 1);
    if (args.how === "name") await ({ [key]: () => { throw new Error("in a function of that name"); } })[key]();
  }
  return 1;
});
export const hook = http.get("/hook", action(async (): Promise<HttpResponse> => { throw new Error(secret("FILE_KEY") + secret("ENVIRONMENT_KEY")); }));
export const header = http.get("/header", action(async (): Promise<HttpResponse> => ({ headers: { [secret("FILE_KEY") + " "]: "x" } })));
// file: app.toml
name = "canary"
version = "1.0.0"
secrets = ["FILE_KEY", "ENVIRONMENT_KEY"]
"#;

/// Random hex digits, as many as there are in two of the system's random numbers.
fn random(digits: usize) -> String {
    let mut bytes = vec![0; digits.div_ceil(2)];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()[..digits].to_owned()
}

/// What is looked for, by what it is.
#[derive(Default)]
struct Canaries(BTreeMap<String, Vec<Vec<u8>>>);

impl Canaries {
    /// A secret text, also as base64, in upper case and as the bytes that its digits say.
    fn add(&mut self, name: &str, secret: &str) {
        let mut forms = vec![secret.as_bytes().to_vec(), secret.to_uppercase().into_bytes()];
        for shift in 0..3 {
            // Whatever stands before it: without the ends, which depend on their neighbours.
            let shifted = [vec![b'x'; shift], secret.as_bytes().to_vec()].concat();
            let coded = base64(&shifted);
            forms.push(coded[8..coded.len() - 8].to_vec());
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let digits: Option<Vec<u32>> = secret.bytes().map(digit).collect();
        if let Some(digits) = digits.filter(|digits| digits.len() >= 16) {
            forms.push(digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect());
        }
        self.0.entry(name.to_owned()).or_default().extend(forms);
    }

    /// A private key: each line of its text.
    fn add_pem(&mut self, name: &str, file: &Path) {
        let text = fs::read_to_string(file).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("-----") && line.len() > 30).collect();
        assert!(!lines.is_empty());
        // The first tells what kind of key it is, which all have in common.
        for line in lines.iter().skip(usize::from(lines.len() > 1)) {
            self.0.entry(name.to_owned()).or_default().push(line.as_bytes().to_vec());
        }
    }

    fn look(&self, place: &str, bytes: &[u8]) {
        for (name, forms) in &self.0 {
            for form in forms {
                let found = bytes.windows(form.len()).position(|window| window == form);
                if let Some(found) = found {
                    let around = &bytes[found.saturating_sub(200)..(found + form.len()).min(bytes.len())];
                    panic!("{name} is in {place}, after {:?}", String::from_utf8_lossy(around));
                }
            }
        }
    }

    fn look_below(&self, folder: &Path) -> usize {
        let mut files = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // What is written just now may be gone.
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if metadata.is_dir() {
                files += self.look_below(&path);
            } else if metadata.is_file()
                && let Ok(bytes) = fs::read(&path)
            {
                self.look(&path.display().to_string(), &bytes);
                files += 1;
            }
        }
        files
    }
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for three in bytes.chunks_exact(3) {
        let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        text.extend([18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift & 63) as usize]));
    }
    text
}

/// Saves a file that only its owner can read.
fn save(app: &App, name: &str, text: &str) -> PathBuf {
    let file = app.beside(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    file
}

/// Looks through all that a command has written that ended by itself.
fn look_at(canaries: &Canaries, what: &str, ended: &Ended) {
    canaries.look(&format!("stdout of {what}"), ended.stdout.as_bytes());
    canaries.look(&format!("stderr of {what}"), ended.stderr.as_bytes());
}

#[test]
fn a_canary_is_found_in_what_holds_it() {
    let secret = format!("canary-{}", random(40));
    let mut canaries = Canaries::default();
    canaries.add("the key", &random(64));
    canaries.add("the secret", &secret);
    canaries.look("a text", b"nothing of it");
    for coded in
        [secret.clone(), secret.to_uppercase(), String::from_utf8(base64(format!("ab{secret}cde").as_bytes())).unwrap()]
    {
        let found = std::panic::catch_unwind(|| canaries.look("a text", format!("before {coded} after").as_bytes()));
        assert!(found.is_err(), "{coded}");
    }
}

#[test]
fn no_secret_is_ever_written() {
    let app = App::of(APP);
    let mut canaries = Canaries::default();
    let (in_file, in_environment) = (format!("canary-{}", random(48)), format!("canary-{}", random(48)));
    let keys: Vec<String> = (0..3).map(|_| random(64)).collect();
    canaries.add("the secret in the file", &in_file);
    canaries.add("the secret in the environment", &in_environment);
    keys.iter().for_each(|key| canaries.add("an encryption key", key));
    let secrets = save(&app, "secrets", &format!("FILE_KEY={in_file}\n"));
    let key_file = save(&app, "keys", &format!("1 {}\n", keys[0]));
    let (tls_certificate, tls_key, trusted) = certificate(&app, "server");
    canaries.add_pem("the TLS key", &tls_key);

    let command = |arguments: &[&str]| {
        // As an operator may have it: core files of any size.
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "ulimit -c unlimited 2>/dev/null; exec \"$0\" \"$@\""]).arg(binary()).args(arguments);
        shell.env("WEIR_LOG", "trace").env("WEIR_SECRET_ENVIRONMENT_KEY", &in_environment);
        shell.env_remove("WEIR_ENCRYPTION_KEYS").current_dir(app.beside("")).stdin(std::process::Stdio::null());
        shell
    };
    let (path, data) = (app.path(), app.data());
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let mut arguments =
        vec!["dev".to_owned(), text(&path), "--listen".into(), "127.0.0.1:0".into(), "--data".into(), text(&data)];
    arguments.extend(["--secrets".into(), text(&secrets), "--encryption-keys".into(), text(&key_file)]);
    arguments.extend(["--tls-cert".into(), text(&tls_certificate), "--tls-key".into(), text(&tls_key)]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (mut process, stdout, log) = Process::start(command(&arguments));
    let (_, line) = stdout.wait_for(0, |line| line.starts_with("listening on "));
    let address = line.trim_start_matches("listening on https://").to_owned();

    // A token as whoever develops has one, as a whole and by its signature.
    let minted = finish(command(&["token", "--subject", "ada", "--data", data.to_str().unwrap()]), PATIENCE);
    assert_eq!(minted.code, Some(0), "{}", minted.stderr);
    let token = minted.stdout.trim().to_owned();
    canaries.add("a token", &token);
    canaries.add("the signature of a token", token.rsplit('.').next().unwrap());
    let authorization = format!("Authorization: Bearer {token}\r\n");

    let ask = |request: &str| {
        let answer = exchange(&address, trusted.clone(), request);
        canaries.look(&format!("the answer to {request}"), answer.as_bytes());
        answer
    };
    let post = |body: &str, headers: &str| {
        ask(&format!(
            "POST /graphql HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nConnection: close\r\n{headers}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    let get = |path: &str| ask(&format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"));
    let query = |query: &str| post(&serde_json::json!({ "query": query }).to_string(), "");

    assert!(query("mutation { use }").contains(&format!("\"use\":{}", in_file.len() + in_environment.len())));
    assert!(query("mutation { add(text: \"a\") }").contains("\"add\":1"));
    for how in ["throw", "fail", "code", "metric", "name", "log"] {
        query(&format!("mutation {{ leak(how: \"{how}\") }}"));
    }
    for path in [
        "/hook",
        "/header",
        "/metrics",
        "/healthz",
        "/readyz",
        "/schema.graphql",
        "/graphiql",
        "/none",
        "/graphql?query=%7B",
    ] {
        get(path);
    }
    assert!(post("{\"query\":\"{ all { id } }\"}", &authorization).contains("\"all\":["));
    for wrong in [
        &authorization[..authorization.len() - 20],
        &authorization.replace("Bearer", "Basic"),
        &authorization.repeat(2),
    ] {
        let answer = post("{\"query\":\"{ all { id } }\"}", &format!("{}\r\n", wrong.trim_end()));
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    post("{", "");
    post("{\"query\":\"{ all { id\"}", "Authorization: Bearer none\r\n");
    post("{\"query\":\"{ all { nothing } }\"}", "Idempotency-Key: a\r\nIdempotency-Key: b\r\n");
    ask("POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n");
    ask("NONE\r\n\r\n");
    // What is no TLS at all.
    let mut plain = TcpStream::connect(&address).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    canaries.look("the answer to what is no TLS", &answer);

    // Keys are exchanged, and then files are there that are none.
    save(&app, "keys", &format!("1 {}\n2 {}\n", keys[0], keys[1]));
    let told = log.count();
    process.signal("HUP");
    log.wait_for(told, |line| line.contains("key 2"));
    save(&app, "keys", &format!("1 {}\n2 {} and more\n3 {}x\n", keys[0], keys[1], keys[2]));
    let told = log.count();
    process.signal("HUP");
    log.wait_for(told, |line| line.contains("is no key"));
    save(&app, "keys", &format!("1 {}\n2 {}\n", keys[0], keys[1]));
    fs::write(&tls_certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();

    // Commands on the folder that is served.
    let on_data = |arguments: &[&str]| {
        let all = [arguments, &["--data", data.to_str().unwrap()]].concat();
        let ended = finish(command(&all), PATIENCE);
        look_at(&canaries, &format!("{all:?}"), &ended);
        ended
    };
    let (backup, export) = (app.beside("backup"), app.beside("export"));
    let with_keys = ["--encryption-keys", key_file.to_str().unwrap()];
    assert_eq!(on_data(&["backup", backup.to_str().unwrap()]).code, Some(0));
    assert_eq!(on_data(&["export", export.to_str().unwrap()]).code, Some(0));
    assert_eq!(on_data(&[&["encryption", "status"][..], &with_keys].concat()).code, Some(0));
    on_data(&["jobs", "list"]);

    // No core file could be written of it.
    #[cfg(target_os = "linux")]
    {
        let limits = fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    }
    process.terminate();
    assert_eq!(process.wait(PATIENCE).expect("it stops on SIGTERM").code(), Some(0));
    canaries.look("stdout", stdout.all().join("\n").as_bytes());
    let log = log.all().join("\n");
    assert!(log.contains("[secret FILE_KEY]") && log.contains("TRACE"), "the log says what there was to say");
    canaries.look("the log", log.as_bytes());

    // Starts that are refused, and what looks into the folder that is served no more.
    let open = save(&app, "open", &format!("FILE_KEY={in_file}\n"));
    fs::set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
    let bad = [
        ("--secrets", open),
        ("--secrets", save(&app, "twice", &format!("FILE_KEY={in_file}\nFILE_KEY={in_file}\n"))),
        ("--secrets", save(&app, "unquoted", &format!("FILE_KEY=\"{in_file}\n"))),
        ("--secrets", save(&app, "unnamed", &format!("{in_file}\n"))),
        ("--secrets", save(&app, "both", &format!("ENVIRONMENT_KEY={in_file}\n"))),
        ("--encryption-keys", save(&app, "short", &format!("1 {}\n", &keys[0][1..]))),
        ("--encryption-keys", save(&app, "other", &format!("9 {}\n", keys[2]))),
        ("--encryption-keys", save(&app, "same", &format!("1 {}\n2 {}\n", keys[0], keys[0]))),
        ("--tls-key", save(&app, "cut", &fs::read_to_string(&tls_key).unwrap().replace("END", "BEGIN"))),
    ];
    for (option, file) in bad {
        let place = arguments.iter().position(|argument| *argument == option).unwrap() + 1;
        let mut arguments = arguments.clone();
        arguments[place] = file.to_str().unwrap();
        let ended = finish(command(&arguments), PATIENCE);
        assert_eq!(ended.code, Some(1), "{option} {}: {}", file.display(), ended.stderr);
        look_at(&canaries, &format!("{option} {}", file.display()), &ended);
    }
    assert_eq!(on_data(&[&["doctor"][..], &with_keys].concat()).code, Some(0));
    on_data(&["doctor"]);
    let restored = app.beside("restored");
    let restore = ["restore", backup.to_str().unwrap(), "--data", restored.to_str().unwrap()];
    look_at(&canaries, "restore", &finish(command(&[&restore[..], &with_keys].concat()), PATIENCE));

    // What lies on the disk: no place but those that were given holds a canary.
    for name in [
        "secrets",
        "keys",
        "twice",
        "unquoted",
        "unnamed",
        "both",
        "short",
        "other",
        "same",
        "cut",
        "open",
        "server.key",
    ] {
        fs::remove_file(app.beside(name)).unwrap();
    }
    let files = canaries.look_below(&app.beside(""));
    assert!(files > 10, "{files} files were looked at");
}

const TOKENS_APP: &str = r#"
import { caller, query } from "weir";
export const who = query((): string => `${caller.kind} ${caller.subject}`);
"#;

/// The secret that an issuer has in common with the server, and tokens in each place where one can be shown: as they are taken, as they
/// are refused, renewed and revoked.
#[test]
fn no_token_nor_secret_of_an_issuer_is_ever_written() {
    let app = App::of(TOKENS_APP);
    let mut canaries = Canaries::default();
    let (own, other) = (random(64), random(64));
    canaries.add("the secret of an issuer", &own);
    save(&app, "issuer", &own);
    let section = |file: &str| {
        format!(
            "[[issuer]]\nissuer = \"https://hs.example\"\nalgorithms = [\"HS256\"]\naudience = [\"shop\"]\n\
             secret = {{ file = \"{file}\", kid = \"h1\" }}\n"
        )
    };
    let config = app.beside("weir.toml");
    fs::write(&config, section("issuer")).unwrap();
    let (path, data, config) = (app.path(), app.data(), config.to_str().unwrap());
    let arguments = ["dev", path.to_str().unwrap(), "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
    let command = |arguments: &[&str]| {
        let mut command = weir(arguments);
        command.env("WEIR_LOG", "trace").stdin(std::process::Stdio::null());
        command
    };
    let (mut process, stdout, log) = Process::start(command(&[&arguments[..], &["--config", config]].concat()));
    let (_, line) = stdout.wait_for(0, |line| line.starts_with("listening on "));
    let url = line.trim_start_matches("listening on ").to_owned();

    // Each has an id of its own, so that each is another text.
    let mut token = |name: &str, secret: &str, until_s: u64| {
        let header = serde_json::json!({ "alg": "HS256", "kid": "h1", "typ": "JWT" });
        let claims = serde_json::json!({
            "iss": "https://hs.example", "sub": "ada", "aud": "shop", "exp": until_s, "jti": random(32)
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
        let token = format!("{message}.{signature}");
        canaries.add(&format!("the token {name}"), &token);
        canaries.add(&format!("the signature of the token {name}"), &signature);
        token
    };
    let late = 4_000_000_000;
    let (by_header, by_events, renewed, last) = (
        token("in Authorization", &own, late),
        token("for events", &own, late),
        token("that is renewed", &own, late),
        token("that is the last", &own, late),
    );
    let inits = [
        ("Authorization", format!("Bearer {}", token("in Authorization of connection_init", &own, late))),
        ("authorization", format!("Bearer {}", token("in authorization of connection_init", &own, late))),
        ("token", token("in token of connection_init", &own, late)),
    ];
    let bad = [
        token("that has expired", &own, 1_000),
        token("that others have signed", &other, late),
        "no.token.x".to_owned(),
    ];
    let mut answers = Vec::new();

    let query = serde_json::json!({ "query": "{ who }" }).to_string();
    let post = |authorization: &str, accept: &str| {
        let request = minreq::post(format!("{url}/graphql")).with_header("content-type", "application/json");
        let request = request.with_header("accept", accept).with_header("authorization", authorization);
        let response = request.with_timeout(PATIENCE.as_secs()).with_body(query.as_str()).send().unwrap();
        format!("{:?} {}", response.headers, response.as_str().unwrap())
    };
    let taken = post(&format!("Bearer {by_header}"), "application/json");
    assert!(taken.contains("user ada"), "{taken}");
    answers.push(taken);
    answers.push(post(&format!("Bearer {by_events}"), "text/event-stream"));
    for token in &bad {
        answers.push(post(&format!("Bearer {token}"), "application/json"));
        answers.push(post(&format!("Token {token}"), "application/json"));
        answers.push(post(&format!("Bearer {token}"), "text/event-stream"));
        for member in ["token", "Authorization"] {
            answers.push(Socket::showing(&url, &serde_json::json!({ member: token })).err().unwrap());
        }
    }
    let mut sockets = Vec::new();
    for (member, shown) in &inits {
        let (socket, answer) = Socket::showing(&url, &serde_json::json!({ *member: shown })).unwrap();
        answers.push(answer.to_string());
        sockets.push(socket);
    }
    let ping = |socket: &mut Socket, token: &str| {
        socket.send(&serde_json::json!({ "type": "ping", "payload": { "token": token } }));
        socket.message().unwrap_or_else(|end| end)
    };
    answers.push(ping(&mut sockets[0], &renewed));
    assert!(answers.last().unwrap().contains("pong"), "{answers:?}");
    // What is no message of the protocol, and what is not taken, each with a token in it.
    answers.push(ping(&mut sockets[0], &bad[1]));
    sockets[1].send(&serde_json::json!({ "type": "pong", "token": last }));
    answers.push(ping(&mut sockets[1], &last));
    sockets[2].send(&serde_json::json!({ "type": "none", "payload": { "token": last } }));
    answers.push(sockets[2].message().unwrap_or_else(|end| end));
    let on_data = |arguments: &[&str]| {
        let ended = finish(command(&[arguments, &["--data", data.to_str().unwrap()]].concat()), PATIENCE);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    };
    let commands = [
        on_data(&["token", "revoke", "--issuer", "https://hs.example", "--subject", "ada"]),
        on_data(&["token", "revoked"]),
    ];
    answers.push(post(&format!("Bearer {by_header}"), "application/json"));
    assert!(answers.last().unwrap().contains("the token was revoked"), "{answers:?}");
    answers.push(minreq::get(format!("{url}/metrics")).send().unwrap().as_str().unwrap().to_owned());

    process.terminate();
    assert_eq!(process.wait(PATIENCE).expect("it stops on SIGTERM").code(), Some(0));
    for answer in &answers {
        canaries.look("an answer", answer.as_bytes());
    }
    for ended in &commands {
        look_at(&canaries, "a command", ended);
    }
    canaries.look("stdout", stdout.all().join("\n").as_bytes());
    let log = log.all().join("\n");
    assert!(log.contains("TRACE"), "the log says what there was to say");
    canaries.look("the log", log.as_bytes());

    // Starts that are refused for the secret.
    save(&app, "short", &own[..31]);
    let open = save(&app, "open", &own);
    fs::set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
    for file in ["short", "open"] {
        fs::write(config, section(file)).unwrap();
        let ended = finish(command(&[&arguments[..], &["--config", config]].concat()), PATIENCE);
        assert_eq!(ended.code, Some(1), "{file}: {}", ended.stderr);
        assert!(!ended.stderr.contains(&own[..16]), "{}", ended.stderr);
        look_at(&canaries, &format!("a start with {file}"), &ended);
    }
    for name in ["issuer", "short", "open"] {
        fs::remove_file(app.beside(name)).unwrap();
    }
    let files = canaries.look_below(&app.beside(""));
    assert!(files > 5, "{files} files were looked at");
}
