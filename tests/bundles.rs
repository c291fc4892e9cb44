//! Bundles: from `weir keys generate` to an answered query, and what is refused on the way.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::apps::App;
use crate::graphql::Client;
use crate::serve::serve;
use crate::weir::{Dev, Ended, eventually, run};

const APP: &str = r#"
    import { query, type Int } from "weir";
    export const answer = query((): Int => 1);
    // file: policies.cedar
    permit(principal, action, resource);
"#;

/// What a walk is made with: an app, a key, and a place for files.
struct Walk {
    app: App,
}

impl Walk {
    fn new() -> Self {
        let walk = Self { app: App::of(APP) };
        walk.generate("key");
        walk
    }

    /// Makes a key: `NAME.pem` and `NAME.pub`. Its id.
    fn generate(&self, name: &str) -> String {
        let ended = run(&["keys", "generate", "--out", &self.path(&format!("{name}.pem"))]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        fs::write(self.app.beside(&format!("{name}.pub")), &ended.stdout).unwrap();
        ended.stdout.lines().next().unwrap().strip_prefix("key ").unwrap().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.app.beside(name).to_str().unwrap().to_owned()
    }

    fn serve(&self) -> Dev {
        serve(&["--listen", "127.0.0.1:0", "--data", self.data().to_str().unwrap()])
    }

    fn data(&self) -> PathBuf {
        self.app.data()
    }

    /// A command on the data folder.
    fn on_data(&self, arguments: &[&str]) -> Ended {
        run(&[arguments, &["--data", self.data().to_str().unwrap()]].concat())
    }

    fn deploy(&self, arguments: &[&str]) -> Ended {
        let folder = self.app.path();
        self.on_data(&[&["deploy", folder.to_str().unwrap(), "--key", &self.path("key.pem")], arguments].concat())
    }

    #[track_caller]
    fn deployed(&self, arguments: &[&str]) {
        let ended = self.deploy(arguments);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
}

/// The release that answers so is served: at once when a deployment is over, or a server listens.
#[track_caller]
pub fn answers(client: &Client, expected: u32) {
    assert_eq!(client.data("{ answer }"), json!({ "answer": expected }));
}

#[test]
fn from_a_key_to_an_answer() {
    let walk = Walk::new();
    let server = walk.serve();
    let client = server.client();
    let refused = walk.deploy(&[]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("which is not trusted here: weir keys trust FILE"), "{}", refused.stderr);
    assert_eq!(client.get("/readyz").0, 503);

    let trusted = walk.on_data(&["keys", "trust", &walk.path("key.pub")]);
    assert_eq!(trusted.code, Some(0), "{}", trusted.stderr);
    let ended = walk.deploy(&["--sequence", "1"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "app 1.0.0 is served, sequence 1\n"), "{}", ended.stderr);
    let names = fs::read_dir(walk.data()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!names.into_iter().any(|name| name.ends_with(".weir")), "nothing is left of how it was handed over");
    answers(&client, 1);
    assert_eq!(client.get("/readyz"), (200, "ready\n".to_owned()));

    walk.app.edit("functions/t.ts", "=> 1", "=> 2");
    let old = walk.deploy(&["--sequence", "1"]);
    assert!(old.stderr.contains("another bundle with sequence 1 is active"), "{}", old.stderr);
    let same = walk.deploy(&[]);
    assert!(same.stderr.contains("version 1.0.0 is on record with another content, as sequence 1"), "{}", same.stderr);
    walk.app.edit("app.toml", "1.0.0", "1.0.1");
    walk.deployed(&[]);
    answers(&client, 2);

    // It is there after a restart, and can be replaced while nobody serves it.
    assert_eq!(server.stop(), Some(0));
    let server = walk.serve();
    answers(&server.client(), 2);
    assert_eq!(server.stop(), Some(0));
    walk.app.edit("functions/t.ts", "=> 2", "=> 3");
    walk.app.edit("app.toml", "1.0.1", "1.0.2");
    walk.deployed(&[]);
    let server = walk.serve();
    answers(&server.client(), 3);

    // Errors have no stacks, and there is no query editor.
    assert_eq!(server.client().get("/graphiql").0, 404);

    // No file shows what was deployed, though names are there for all to see: the data is not encrypted.
    assert_eq!(server.stop(), Some(0));
    assert!(holds(&walk.data(), "operator"));
    assert!(!holds(&walk.data(), "export const answer"));
}

/// Whether some file below a folder holds a text.
fn holds(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => holds(&path, text),
            false => fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()),
        }
    })
}

