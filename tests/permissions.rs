//! Every root field of the shop and of the control plane, asked by all kinds of callers. A field that is new is in no table yet, and
//! what anybody is answered without a permission is on a list that may only get shorter.

use expect_test::expect;
use serde_json::{Value, json};

use crate::apps::App;
use crate::production::{ISSUER, Production, outcome};
use crate::weir::PATIENCE;

/// Fields of the shop that are answered to who has no role: those that say nothing but what they are asked for by its customers, each
/// with rows of their own alone. This list may only get shorter.
const FOR_CUSTOMERS: [&str; 5] =
    ["mutation placeOrder", "query ordersOf", "query ordersPage", "subscription ordersOf", "subscription ordersPage"];

/// Fields of the shop, and of the control plane, that are answered to nobody in particular. These lists may only get shorter.
const FOR_ANYBODY: [&str; 0] = [];
const FOR_NO_ADMINISTRATOR: [&str; 0] = [];

/// What introspection tells of root fields.
const SHAPE: &str = "fields { name args { name defaultValue type { kind name ofType { kind name } } } \
                     type { kind name ofType { kind name ofType { kind } } } }";

/// A root field, and a document that asks for it with arguments that make it past validation.
struct Field {
    name: String,
    document: String,
}

/// All of them, in the order of the schema.
fn fields(schema: &Value) -> Vec<Field> {
    let mut all = Vec::new();
    for kind in ["query", "mutation", "subscription"] {
        let listed = schema["__schema"][format!("{kind}Type")]["fields"].as_array();
        for field in listed.into_iter().flatten() {
            let name = field["name"].as_str().unwrap();
            let arguments: Vec<String> =
                field["args"].as_array().unwrap().iter().filter_map(|one| argument(kind, one)).collect();
            let arguments = if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
            let of = &field["type"];
            let of = if of["kind"] == "NON_NULL" { &of["ofType"] } else { of };
            let selection = match (name, of["kind"].as_str().unwrap()) {
                ("batch", _) => " { error { code } }",
                (_, "SCALAR" | "ENUM") => "",
                (_, "LIST") if ["SCALAR", "ENUM"].iter().any(|kind| of["ofType"]["kind"] == **kind) => "",
                _ => " { __typename }",
            };
            all.push(Field {
                name: format!("{kind} {name}"),
                document: format!("{kind} {{ {name}{arguments}{selection} }}"),
            });
        }
    }
    all
}

/// An argument that has to be given. What is called by its name is what customers may not call.
fn argument(kind: &str, argument: &Value) -> Option<String> {
    let (name, of) = (argument["name"].as_str().unwrap(), &argument["type"]);
    if of["kind"] != "NON_NULL" || !argument["defaultValue"].is_null() {
        return None;
    }
    let value = match (name, of["ofType"]["kind"].as_str().unwrap(), of["ofType"]["name"].as_str()) {
        ("function", ..) if kind == "mutation" => "\"seed\"",
        ("function", ..) => "\"revenueByDay\"",
        ("calls", ..) => "[{ function: \"seed\" }]",
        (_, "LIST", _) => "[READ]",
        (_, _, Some("Int" | "Float")) => "1",
        (_, _, Some("Boolean")) => "true",
        _ => "\"x\"",
    };
    Some(format!("{name}: {value}"))
}

