//! From the making of a tenant to its end: suspended, resumed, cut off, exchanged keys, removed, exported.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::town::{Town, random_text};
use crate::weir::{Ended, eventually, run, say};

/// A number as the file of encryption keys has it.
fn key(number: u32) -> String {
    format!("{number} {}\n", random_text(32))
}

/// Every file below a folder, by its path from there.
pub fn files(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        // What is removed meanwhile is not there.
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => all.push(entry.path().strip_prefix(folder).unwrap().display().to_string()),
            }
        }
    }
    all
}

#[track_caller]
fn well(ended: Ended) -> String {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stdout
}

#[test]
fn one_that_is_suspended_ends_within_a_second_and_comes_back_whole() {
    let town = Town::start(&[]);
    for name in ["acme", "beta"] {
        town.create(name, &["--host", &format!("{name}.example")]);
        town.deploy(name);
        town.add(name, &format!("of {name}"));
    }
    let token = town.token(json!({ "org": "acme" }));
    let mut sockets = [
        town.socket(Some("acme.example"), None, None).unwrap(),
        town.socket(None, None, Some(&token)).unwrap(),
        town.socket(Some("beta.example"), None, None).unwrap(),
    ];
    for socket in &mut sockets {
        socket.send(&json!({ "id": "a", "type": "subscribe", "payload": { "query": "subscription { texts }" } }));
        socket.message().unwrap();
    }
    // What runs has limits of its own that are far off.
    let caller = town.at("acme.example");
    let endless = thread::spawn(move || caller.answer("{ endless }").code());
    eventually("the call", || town.log().contains("it begins").then_some(()));
    assert_eq!(well(town.tenant(&["suspend", "acme"])), "acme  suspended  host acme.example\n");
    assert_eq!(endless.join().unwrap(), json!("UNAVAILABLE"));
    let asked = Instant::now();
    let [first, second, other] = &mut sockets;
    for socket in [first, second] {
        let end = socket.message().unwrap_err();
        assert!(end.contains("Away"), "{end}");
    }
    say(&format!("the sockets of a suspended tenant had ended {:?} after that was acknowledged", asked.elapsed()));
    for asked in [town.at("acme.example"), town.server().showing(&token)] {
        assert_eq!(asked.code("{ texts }"), (503, json!("UNAVAILABLE")));
    }
    assert_eq!(town.at("acme.example").get("/schema.graphql").0, 503);
    let refused = town.socket(None, None, Some(&token)).err().unwrap();
    assert!(refused.contains("Again"), "{refused}");
    town.add("beta", "more");
    assert!(other.message().unwrap().contains("more"), "others notice nothing");
    // It stays so over a restart, and its data is there for who has the folder.
    town.stop();
    town.serve(&[]);
    assert_eq!(town.at("acme.example").code("{ texts }").0, 503);
    let listed = well(town.run(&["keys", "list", "--tenant", "acme"]));
    assert_eq!(listed.lines().count(), 1, "{listed}");
    well(town.tenant(&["resume", "acme"]));
    eventually("the tenant", || (town.at("acme.example").code("{ texts }").0 == 200).then_some(()));
    assert_eq!(town.at("acme.example").data("{ texts }", json!({})), json!({ "texts": ["of acme"] }));
    // What lies where a new one would be stays there.
    let stray = town.data().join("tenants/stray");
    fs::create_dir(&stray).unwrap();
    fs::write(stray.join("file"), "kept").unwrap();
    let refused = town.tenant(&["create", "stray"]);
    assert!(refused.stderr.ends_with("is there already, and of no tenant: move it away\n"), "{}", refused.stderr);
    // One whose folder is gone is not made anew.
    town.stop();
    let acme = town.data().join("tenants/acme");
    fs::rename(&acme, town.path("elsewhere")).unwrap();
    town.serve(&[]);
    assert_eq!(town.at("acme.example").code("{ texts }"), (503, json!("UNAVAILABLE")));
    assert!(town.log().contains("the tenant acme cannot be served: "), "{}", town.log());
    assert_eq!(town.at("beta.example").code("{ texts }").0, 200);
    assert!(!acme.exists());
    town.stop();
    let refused = town.tenant(&["create", "stray"]);
    assert!(refused.stderr.ends_with("is there already, and of no tenant: move it away\n"), "{}", refused.stderr);
    assert_eq!(fs::read_to_string(stray.join("file")).unwrap(), "kept");
}