#[test]
fn what_is_deployed_is_served_after_the_encryption_keys_were_exchanged() {
    let walk = Walk::new();
    let (keys, config, data) = (walk.app.beside("keys"), walk.path("weir.toml"), walk.data());
    let save = |numbers: &[u32]| {
        let lines: Vec<String> = numbers.iter().map(|number| format!("{number} {number:064x}\n")).collect();
        fs::write(&keys, lines.concat()).unwrap();
        fs::set_permissions(&keys, Permissions::from_mode(0o600)).unwrap();
    };
    save(&[1]);
    let [data, keys] = [&data, &keys].map(|path| path.to_str().unwrap());
    fs::write(&config, format!("[server]\ndata = {data:?}\nencryption_keys = {keys:?}\n")).unwrap();
    let start = || serve(&["--listen", "127.0.0.1:0", "--config", &config]);
    let configured = |arguments: &[&str]| run(&[arguments, &["--config", &config]].concat());
    let mut server = start();
    assert_eq!(configured(&["keys", "trust", &walk.path("key.pub")]).code, Some(0));
    let folder = walk.app.path();
    let deployed = configured(&["deploy", folder.to_str().unwrap(), "--key", &walk.path("key.pem")]);
    assert_eq!(deployed.code, Some(0), "{}", deployed.stderr);
    // Killed at once after one exchange, and left to write all again after the other.
    save(&[1, 2]);
    server.process.signal("HUP");
    server.log.wait_for(0, |line| line.contains("encryption keys read: new files use key 2"));
    server.process.kill();
    let server = start();
    answers(&server.client(), 1);
    save(&[1, 2, 3]);
    server.process.signal("HUP");
    server.log.wait_for(0, |line| line.contains("key 1 and 2 can be taken") || line.contains("key 2 can be taken"));
    assert_eq!(server.stop(), Some(0));
    save(&[3]);
    let server = start();
    answers(&server.client(), 1);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn equal_apps_are_equal_bundles() {
    let (one, other) = (App::copy_of("examples/shop"), App::copy_of("examples/shop"));
    let build = |app: &App| {
        let file = app.beside("shop.weir");
        let ended = run(&["build", app.path().to_str().unwrap(), "-o", file.to_str().unwrap()]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        fs::read(file).unwrap()
    };
    let bundle = build(&one);
    // Neither the folder nor the times of its files are in it.
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for file in ["app.toml", "collections.ts", "functions/orders.ts"] {
        fs::File::options().write(true).open(other.path().join(file)).unwrap().set_modified(long_ago).unwrap();
    }
    assert_ne!(one.path(), other.path());
    assert_eq!(bundle, build(&other));
    // The content is the same under any signature.
    let content = |file: &[u8]| file.splitn(3, |byte| *byte == b'\n').nth(2).unwrap().to_vec();
    let walk = Walk::new();
    let signed = walk.path("shop.weir");
    let ended = run(&["build", one.path().to_str().unwrap(), "-o", &signed, "--key", &walk.path("key.pem")]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(content(&fs::read(signed).unwrap()), content(&bundle));
    other.edit("app.toml", "name", "# the same\nname");
    assert_ne!(bundle, build(&other));
}

#[test]
fn a_bundle_is_built_here_and_signed_and_deployed_there() {
    let walk = Walk::new();
    let (file, folder) = (walk.path("app.weir"), walk.app.path());
    let ended = run(&["build", folder.to_str().unwrap(), "-o", &file]);
    assert!(ended.stdout.contains("signed by nobody yet"), "{}{}", ended.stdout, ended.stderr);
    let server = walk.serve();
    assert_eq!(walk.on_data(&["keys", "trust", &walk.path("key.pub")]).code, Some(0));
    let unsigned = walk.on_data(&["deploy", &file]);
    assert_eq!(unsigned.stderr, "weir: nobody has signed the bundle: weir deploy FILE --key KEYFILE signs it\n");
    assert_eq!(walk.on_data(&["deploy", &file, "--key", &walk.path("key.pem")]).code, Some(0));
    answers(&server.client(), 1);

    // A signed one that somebody has changed on the way.
    let ended = run(&["build", folder.to_str().unwrap(), "-o", &file, "--key", &walk.path("key.pem")]);
    assert!(ended.stdout.contains(", signed, "), "{}{}", ended.stdout, ended.stderr);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("\"policies.cedar\":\"permit("), "who may do what is signed too");
    fs::write(&file, text.replace("=> 1", "=> 7")).unwrap();
    let changed = walk.on_data(&["deploy", &file]);
    assert!(changed.stderr.starts_with("weir: the content has the digest "), "{}", changed.stderr);
    fs::write(&file, text).unwrap();
    assert_eq!(walk.on_data(&["deploy", &file]).code, Some(0));
    let twice = walk.on_data(&["deploy", &file, "--key", &walk.path("key.pem")]);
    assert!(twice.stderr.contains("the bundle is signed already"), "{}", twice.stderr);
    assert!(walk.on_data(&["deploy", &file]).stdout.contains("is served already"));
}

#[test]
fn keys_are_trusted_until_they_are_revoked() {
    let walk = Walk::new();
    let server = walk.serve();
    let id = walk.generate("other");
    let private = walk.on_data(&["keys", "trust", &walk.path("other.pem")]);
    assert!(private.stderr.contains("holds a private key, which is nobody else's to see"), "{}", private.stderr);
    for name in ["key", "other"] {
        assert_eq!(walk.on_data(&["keys", "trust", &walk.path(&format!("{name}.pub")), "--for", "1d"]).code, Some(0));
    }
    assert_eq!(
        walk.on_data(&["keys", "list"]).stdout.lines().filter(|line| line.contains("  valid, expires ")).count(),
        2
    );
    walk.deployed(&["--key", &walk.path("other.pem")]);
    // The other one has signed it too.
    let revoked = walk.on_data(&["keys", "revoke", &id]);
    assert_eq!(revoked.stdout, format!("key {id} is revoked\n"), "{}", revoked.stderr);
    assert!(walk.on_data(&["keys", "trust", &walk.path("other.pub")]).stderr.contains("is never trusted again"));
    let last = walk.on_data(&["keys", "list"]).stdout;
    let last = last.lines().find(|line| !line.contains("revoked")).unwrap().split(' ').next().unwrap();
    let revoked = walk.on_data(&["keys", "revoke", last]).stdout;
    assert!(revoked.contains("release 1.0.0 lacks signatures that count"), "{revoked}");
    assert!(walk.deploy(&[]).stderr.contains("which was revoked"));
    answers(&server.client(), 1);
    assert_eq!(server.stop(), Some(0));
    let server = walk.serve();
    let (status, text) = server.client().get("/readyz");
    assert_eq!(
        (status, text.as_str()),
        (503, "what was deployed is not served, the log of the server says why: deploy again\n")
    );
    assert!(server.log.text(0).contains("which was revoked"));
}

#[test]
fn a_key_takes_the_place_of_another_and_both_count_for_a_while() {
    let walk = Walk::new();
    let server = walk.serve();
    let old = walk.generate("old");
    assert_eq!(walk.on_data(&["keys", "trust", &walk.path("old.pub"), "--from", "2001-01-01T00:00:00Z"]).code, Some(0));
    let state = |id: &str| {
        let listed = walk.on_data(&["keys", "list", "--json"]).stdout;
        let keys = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        keys.into_iter().find(|key| key["id"] == id).map(|key| key["state"].clone()).unwrap_or_default()
    };
    assert_eq!(state(&old), "valid");
    let rotated = walk.on_data(&["keys", "rotate", &old, "--out", &walk.path("new.pem"), "--for", "365d"]);
    assert_eq!(rotated.code, Some(0), "{}", rotated.stderr);
    let new = rotated.stdout.split(' ').nth(1).unwrap().to_owned();
    assert!(rotated.stdout.contains(&format!("key {old} was before: valid, expires ")), "{}", rotated.stdout);
    assert!(rotated.stdout.contains("-----BEGIN PUBLIC KEY-----"), "{}", rotated.stdout);
    assert_eq!([state(&old), state(&new)], ["valid", "valid"]);
    let folder = walk.app.path();
    for name in ["old", "new"] {
        let key = walk.path(&format!("{name}.pem"));
        let ended = walk.on_data(&["deploy", folder.to_str().unwrap(), "--key", &key]);
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
    }
    // What is refused leaves no key behind that nobody trusts.
    let refused = walk.on_data(&["keys", "rotate", &"0".repeat(32), "--out", &walk.path("next.pem")]);
    assert!(refused.stderr.contains("weir keys list shows those that there are"), "{}", refused.stderr);
    assert!(!walk.app.beside("next.pem").exists());
    // One that was made elsewhere takes the place of that one, without an overlap to speak of.
    walk.generate("next");
    let ended = walk.on_data(&["keys", "rotate", &new, "--to", &walk.path("next.pub"), "--overlap", "1ms"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    eventually("the time of the key is over", || (state(&new) == "expired").then_some(()));
    let late = walk.on_data(&["deploy", folder.to_str().unwrap(), "--key", &walk.path("new.pem")]);
    assert!(late.stderr.contains(&format!("signed by key {new}, which is trusted until ")), "{}", late.stderr);
    // One that is to count later does not yet.
    let id = walk.generate("later");
    let later =
        walk.on_data(&["keys", "trust", &walk.path("later.pub"), "--from", "2101-01-01T00:00:00Z", "--for", "1d"]);
    assert_eq!(
        later.stdout,
        format!("key {id} is trusted: not yet, from 2101-01-01T00:00:00.000Z until 2101-01-02T00:00:00.000Z\n")
    );
    let early = walk.on_data(&["deploy", folder.to_str().unwrap(), "--key", &walk.path("later.pem")]);
    assert!(early.stderr.contains("which is trusted from 2101-01-01T00:00:00.000Z on"), "{}", early.stderr);
    answers(&server.client(), 1);
}

#[test]
fn where_two_signatures_are_asked_for_one_is_too_few() {
    let walk = Walk::new();
    let (file, folder, config) = (walk.path("app.weir"), walk.app.path(), walk.path("weir.toml"));
    let data = walk.data();
    fs::write(&config, format!("[server]\ndata = {:?}\n[releases]\nsignatures = 2\n", data.to_str().unwrap())).unwrap();
    let configured = |arguments: &[&str]| run(&[arguments, &["--config", &config]].concat());
    let second = walk.generate("second");
    let server = serve(&["--listen", "127.0.0.1:0", "--config", &config]);
    for name in ["key", "second"] {
        assert_eq!(configured(&["keys", "trust", &walk.path(&format!("{name}.pub"))]).code, Some(0));
    }
    let build = ["build", folder.to_str().unwrap(), "-o", &file, "--key", &walk.path("key.pem"), "--sequence", "1"];
    assert_eq!(run(&build).code, Some(0));
    let too_few = "weir: the bundle has 1 of the 2 signatures that this server asks for, of different keys that it trusts: \
                   weir keys sign FILE --key KEYFILE adds one\n";
    assert_eq!(configured(&["deploy", &file]).stderr, too_few);
    let both = walk.path("both.weir");
    let signed = run(&["keys", "sign", &file, "--key", &walk.path("second.pem"), "-o", &both]);
    assert!(
        signed.stdout.starts_with("app 1.0.0, sequence 1, SHA-256 of the content "),
        "{}{}",
        signed.stdout,
        signed.stderr
    );
    let again = run(&["keys", "sign", &both, "--key", &walk.path("second.pem")]);
    assert!(again.stderr.contains(&format!("key {second} has signed the bundle already")), "{}", again.stderr);
    assert_eq!(configured(&["deploy", &both]).code, Some(0));
    answers(&server.client(), 1);
    let revoked = configured(&["keys", "revoke", &second]).stdout;
    assert!(revoked.contains("release 1.0.0 lacks signatures that count"), "{revoked}");
    assert_eq!(server.stop(), Some(0));
    // Nor is it deployed, or loaded again, where nobody serves.
    assert_eq!(configured(&["deploy", &both]).stderr, too_few);
    let server = serve(&["--listen", "127.0.0.1:0", "--config", &config]);
    assert_eq!(server.client().get("/readyz").0, 503);
    assert!(server.log.text(0).contains("1 of the 2 signatures"));
}

#[test]
fn a_bundle_that_is_signed_for_one_tenant_is_no_other() {
    let walk = Walk::new();
    let (file, folder) = (walk.path("app.weir"), walk.app.path());
    let server = walk.serve();
    for name in ["acme", "other"] {
        let made = walk.on_data(&["tenant", "create", name]);
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        assert_eq!(walk.on_data(&["keys", "trust", &walk.path("key.pub"), "--tenant", name]).code, Some(0));
    }
    assert_eq!(walk.on_data(&["keys", "trust", &walk.path("key.pub")]).code, Some(0));
    let key = walk.path("key.pem");
    let ended = run(&["build", folder.to_str().unwrap(), "-o", &file, "--key", &key, "--tenant", "acme"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let other = walk.on_data(&["deploy", &file, "--tenant", "other"]).stderr;
    assert_eq!(
        other,
        "weir: the bundle is signed for the tenant acme, and this is the tenant other: sign it for this one, with --tenant other\n"
    );
    let own = walk.on_data(&["deploy", &file]).stderr;
    assert!(own.ends_with("and this is the server itself: sign it for this one, without --tenant\n"), "{own}");
    let deployed = walk.on_data(&["deploy", &file, "--tenant", "acme"]);
    assert_eq!(deployed.code, Some(0), "{}", deployed.stderr);
    // What is signed on the way is for whom it is deployed.
    let deployed = walk.on_data(&["deploy", folder.to_str().unwrap(), "--key", &key, "--tenant", "other"]);
    assert_eq!(deployed.code, Some(0), "{}", deployed.stderr);
    walk.deployed(&[]);
    answers(&server.client(), 1);
}

#[test]
fn kept_bundles_are_sealed_by_a_new_key_while_they_are_served_and_while_they_are_not() {
    let walk = Walk::new();
    let server = walk.serve();
    let none = walk.on_data(&["keys", "reseal"]).stderr;
    assert_eq!(none, "weir: nothing is sealed yet: the key is drawn when the first bundle is deployed\n");
    assert_eq!(walk.on_data(&["keys", "trust", &walk.path("key.pub")]).code, Some(0));
    walk.deployed(&[]);
    walk.app.edit("app.toml", "1.0.0", "1.0.1");
    walk.deployed(&[]);
    let resealed = "2 bundles sealed by a new key, and the key of before is gone\n";
    let whole = "\n2 releases with bundles, 4 statements about rollouts\nno problems\n";
    let look = || {
        let ended = walk.on_data(&["keys", "reseal"]);
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), (resealed, ""));
        let ended = walk.on_data(&["doctor"]);
        assert!(ended.code == Some(0) && ended.stdout.contains(whole), "{}{}", ended.stdout, ended.stderr);
    };
    look();
    answers(&server.client(), 1);
    assert_eq!(server.stop(), Some(0));
    look();
    let server = walk.serve();
    answers(&server.client(), 1);
    let back = walk.on_data(&["rollout", "rollback"]);
    assert!(back.stdout.starts_with("app 1.0.0, "), "{}{}", back.stdout, back.stderr);
    answers(&server.client(), 1);
}

#[test]
fn a_key_file_is_its_owners_alone() {
    let walk = Walk::new();
    let again = run(&["keys", "generate", "--out", &walk.path("key.pem")]);
    assert!(again.code == Some(1) && again.stdout.is_empty(), "it is not written over: {}", again.stdout);
    let public = run(&["keys", "public", &walk.path("key.pem")]);
    assert_eq!(public.stdout, fs::read_to_string(walk.path("key.pub")).unwrap());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let file = walk.app.beside("key.pem");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let open = walk.app.neutral(&walk.deploy(&[]).stderr);
        assert_eq!(open, "weir: TMP/key.pem is open to others (mode 644): restrict it with chmod 600\n");
    }
}
