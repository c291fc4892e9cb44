//! Who is answered what.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use weir_engine::Engine;
use weir_engine::bundle::key::SigningKey;
use weir_engine::bundle::sign::{Terms, pack, sign};
use weir_engine::control::refusals::{Kind, Refused};
use weir_engine::control::{Actor, administrators, keys, releases};
use weir_engine::engine::{RESULTS_BYTES_MAX, Runs};
use weir_sandbox::compile::Sources;
use weir_sandbox::pool::PoolOptions;
use weir_schema::codec::audit::Person;
use weir_schema::codec::control::Permission;
use weir_store::progress::unwatched;
use weir_store::{Options, Store};

use crate::{Server, ServerOptions};

/// Every root field, and the permission that it needs.
const FIELDS: [(&str, &str, Permission); 44] = [
    ("query", "status", Permission::Read),
    ("query", "metrics", Permission::Read),
    ("query", "releases", Permission::Read),
    ("query", "rolloutStatus", Permission::Read),
    ("query", "rollouts", Permission::Read),
    ("query", "rolloutStatements", Permission::Read),
    ("query", "shadowReport", Permission::Deploy),
    ("query", "experimentReport", Permission::Read),
    ("query", "building", Permission::Read),
    ("query", "migration", Permission::Read),
    ("query", "release", Permission::Read),
    ("query", "diff", Permission::Read),
    ("query", "judge", Permission::Deploy),
    ("query", "usage", Permission::Read),
    ("query", "keys", Permission::Read),
    ("query", "administrators", Permission::Administrators),
    ("query", "tenants", Permission::Tenants),
    ("query", "environments", Permission::Environments),
    ("query", "audit", Permission::Audit),
    ("mutation", "deploy", Permission::Deploy),
    ("mutation", "startRollout", Permission::Deploy),
    ("mutation", "advanceRollout", Permission::Deploy),
    ("mutation", "pauseRollout", Permission::Deploy),
    ("mutation", "resumeRollout", Permission::Deploy),
    ("mutation", "promoteRollout", Permission::Deploy),
    ("mutation", "unguardRollout", Permission::Deploy),
    ("mutation", "rollBack", Permission::Deploy),
    ("mutation", "trustKey", Permission::Keys),
    ("mutation", "rotateKey", Permission::Keys),
    ("mutation", "revokeKey", Permission::Keys),
    ("mutation", "revokeTokens", Permission::Keys),
    ("mutation", "eraseAudit", Permission::Erase),
    ("mutation", "createAdministrator", Permission::Administrators),
    ("mutation", "createTenant", Permission::Tenants),
    ("mutation", "changeTenant", Permission::Tenants),
    ("mutation", "suspendTenant", Permission::Tenants),
    ("mutation", "resumeTenant", Permission::Tenants),
    ("mutation", "deleteTenant", Permission::Tenants),
    ("mutation", "createEnvironment", Permission::Environments),
    ("mutation", "changeEnvironment", Permission::Environments),
    ("mutation", "suspendEnvironment", Permission::Environments),
    ("mutation", "resumeEnvironment", Permission::Environments),
    ("mutation", "deleteEnvironment", Permission::Environments),
    ("mutation", "revokeAdministrator", Permission::Administrators),
];

/// Fields that anybody may ask for. This list may only get shorter.
const OPEN: [&str; 0] = [];

/// What a token of an app looks like.
const APP_TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhZG1pbiIsInJvbGVzIjpbImFkbWluIl19.c2ln";

struct Plane {
    engine: Engine,
    router: Router,
    _folder: TempDir,
}