#[test]
fn each_has_a_key_of_its_own_which_goes_first() {
    let (first, second) = (key(1), key(2));
    let town = Town::found("encryption_keys = \"keys\"");
    town.private("keys", &first);
    town.serve(&[]);
    let secret = random_text(16);
    for name in ["acme", "beta"] {
        town.create(name, &["--host", &format!("{name}.example")]);
        town.deploy(name);
        town.add(name, &secret);
    }
    let (all, key_file) = (town.data().join("tenants"), town.data().join("tenants/acme.key"));
    let sealed_by = || serde_json::from_slice::<Value>(&fs::read(&key_file).unwrap()).unwrap()["key"].clone();
    assert_eq!(sealed_by(), json!(1));
    let is_readable = |folder: &Path| {
        files(folder).iter().any(|file| {
            let bytes = fs::read(folder.join(file)).unwrap_or_default();
            bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
        })
    };
    assert!(!is_readable(&all));
    // What the server refuses changes nothing of what tenants have.
    town.private("keys", &second);
    town.signal("HUP");
    eventually("the refusal", || town.log().contains("encryption keys not changed").then_some(()));
    assert_eq!(sealed_by(), json!(1));
    assert!(files(&all).iter().all(|file| !file.ends_with(".new")));
    // The keys of the server are exchanged: no data is written again, its keys are sealed anew.
    town.private("keys", &format!("{first}{second}"));
    town.signal("HUP");
    eventually("the exchange", || (sealed_by() == json!(2)).then_some(()));
    let read = |times: usize| {
        eventually("the keys", || (town.log().matches("encryption keys read").count() == times).then_some(()));
    };
    read(1);
    let status = || well(run(&["encryption", "status", "--data", town.data().to_str().unwrap()]));
    eventually("the old key to fall out of use", || {
        let status = status();
        (status.contains("key 2: the keys of 2 data folders") && !status.contains("key 1: ")).then_some(())
    });
    // The server has given it up, and no tenant needs it.
    town.private("keys", &second);
    town.signal("HUP");
    read(2);
    assert_eq!(town.at("acme.example").data("{ texts }", json!({})), json!({ "texts": [secret] }));
    town.stop();
    well(town.run(&["audit", "verify", "--tenant", "acme"]));
    town.serve(&[]);
    // A copy that somebody has made of the folder is good for nothing once the key is gone.
    let copy = town.path("copy");
    well(run(&["backup", &copy, "--data", town.data().to_str().unwrap(), "--tenant", "acme"]));
    // What a restore has kept of it goes too.
    let kept = all.join("acme.before-restore-20260101T000000Z");
    fs::create_dir(&kept).unwrap();
    fs::write(kept.join("FORMAT"), "").unwrap();
    well(town.tenant(&["delete", "acme", "--confirm", "acme"]));
    assert_eq!(files(&all).iter().filter(|file| file.contains("acme")).count(), 0);
    assert!(!kept.exists() && !is_readable(Path::new(&copy)));
    // Its name finds nothing of it, and its host is none of the server's.
    assert_eq!(town.at("acme.example").code("{ texts }").0, 403);
    town.create("acme", &["--host", "acme.example"]);
    town.deploy("acme");
    assert_eq!(town.at("acme.example").data("{ texts }", json!({})), json!({ "texts": [] }));
    // A token that was made for who had the name before is none of its.
    let made = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for (made, status) in [(made - 3_600, 404), (made, 200)] {
        let token = town.token(json!({ "org": "acme", "iat": made }));
        assert_eq!(town.at("acme.example").showing(&token).code("{ texts }").0, status);
    }
    assert_eq!(town.at("beta.example").data("{ texts }", json!({})), json!({ "texts": [secret] }));
    town.stop();
    // The same where nobody serves.
    well(town.tenant(&["delete", "acme", "--confirm", "acme"]));
    assert_eq!(files(&all).iter().filter(|file| file.contains("acme")).count(), 0);
}

#[test]
fn what_is_cut_off_is_brought_to_its_end() {
    let town = Town::start(&[]);
    let all = town.data().join("tenants");
    let gone = |name: &str| files(&all).iter().all(|file| !file.contains(name));
    for round in 0..4_u64 {
        let name = format!("t{round}");
        town.create(&name, &["--host", &format!("{name}.example")]);
        let mut deleting =
            crate::weir::weir(&["tenant", "delete", &name, "--confirm", &name, "--config", &town.path("weir.toml")]);
        deleting.stdin(std::process::Stdio::null());
        let (deleting, _, _) = crate::weir::Process::start(deleting);
        // From before it has begun to after its end.
        std::thread::sleep(std::time::Duration::from_millis(round * 40));
        town.kill();
        drop(deleting);
        town.serve(&[]);
        let listed = well(town.tenant(&["list"]));
        // It was not begun, or it is done.
        match listed.contains(&name) {
            true => assert!(listed.contains(&format!("{name}  served")), "{listed}"),
            false => assert!(gone(&name), "{:?}", files(&all)),
        }
    }
    town.stop();
}