#[test]
fn every_field_of_the_shop_is_for_whom_its_policies_name() {
    let production = Production::start(App::copy_of("examples/shop"));
    let clerk = production.token("till", json!({ "roles": ["clerk"] }));
    let customer = production.token("ada", json!({ "customer": "c1" }));
    // A service is no customer, whatever it claims; and a token that others have signed is none.
    let other =
        crate::issuer::Key::make("k1").token(crate::production::ISSUER, &json!({ "sub": "eve", "roles": ["clerk"] }));
    let client = production.server.client().showing(&clerk);
    let shape = format!(
        "{{ __schema {{ queryType {{ {SHAPE} }} mutationType {{ {SHAPE} }} subscriptionType {{ {SHAPE} }} }} }}"
    );
    let fields = fields(&client.data(&shape));
    let ask = |token: Option<&str>, field: &Field| {
        if field.document.starts_with("subscription") {
            let first = production.pieces(token, "text/event-stream", &field.document).next();
            return outcome(&first.unwrap_or_else(|| panic!("{}: no event", field.name)));
        }
        let client = production.server.client();
        let client = token.map_or(client.clone(), |token| client.showing(token));
        outcome(&client.answer(&field.document, json!({})))
    };
    let mut table = String::new();
    let (mut for_anybody, mut for_customers) = (Vec::new(), Vec::new());
    for field in &fields {
        let [nobody, forged, low, high] =
            [None, Some(&other), Some(&customer), Some(&clerk)].map(|token| ask(token.map(String::as_str), field));
        for_anybody.extend([&nobody, &forged].iter().any(|outcome| is_let_in(outcome)).then_some(&*field.name));
        for_customers.extend(is_let_in(&low).then_some(&*field.name));
        assert!(is_let_in(&high), "{}: a clerk may do everything: {high}", field.name);
        table.push_str(&format!("{:<30} {nobody:<10} {forged:<16} {low:<16} {high}\n", field.name));
    }
    expect![[r#"
        query customerByEmail          FORBIDDEN  UNAUTHENTICATED  FORBIDDEN        ok
        query ordersOf                 FORBIDDEN  UNAUTHENTICATED  ok               ok
        query ordersPage               FORBIDDEN  UNAUTHENTICATED  ok               ok
        query revenueByDay             FORBIDDEN  UNAUTHENTICATED  FORBIDDEN        ok
        query invoke                   FORBIDDEN  UNAUTHENTICATED  FORBIDDEN        ok
        mutation addCustomer           FORBIDDEN  UNAUTHENTICATED  FORBIDDEN        FUNCTION_FAILED
        mutation removeCustomer        FORBIDDEN  UNAUTHENTICATED  FORBIDDEN        ok
        mutation seed                  FORBIDDEN  UNAUTHENTICATED  FORBIDDEN        ok
        mutation placeOrder            FORBIDDEN  UNAUTHENTICATED  FUNCTION_FAILED  FUNCTION_FAILED
        mutation payOrder              FORBIDDEN  UNAUTHENTICATED  FORBIDDEN        FUNCTION_FAILED
        mutation invoke                FORBIDDEN  UNAUTHENTICATED  FORBIDDEN        FUNCTION_FAILED
        mutation batch                 FORBIDDEN  UNAUTHENTICATED  FORBIDDEN        FUNCTION_FAILED
        subscription customerByEmail   FORBIDDEN  UNAUTHENTICATED  FORBIDDEN        ok
        subscription ordersOf          FORBIDDEN  UNAUTHENTICATED  ok               ok
        subscription ordersPage        FORBIDDEN  UNAUTHENTICATED  ok               ok
        subscription revenueByDay      FORBIDDEN  UNAUTHENTICATED  FORBIDDEN        ok
        subscription invoke            FORBIDDEN  UNAUTHENTICATED  FORBIDDEN        ok
    "#]]
    .assert_eq(&table);
    for_customers.sort_unstable();
    assert_eq!(for_customers, FOR_CUSTOMERS);
    assert_eq!(for_anybody, FOR_ANYBODY);
    assert_eq!(production.server.stop(), Some(0));
}

/// Whether it was decided that somebody may ask: what comes of it is another matter.
fn is_let_in(outcome: &str) -> bool {
    !["FORBIDDEN", "UNAUTHENTICATED"].contains(&outcome)
}

#[test]
fn every_field_of_the_control_plane_needs_its_permission() {
    // There are more fields by now than an address may guess tokens at once.
    let section = "keys = [{ file = \"issuer.json\" }]\n[rate.address]\nlogins_failed = \"100/s burst 1000\"";
    let production = Production::start_with(App::copy_of("examples/shop"), ISSUER, section);
    let make = |name: &str, permission: &str| {
        let made = production.on_data(&["admin", "token", "create", name, "--permission", permission]);
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        made.stdout.trim().to_owned()
    };
    let (reader, auditor) = (make("reader", "read"), make("auditor", "audit"));
    let clerk = production.token("root", json!({ "roles": ["clerk", "admin"], "permissions": ["administrators"] }));
    let ask = |token: Option<&str>, document: &str| -> Value {
        let mut request = minreq::post(format!("{}/admin/graphql", production.server.url))
            .with_header("content-type", "application/json")
            .with_timeout(PATIENCE.as_secs());
        if let Some(token) = token {
            request = request.with_header("authorization", format!("Bearer {token}"));
        }
        let response = request.with_body(json!({ "query": document }).to_string()).send().unwrap();
        serde_json::from_str(response.as_str().unwrap()).unwrap()
    };
    let shape = ask(
        Some(&production.root),
        &format!("{{ __schema {{ queryType {{ {SHAPE} }} mutationType {{ {SHAPE} }} }} }}"),
    );
    let (mut table, mut open) = (String::new(), Vec::new());
    for field in fields(&shape["data"]) {
        let [nobody, app, low, other] = [None, Some(&clerk), Some(&reader), Some(&auditor)]
            .map(|token| outcome(&ask(token.map(String::as_str), &field.document)));
        // Each field lacks the permission of one of the two, or of both.
        let is_open =
            [&nobody, &app].iter().any(|outcome| is_let_in(outcome)) || (is_let_in(&low) && is_let_in(&other));
        open.extend(is_open.then_some(field.name.clone()));
        table.push_str(&format!("{:<30} {nobody:<16} {app:<16} {low:<10} {other}\n", field.name));
    }
    expect![[r#"
        query status                   UNAUTHENTICATED  UNAUTHENTICATED  ok         FORBIDDEN
        query metrics                  UNAUTHENTICATED  UNAUTHENTICATED  ok         FORBIDDEN
        query releases                 UNAUTHENTICATED  UNAUTHENTICATED  ok         FORBIDDEN
        query rolloutStatus            UNAUTHENTICATED  UNAUTHENTICATED  ok         FORBIDDEN
        query rollouts                 UNAUTHENTICATED  UNAUTHENTICATED  ok         FORBIDDEN
        query rolloutStatements        UNAUTHENTICATED  UNAUTHENTICATED  ok         FORBIDDEN
        query shadowReport             UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        query experimentReport         UNAUTHENTICATED  UNAUTHENTICATED  NOT_FOUND  FORBIDDEN
        query building                 UNAUTHENTICATED  UNAUTHENTICATED  ok         FORBIDDEN
        query migration                UNAUTHENTICATED  UNAUTHENTICATED  ok         FORBIDDEN
        query release                  UNAUTHENTICATED  UNAUTHENTICATED  NOT_FOUND  FORBIDDEN
        query diff                     UNAUTHENTICATED  UNAUTHENTICATED  NOT_FOUND  FORBIDDEN
        query judge                    UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        query usage                    UNAUTHENTICATED  UNAUTHENTICATED  ok         FORBIDDEN
        query keys                     UNAUTHENTICATED  UNAUTHENTICATED  ok         FORBIDDEN
        query administrators           UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        query tenants                  UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        query environments             UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        query audit                    UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  ok
        mutation deploy                UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation startRollout          UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation advanceRollout        UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation pauseRollout          UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation resumeRollout         UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation promoteRollout        UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation unguardRollout        UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation rollBack              UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation trustKey              UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation rotateKey             UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation revokeKey             UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation revokeTokens          UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation eraseAudit            UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation createAdministrator   UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation createTenant          UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation changeTenant          UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation suspendTenant         UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation resumeTenant          UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation deleteTenant          UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation createEnvironment     UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation changeEnvironment     UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation suspendEnvironment    UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation resumeEnvironment     UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation deleteEnvironment     UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
        mutation revokeAdministrator   UNAUTHENTICATED  UNAUTHENTICATED  FORBIDDEN  FORBIDDEN
    "#]]
    .assert_eq(&table);
    assert_eq!(open, FOR_NO_ADMINISTRATOR);
    assert_eq!(production.server.stop(), Some(0));
}