impl Plane {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let pool = PoolOptions::default();
        let engine = Engine::start_with(store, pool, None, RESULTS_BYTES_MAX, Runs::SignedBundles).unwrap();
        let options = ServerOptions { control_plane: true, ..ServerOptions::default() };
        let router = Server::start(engine.clone(), options).router();
        Self { engine, router, _folder: folder }
    }

    /// The token of a new administrator.
    async fn administrator(&self, name: &str, permissions: &[Permission]) -> String {
        let token =
            administrators::create(self.engine.store(), &Actor::operator(), &Permission::ALL, name, permissions)
                .await
                .unwrap();
        token.reveal().to_owned()
    }

    /// Status and body of an answer.
    async fn ask(&self, token: Option<&str>, query: &str, variables: Value) -> (StatusCode, Value) {
        let mut request = Request::post("/admin/graphql").header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = json!({ "query": query, "variables": variables }).to_string();
        let response = self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let status = response.status();
        (status, serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap())
    }

    /// The data of an answer without errors.
    async fn data(&self, token: &str, query: &str, variables: Value) -> Value {
        let (status, mut answer) = self.ask(Some(token), query, variables).await;
        assert!(status == StatusCode::OK && answer.get("errors").is_none(), "{query}: {answer:#}");
        answer["data"].take()
    }

    /// The code of the first error.
    async fn code(&self, token: Option<&str>, query: &str) -> Value {
        let (_, answer) = self.ask(token, query, json!({})).await;
        answer.pointer("/errors/0/extensions/code").cloned().unwrap_or_default()
    }
}

