//! Bundles: from `weir keys generate` to an answered query, and what is refused on the way.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::apps::App;
use crate::graphql::Client;
use crate::serve::serve;
use crate::weir::{Dev, Ended, run};

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
    assert!(refused.stderr.contains("which this server does not trust: weir keys trust FILE"), "{}", refused.stderr);
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
    walk.deployed(&[]);
    answers(&client, 2);

    // It is there after a restart, and can be replaced while nobody serves it.
    assert_eq!(server.stop(), Some(0));
    let server = walk.serve();
    answers(&server.client(), 2);
    assert_eq!(server.stop(), Some(0));
    walk.app.edit("functions/t.ts", "=> 2", "=> 3");
    walk.deployed(&[]);
    let server = walk.serve();
    answers(&server.client(), 3);

    // Errors have no stacks, and there is no query editor.
    assert_eq!(server.client().get("/graphiql").0, 404);
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
    assert_eq!(bundle, build(&other));
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
    assert_eq!(walk.on_data(&["keys", "list"]).stdout.lines().filter(|line| line.contains(", until ")).count(), 2);
    walk.deployed(&["--key", &walk.path("other.pem")]);
    // The other one has signed it too.
    let revoked = walk.on_data(&["keys", "revoke", &id]);
    assert_eq!(revoked.stdout, format!("key {id} is revoked\n"), "{}", revoked.stderr);
    assert!(walk.on_data(&["keys", "trust", &walk.path("other.pub")]).stderr.contains("is never trusted again"));
    let last = walk.on_data(&["keys", "list"]).stdout;
    let last = last.lines().find(|line| !line.contains("revoked")).unwrap().split(' ').next().unwrap();
    let revoked = walk.on_data(&["keys", "revoke", last]).stdout;
    assert!(revoked.contains("release 1.0.0 is signed with no other key"), "{revoked}");
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