#[test]
fn the_app_of_one_reaches_what_is_permitted_to_it() {
    let town = Town::start(&[]);
    town.create("acme", &["--host", "acme.example"]);
    town.deploy("acme");
    // All are on the list of the app. Nobody listens at that port.
    for (host, expected) in [
        ("127.0.0.1", "fetch: 127.0.0.1:1 leads to a loopback address, where the apps of tenants may not fetch from: "),
        ("localhost", "fetch: localhost:1 leads to a loopback address, where the apps of tenants may not fetch from: "),
        ("127.0.0.2", "fetch: no connection to 127.0.0.2:1: "),
    ] {
        let query = "mutation($url: String!) { reach(url: $url) }";
        let told = town.at("acme.example").data(query, json!({ "url": format!("http://{host}:1/") }));
        assert!(told["reach"].as_str().unwrap().contains(expected), "{told}");
    }
    town.stop();
}

#[test]
fn which_secrets_one_has_is_on_record_and_that_they_stay() {
    let town = Town::found("");
    let folder = town.path("secrets.d");
    fs::create_dir(&folder).unwrap();
    let secret = random_text(16);
    town.private("secrets.d/acme", &format!("PAYMENT_KEY={secret}"));
    town.serve(&[]);
    town.create("acme", &[]);
    let audit = || well(town.run(&["audit", "list", "--tenant", "acme", "--action", "useSecrets"]));
    assert!(audit().contains("PAYMENT_KEY") && !audit().contains(&secret), "{}", audit());
    well(town.tenant(&["delete", "acme", "--confirm", "acme"]));
    let log = town.log();
    assert!(log.contains("the secrets of the tenant acme are still there") && !log.contains(&secret), "{log}");
    assert!(Path::new(&folder).join("acme").exists());
    town.stop();
}

#[test]
fn an_export_has_all_of_it() {
    let town = Town::start(&[]);
    town.create("acme", &["--host", "acme.example", "--issuer", super::town::OTHER]);
    town.deploy("acme");
    town.add("acme", "exported");
    well(town.run(&["admin", "token", "create", "reader", "--tenant", "acme"]));
    let data = town.data();
    let data = data.to_str().unwrap();
    well(run(&["token", "revoke", "--issuer", "https://i", "--subject", "eve", "--data", data, "--tenant", "acme"]));
    let (served, at_rest) = (town.path("served"), town.path("at-rest"));
    // With a slash behind the name, and beside what lies where it is to be made, which stays.
    let partial = format!("{served}.partial");
    fs::create_dir(&partial).unwrap();
    let refused = town.tenant(&["export", "acme", &format!("{served}/")]);
    assert!(refused.stderr.contains("served.partial is there: if no export"), "{}", refused.stderr);
    fs::remove_dir(&partial).unwrap();
    let said = well(town.tenant(&["export", "acme", &format!("{served}/")]));
    assert!(!Path::new(&partial).exists());
    assert!(said.starts_with("exported acme: 1 collection, 1 document\n"), "{said}");
    town.stop();
    well(town.tenant(&["export", "acme", &at_rest]));
    let refused = town.tenant(&["export", "acme", &at_rest]);
    assert!(refused.stderr.ends_with("exists: choose another name for the export\n"), "{}", refused.stderr);
    let audit = well(town.run(&["audit", "list", "--tenant", "acme", "--action", "exportTenant"]));
    assert!([&served, &at_rest].iter().all(|to| audit.contains(to.as_str())), "{audit}");
    for folder in [&served, &at_rest] {
        let folder = Path::new(folder);
        let mut names = files(folder);
        names.sort();
        assert_eq!(
            names,
            [
                "administrators.json",
                "audit-head.json",
                "bundle.weir",
                "data.jsonl",
                "releases.json",
                "revocations.json",
                "rollout-key.pub",
                "rollout-statements.jsonl",
                "signing-keys.json",
                "tenant.json",
                "trusted-documents.json"
            ]
        );
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let json = |name: &str| serde_json::from_str::<Value>(&read(name)).unwrap();
        assert_eq!(json("tenant.json")["hosts"], json!(["acme.example"]));
        assert_eq!(json("administrators.json").as_array().unwrap().len(), 2);
        assert_eq!(json("revocations.json").as_array().unwrap().len(), 1);
        assert_eq!(json("releases.json")[0]["app"], json!("app"));
        assert_eq!(json("signing-keys.json").as_array().unwrap().len(), 1);
        let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let verified =
            run(&["rollout", "verify", &at("rollout-statements.jsonl"), "--key", &at("rollout-key.pub")]).stdout;
        assert!(verified.starts_with("rollout 1 of app: 2 statements, 1 to 2, signed by key "), "{verified}");
        let data = read("data.jsonl");
        let lines: Vec<Value> = data.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |kind: &str| lines.iter().filter(|line| line["record"] == kind).count();
        assert_eq!((of("document"), of("collection")), (1, 1));
        assert!(of("audit") as u64 >= json("audit-head.json")["number"].as_u64().unwrap());
        assert!(data.contains("exported") && !data.contains("weir_admin_"));
    }
    // What can be read in again is.
    let fresh = town.path("fresh");
    well(run(&["import", "--all", &format!("{served}/data.jsonl"), "--data", &fresh]));
}