/// A document that asks for a field, with arguments that make it past validation.
fn asking_for(kind: &str, field: &Value) -> String {
    let argument = |argument: &Value| {
        let of = &argument["type"];
        (of["kind"] == "NON_NULL" && argument["defaultValue"].is_null()).then(|| {
            let value = if of["ofType"]["kind"] == "LIST" { "[READ]" } else { "\"x\"" };
            format!("{}: {value}", argument["name"].as_str().unwrap())
        })
    };
    let arguments: Vec<String> = field["args"].as_array().unwrap().iter().filter_map(argument).collect();
    let arguments = if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
    let is_scalar = field["type"]["ofType"]["kind"] == "SCALAR";
    let selection = if is_scalar { "" } else { " { __typename }" };
    format!("{kind} {{ {}{arguments}{selection} }}", field["name"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_root_field_is_answered_without_its_permission() {
    let plane = Plane::new();
    let root = plane.administrator("root", &Permission::ALL).await;
    let of = "fields { name args { name defaultValue type { kind ofType { kind } } } type { kind ofType { kind } } }";
    let shape = plane
        .data(&root, &format!("{{ __schema {{ queryType {{ {of} }} mutationType {{ {of} }} }} }}"), json!({}))
        .await;
    let roots = [("query", &shape["__schema"]["queryType"]), ("mutation", &shape["__schema"]["mutationType"])];
    let fields: Vec<(&str, &Value)> = roots
        .iter()
        .flat_map(|(kind, of)| of["fields"].as_array().unwrap().iter().map(|field| (*kind, field)))
        .collect();
    let named: Vec<(&str, &str)> =
        fields.iter().map(|(kind, field)| (*kind, field["name"].as_str().unwrap())).collect();
    let known: Vec<(&str, &str)> = FIELDS.iter().map(|(kind, name, _)| (*kind, *name)).collect();
    assert_eq!(named, known, "a new field is listed with its permission");

    let mut without = Vec::new();
    for permission in Permission::ALL {
        let others: Vec<Permission> = Permission::ALL.into_iter().filter(|other| *other != permission).collect();
        without.push((permission, plane.administrator(&format!("not-{permission}"), &others).await));
    }
    let known = || {
        let store = plane.engine.store();
        (administrators::list(store).unwrap(), keys::list(store).unwrap(), releases::list(store).unwrap())
    };
    let before = known();
    for ((kind, field), (_, name, permission)) in fields.iter().zip(FIELDS) {
        let query = asking_for(kind, field);
        if OPEN.contains(&name) {
            continue;
        }
        for nobody in [None, Some(APP_TOKEN), Some("weir_admin_AAAA"), Some("")] {
            let (status, answer) = plane.ask(nobody, &query, json!({})).await;
            let code = &answer["errors"][0]["extensions"]["code"];
            assert_eq!(
                (status, code, answer.get("data")),
                (StatusCode::UNAUTHORIZED, &json!("UNAUTHENTICATED"), None),
                "{query}"
            );
        }
        let (_, token) = without.iter().find(|(without, _)| *without == permission).unwrap();
        assert_eq!(plane.code(Some(token), &query).await, "FORBIDDEN", "{query}");
        // It is the permission that was missing and nothing else.
        assert_ne!(plane.code(Some(&root), &query).await, "FORBIDDEN", "{query}");
    }
    assert_eq!(plane.code(None, "{ __schema { queryType { name } } }").await, "UNAUTHENTICATED");
    assert_eq!(known(), before, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_has_a_key_take_the_place_of_another() {
    let plane = Plane::new();
    let root = plane.administrator("root", &Permission::ALL).await;
    let [old, new, later] = std::array::from_fn(|_| SigningKey::generate().unwrap());
    let id = |key: &SigningKey| key.public().id().to_string();
    let trust = "mutation($key: String!, $from: String) { trustKey(publicKey: $key, from: $from, for: \"1d\") { state validFrom } }";
    let trusted = plane.data(&root, trust, json!({ "key": old.public().to_pem() })).await;
    assert_eq!(trusted["trustKey"]["state"], "VALID");
    let from = "2101-01-01T00:00:00.000Z";
    let trusted = plane.data(&root, trust, json!({ "key": later.public().to_pem(), "from": from })).await;
    assert_eq!(trusted["trustKey"], json!({ "state": "NOT_YET", "validFrom": from }));
    let (_, refused) = plane.ask(Some(&root), trust, json!({ "key": new.public().to_pem(), "from": "soon" })).await;
    let message = "from is not a date and time as RFC 3339 writes it, such as 2026-11-22T09:30:00Z";
    assert_eq!(refused["errors"][0]["message"], message);
    let rotate = "mutation($id: String!, $key: String!, $overlap: String) {
        rotateKey(id: $id, publicKey: $key, overlap: $overlap) { key { id state expiresAt } before { id state } } }";
    let variables = |id: &str, overlap| json!({ "id": id, "key": new.public().to_pem(), "overlap": overlap });
    let (_, refused) = plane.ask(Some(&root), rotate, variables(&id(&old), "0d")).await;
    assert_eq!(refused["errors"][0]["message"], "overlap is a number and a unit, such as 12h or 90d");
    let (_, refused) = plane.ask(Some(&root), rotate, variables("x", "1h")).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "NOT_FOUND");
    let rotated = plane.data(&root, rotate, variables(&id(&old), "1h")).await;
    let expected = json!({
        "key": { "id": id(&new), "state": "VALID", "expiresAt": null },
        "before": { "id": id(&old), "state": "VALID" },
    });
    assert_eq!(rotated["rotateKey"], expected);
    plane.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_deploys_and_sees_it() {
    let plane = Plane::new();
    let root = plane.administrator("root", &Permission::ALL).await;
    let key = SigningKey::generate().unwrap();
    let trust = "mutation($key: String!) { trustKey(publicKey: $key, for: \"30d\") { id trustedBy revokedAt } }";
    let trusted = plane.data(&root, trust, json!({ "key": key.public().to_pem() })).await;
    let id = key.public().id().to_string();
    assert_eq!(trusted["trustKey"], json!({ "id": id, "trustedBy": "administrator root", "revokedAt": null }));

    let toml = "name = \"shop\"\nversion = \"1.0.0\"\n";
    let module = "import { query, type Int } from \"weir\";\nexport const answer = query((): Int => 1);\n";
    let texts = [("app.toml", toml), ("functions/a.ts", module)];
    let sources = Sources::from_texts(texts.map(|(path, text)| (path.to_owned(), text.to_owned())));
    let terms = Terms { tenant: None, sequence: 7, expires_ms: u64::MAX };
    let manifest = weir_schema::manifest::parse(toml).unwrap();
    let bundle = sign(&pack(&sources).unwrap(), &manifest, terms, &[key]).unwrap();
    let deploy =
        "mutation($bundle: String!) { deploy(bundle: $bundle) { wasActive release { version active signers } } }";
    let variables = json!({ "bundle": STANDARD.encode(&bundle) });
    let deployed = plane.data(&root, deploy, variables).await;
    let release = json!({ "version": "1.0.0", "active": true, "signers": [id] });
    assert_eq!(deployed["deploy"], json!({ "wasActive": false, "release": release }));
    let seen =
        plane.data(&root, "{ status { ready release } releases { sequence deployedBy } keys { id } }", json!({})).await;
    assert_eq!(
        seen,
        json!({
            "status": { "ready": true, "release": "shop 1.0.0" },
            "releases": [{ "sequence": "7", "deployedBy": "administrator root" }],
            "keys": [{ "id": id }],
        })
    );
    let audit = |arguments: &str| format!("{{ audit{arguments} {{ records {{ number actor action }} next }} }}");
    let all = plane.data(&root, &audit(""), json!({})).await["audit"].take();
    let actions: Vec<&str> =
        all["records"].as_array().unwrap().iter().map(|record| record["action"].as_str().unwrap()).collect();
    assert_eq!(
        (actions, &all["next"]),
        (vec!["createAdministrator", "trustKey", "deploy", "promoteRollout"], &Value::Null)
    );
    let table = [
        ("(action: \"deploy\")", vec!["3"]),
        ("(actor: \"operator\")", vec!["1"]),
        ("(after: \"1\")", vec!["2", "3", "4"]),
        ("(first: 2)", vec!["1", "2"]),
        ("(until: \"2001-01-01T00:00:00Z\")", vec![]),
        ("(since: \"2001-01-01T00:00:00Z\", first: 1)", vec!["1"]),
    ];
    for (arguments, expected) in table {
        let page = plane.data(&root, &audit(arguments), json!({})).await["audit"].take();
        let numbers: Vec<&str> =
            page["records"].as_array().unwrap().iter().map(|record| record["number"].as_str().unwrap()).collect();
        assert_eq!(numbers, expected, "{arguments}");
    }
    for arguments in ["(first: 0)", "(first: 1001)", "(after: \"x\")", "(since: \"yesterday\")"] {
        assert_eq!(plane.code(Some(&root), &audit(arguments)).await, "BAD_ARGUMENTS", "{arguments}");
    }
    // What is refused is on record too, only later.
    let mut changed = bundle;
    let last = changed.len() - 10;
    changed[last] ^= 1;
    let (_, refused) = plane.ask(Some(&root), deploy, json!({ "bundle": STANDARD.encode(&changed) })).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "CONFLICT");
    assert!(refused["errors"][0]["message"].as_str().unwrap().starts_with("the content has the digest "), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_until_it_is_revoked() {
    let plane = Plane::new();
    let root = plane.administrator("root", &Permission::ALL).await;
    let create = "mutation { createAdministrator(name: \"ci\", permissions: [READ, ADMINISTRATORS]) { name token } }";
    let made = plane.data(&root, create, json!({})).await["createAdministrator"].take();
    let ci = made["token"].as_str().unwrap();
    assert!(plane.data(ci, "{ status { ready } }", json!({})).await["status"]["ready"] == json!(false));
    assert_eq!(
        plane.code(Some(ci), "mutation { createAdministrator(name: \"x\", permissions: [KEYS]) { name } }").await,
        "FORBIDDEN"
    );
    assert_eq!(plane.code(Some(ci), "mutation { revokeAdministrator(name: \"nobody\") }").await, "NOT_FOUND");
    let named = plane.data(ci, "{ administrators { name permissions createdBy } }", json!({})).await;
    assert_eq!(
        named["administrators"][0],
        json!({ "name": "ci", "permissions": ["READ", "ADMINISTRATORS"], "createdBy": "administrator root" })
    );
    // Tokens of the app's callers are another matter, and who ends them is on record.
    let both = "mutation { revokeTokens(issuer: \"i\", jti: \"t\", subject: \"s\") }";
    assert_eq!(plane.code(Some(&root), both).await, "BAD_ARGUMENTS");
    plane.data(&root, "mutation { revokeTokens(issuer: \"i\", subject: \"s\") }", json!({})).await;
    let record = plane.engine.store().audit(0, 100).unwrap().pop().unwrap();
    let targets = ["i", "subject", r#"["i","s"]"#].map(str::to_owned);
    assert_eq!((record.action.as_str(), record.targets), ("revokeTokens", targets.to_vec()));
    plane.data(&root, "mutation { revokeAdministrator(name: \"ci\") }", json!({})).await;
    assert_eq!(plane.code(Some(ci), "{ status { ready } }").await, "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_searched_and_tells_of_nobody_who_was_erased() {
    let plane = Plane::new();
    let root = plane.administrator("root", &Permission::ALL).await;
    for (subject, outcome) in [("ada", "FORBIDDEN"), ("bob", "FORBIDDEN"), ("ada", "CONFLICT")] {
        let person = Person::of_token("i", subject);
        let (actor, from) = (person.as_str().to_owned(), Some("10.0.0.1".to_owned()));
        let (target, outcome) = (format!("pay{subject}"), outcome.to_owned());
        let (kind, person) = (Kind::Access, Some(person));
        plane.engine.refused(Refused { kind, actor, person, action: "call", target, from, outcome });
        plane.engine.write_refusals().await;
    }
    let found = async |arguments: &str| {
        let query = format!("{{ audit({arguments}) {{ records {{ number actor from person }} next }} }}");
        plane.data(&root, &query, json!({})).await["audit"]["records"].take()
    };
    let numbers = async |arguments: &str| {
        let records = found(arguments).await;
        let numbers = records.as_array().unwrap().iter().map(|record| record["number"].as_str().unwrap().to_owned());
        numbers.collect::<Vec<_>>().join(" ")
    };
    let ada = r#"actor: "[\"i\",\"ada\"]""#;
    let table = [
        (ada, "2 4"),
        (r#"target: "paybob""#, "3"),
        (r#"outcome: "FORBIDDEN""#, "2 3"),
        (r#"target: "payada", outcome: "CONFLICT", action: "call""#, "4"),
        (r#"target: "pay""#, ""),
    ];
    for (arguments, expected) in table {
        assert_eq!(numbers(arguments).await, expected, "{arguments}");
    }
    let whole = found(ada).await;
    assert_eq!((&whole[0]["from"], &whole[0]["person"]), (&json!("10.0.0.1"), &whole[1]["person"]));

    let erase = |arguments: &str| format!("mutation {{ eraseAudit({arguments}) }}");
    for bad in [r#"issuer: "i""#, r#"issuer: "i", subject: "ada", address: "10.0.0.1""#, r#"address: "x""#] {
        assert_eq!(plane.code(Some(&root), &erase(bad)).await, "BAD_ARGUMENTS", "{bad}");
    }
    let of_ada = erase(r#"issuer: "i", subject: "ada""#);
    let id = plane.data(&root, &of_ada, json!({})).await["eraseAudit"].take();
    assert_eq!(id, whole[0]["person"]);
    assert_eq!(numbers(ada).await, "");
    let erased =
        json!({ "number": "2", "actor": format!("erased {}", id.as_str().unwrap()), "from": null, "person": id });
    assert_eq!(found(r#"target: "payada""#).await[0], erased);
    assert_eq!(plane.code(Some(&root), &of_ada).await, "NOT_FOUND");
    // That it was done is on record, by the id alone.
    let record = plane.engine.store().audit(4, 10).unwrap().pop().unwrap();
    let told = (record.actor.as_str(), record.action.as_str(), record.targets);
    assert_eq!(told, ("administrator root", "erase", vec![id.as_str().unwrap().to_owned()]));
    assert_eq!(plane.engine.store().verify_audit(None, unwatched()).await.unwrap().problem, None);
    // Those of addresses too, as here the one of the administrator's own connection.
    let from = found(r#"action: "erase""#).await[0]["from"].take();
    plane.data(&root, &erase(&format!("address: {from}")), json!({})).await;
    assert!(found(r#"action: "erase""#).await[0]["from"].as_str().unwrap().starts_with("erased "));
}

#[tokio::test]
async fn what_is_no_request_is_refused_after_its_sender() {
    let plane = Plane::new();
    let root = plane.administrator("root", &[Permission::Read]).await;
    let send = async |token: &str, media: &str, body: &str| {
        let request = Request::post("/admin/graphql").header(header::CONTENT_TYPE, media);
        let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        plane.router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap().status()
    };
    assert_eq!(send(APP_TOKEN, "text/plain", "x").await, StatusCode::UNAUTHORIZED);
    assert_eq!(send(&root, "text/plain", "x").await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(send(&root, "application/json", "x").await, StatusCode::BAD_REQUEST);
    assert_eq!(send(&root, "application/json", "{\"query\":\"{ status { ready } }\"}").await, StatusCode::OK);
    let metrics = async |token: &str| {
        let request = Request::get("/metrics").header(header::AUTHORIZATION, format!("Bearer {token}"));
        plane.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status()
    };
    assert_eq!((metrics(APP_TOKEN).await, metrics(&root).await), (StatusCode::UNAUTHORIZED, StatusCode::OK));
    let get = Request::get("/admin/graphql?query={status{ready}}").body(Body::empty()).unwrap();
    assert_eq!(plane.router.clone().oneshot(get).await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
}
