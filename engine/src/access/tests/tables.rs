//! Callers, actions and policies: what is decided.

use expect_test::{Expect, expect};
use serde_json::{Value as Json, json};

use super::{app, members, policies, token, user};
use crate::access::action::Action;
use crate::access::question::Question;
use crate::call::{Caller, TokenKind};

const SHOP: &str = r#"
@id("signed in")
permit(principal is User, action == Action::"call", resource) when { resource.kind == "query" };

@id("place for oneself")
permit(principal is User, action == Action::"call", resource == Function::"place")
when { context.args.owner == principal.subject && context.args.amount <= 100 };

@id("own orders")
permit(principal is User, action in [Action::"read", Action::"update"], resource is Order)
when { resource.owner == principal.subject };

@id("clerks of the org")
permit(principal, action in Action::"read", resource is Order)
when { principal.roles.contains("clerk") && principal.claims has org && resource has org && resource.org == principal.claims.org };

@id("paid is paid")
forbid(principal, action == Action::"update", resource is Order) when { resource.status == "paid" };

@id("notes are private")
forbid(principal, action == Action::"view", resource is Order)
when { context.field == "note" } unless { principal is User && resource.owner == principal.subject };

@id("a function that may more")
permit(principal, action == Action::"read", resource is Order) when { context.function == "close" };

@id("fails")
permit(principal, action == Action::"delete", resource is Order) when { resource.amount + 9223372036854775807 > 0 };

@id("people")
permit(principal, action in Action::"read", resource is UserDocument) when { principal.roles.contains("admin") };
"#;

/// Who asks for what, line by line, and what is answered by which policies.
fn check(questions: &[(&str, Question)], expected: Expect) {
    let (declarations, _) = app();
    let policies = policies(SHOP);
    let mut text = String::new();
    for (name, question) in questions {
        for (who, caller) in callers() {
            let decision = policies.answer(&declarations, &caller, question).unwrap();
            let by: Vec<&str> = decision.by.iter().chain(&decision.failed).map(|policy| policy.name.as_str()).collect();
            let failed = if decision.failed.is_empty() { "" } else { " failed" };
            let decided = if decision.allowed { "allow" } else { "deny" };
            let line = format!("{name:<18} {who:<10} {decided:<6}{}{failed}", by.join(", "));
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    expected.assert_eq(&text);
}

fn callers() -> Vec<(&'static str, Caller)> {
    vec![
        ("developer", Caller::Developer),
        ("scheduler", Caller::Scheduler),
        ("anonymous", Caller::Anonymous),
        ("ada", user("ada")),
        ("bob", user("bob")),
        ("clerk", token(TokenKind::Service, "till", &["clerk"], json!({ "org": "acme", "level": 3 }))),
        ("admin", token(TokenKind::User, "root", &["admin"], json!({}))),
    ]
}

fn call(function: &str, arguments: Json) -> Question {
    Question::Call { function: function.into(), arguments: members(arguments) }
}

fn on(action: Action, document: Json) -> Question {
    let document = members(document);
    Question::Document { action, collection: "orders".into(), document, function: "mine".into(), field: None }
}

fn order(status: &str) -> Json {
    json!({ "owner": "ada", "org": "acme", "amount": 5, "status": status, "tags": [], "note": "n" })
}

#[test]
fn calls() {
    check(
        &[
            ("mine", call("mine", json!({}))),
            ("place ada 100", call("place", json!({ "owner": "ada", "amount": 100 }))),
            ("place ada 101", call("place", json!({ "owner": "ada", "amount": 101 }))),
        ],
        expect![[r#"
            mine               developer  allow
            mine               scheduler  allow
            mine               anonymous  deny
            mine               ada        allow signed in
            mine               bob        allow signed in
            mine               clerk      deny
            mine               admin      allow signed in
            place ada 100      developer  allow
            place ada 100      scheduler  allow
            place ada 100      anonymous  deny
            place ada 100      ada        allow place for oneself
            place ada 100      bob        deny
            place ada 100      clerk      deny
            place ada 100      admin      deny
            place ada 101      developer  allow
            place ada 101      scheduler  allow
            place ada 101      anonymous  deny
            place ada 101      ada        deny
            place ada 101      bob        deny
            place ada 101      clerk      deny
            place ada 101      admin      deny
        "#]],
    );
}

#[test]
fn documents() {
    check(
        &[
            ("read", on(Action::Read, order("open"))),
            ("update open", on(Action::Update, order("open"))),
            ("update paid", on(Action::Update, order("paid"))),
            ("delete", on(Action::Delete, order("open"))),
            ("create", on(Action::Create, order("open"))),
        ],
        expect![[r#"
            read               developer  allow
            read               scheduler  allow
            read               anonymous  deny
            read               ada        allow own orders
            read               bob        deny
            read               clerk      allow clerks of the org
            read               admin      deny
            update open        developer  allow
            update open        scheduler  allow
            update open        anonymous  deny
            update open        ada        allow own orders
            update open        bob        deny
            update open        clerk      deny
            update open        admin      deny
            update paid        developer  allow
            update paid        scheduler  allow
            update paid        anonymous  deny  paid is paid
            update paid        ada        deny  paid is paid
            update paid        bob        deny  paid is paid
            update paid        clerk      deny  paid is paid
            update paid        admin      deny  paid is paid
            delete             developer  allow
            delete             scheduler  allow
            delete             anonymous  deny  fails failed
            delete             ada        deny  fails failed
            delete             bob        deny  fails failed
            delete             clerk      deny  fails failed
            delete             admin      deny  fails failed
            create             developer  allow
            create             scheduler  allow
            create             anonymous  deny
            create             ada        deny
            create             bob        deny
            create             clerk      deny
            create             admin      deny
        "#]],
    );
}

#[test]
fn members_of_documents() {
    let view = |field: &str| Question::Document {
        action: Action::View,
        collection: "orders".into(),
        document: members(order("open")),
        function: "mine".into(),
        field: Some(field.into()),
    };
    check(
        &[("view note", view("note")), ("view amount", view("amount"))],
        expect![[r#"
        view note          developer  allow
        view note          scheduler  allow
        view note          anonymous  deny  notes are private
        view note          ada        allow own orders
        view note          bob        deny  notes are private
        view note          clerk      deny  notes are private
        view note          admin      deny  notes are private
        view amount        developer  allow
        view amount        scheduler  allow
        view amount        anonymous  deny
        view amount        ada        allow own orders
        view amount        bob        deny
        view amount        clerk      allow clerks of the org
        view amount        admin      deny
    "#]],
    );
}

#[test]
fn a_function_may_more_than_its_callers() {
    let read = |function: &str, collection: &str, document: Json| Question::Document {
        action: Action::Read,
        collection: collection.into(),
        document: members(document),
        function: function.into(),
        field: None,
    };
    check(
        &[
            ("through mine", read("mine", "orders", order("open"))),
            ("through close", read("close", "orders", order("open"))),
            ("of a taken name", read("mine", "users", json!({ "name": "a", "email": "b" }))),
        ],
        expect![[r#"
            through mine       developer  allow
            through mine       scheduler  allow
            through mine       anonymous  deny
            through mine       ada        allow own orders
            through mine       bob        deny
            through mine       clerk      allow clerks of the org
            through mine       admin      deny
            through close      developer  allow
            through close      scheduler  allow
            through close      anonymous  allow a function that may more
            through close      ada        allow own orders, a function that may more
            through close      bob        allow a function that may more
            through close      clerk      allow clerks of the org, a function that may more
            through close      admin      allow a function that may more
            of a taken name    developer  allow
            of a taken name    scheduler  allow
            of a taken name    anonymous  deny
            of a taken name    ada        deny
            of a taken name    bob        deny
            of a taken name    clerk      deny
            of a taken name    admin      allow people
        "#]],
    );
}

#[test]
fn questions_that_make_no_sense() {
    let (declarations, _) = app();
    let policies = policies(SHOP);
    let view = Question::Document {
        action: Action::View,
        collection: "orders".into(),
        document: members(json!({})),
        function: String::new(),
        field: None,
    };
    let table = [
        (call("plcae", json!({})), "the app has no function \"plcae\"; it has: mine"),
        (call("place", json!({ "owner": 1, "amount": 1 })), "args.owner: expected a string"),
        (on(Action::Read, json!({ "ownr": 1 })), "the app has no member \"ownr\"; it has: owner"),
        (on(Action::Read, json!({ "owner": 1 })), "orders.owner is a string, not 1"),
        (view, "`view` names a member"),
    ];
    for (question, expected) in table {
        let error = policies.answer(&declarations, &Caller::Anonymous, &question).unwrap_err().to_string();
        assert!(error.contains(expected), "{question:?}: {error}");
    }
}

#[test]
fn without_a_policy_everything_is_denied_but_to_the_developer() {
    let (declarations, _) = app();
    let policies = policies("");
    for (who, caller) in callers() {
        let is_free = matches!(caller, Caller::Developer | Caller::Scheduler);
        for question in [call("mine", json!({})), on(Action::Read, order("open")), on(Action::Create, order("open"))] {
            let decision = policies.answer(&declarations, &caller, &question).unwrap();
            assert_eq!(decision.allowed, is_free, "{who}: {question:?}");
        }
    }
}

/// A job keeps its caller's claims as they were; the app may declare others since. Policies see what scripts see.
#[test]
fn claims_of_another_type_are_not_there() {
    let (declarations, _) = app();
    let policies = policies(
        r#"
        permit(principal, action == Action::"call", resource == Function::"mine")
        when { principal.claims has groups && principal.claims.groups.contains("a") };
        permit(principal, action == Action::"call", resource == Function::"mine")
        when { principal.claims has level && principal.claims.level > 0 };
        "#,
    );
    let table = [
        (json!({ "groups": ["a", "b"] }), true),
        (json!({ "groups": ["a", 1] }), false),
        (json!({ "groups": ["a", null] }), false),
        (json!({ "groups": "a" }), false),
        (json!({ "level": 9_007_199_254_740_991_i64 }), true),
        (json!({ "level": 9_007_199_254_740_992_i64 }), false),
        (json!({ "level": 1.5 }), false),
        (json!({}), false),
    ];
    for (claims, expected) in table {
        let caller = token(TokenKind::User, "ada", &[], claims.clone());
        let decision = policies.answer(&declarations, &caller, &call("mine", json!({}))).unwrap();
        assert_eq!(decision.allowed, expected, "{claims}");
        let seen = caller.in_script(&app().1).text();
        assert_eq!(seen.contains("\"claims\":[null,null,null,null]"), !expected, "{claims}: {seen}");
    }
}

#[test]
fn the_most_generous_permit_says_how_often_a_call_is_made() {
    let text = r#"
@id("reading")
@rate("10/m")
permit(principal, action == Action::"call", resource) when { resource.kind == "query" };

@id("more for clerks")
@rate("60/m burst 5")
permit(principal, action == Action::"call", resource) when { principal.roles.contains("clerk") };

@id("as many in an hour, and more at once")
@rate("600/h burst 40")
permit(principal is User, action == Action::"call", resource == Function::"mine");

@id("as much as they like")
permit(principal, action == Action::"call", resource) when { principal.roles.contains("admin") };

@id("small ones")
@rate("1/s")
permit(principal is User, action == Action::"call", resource == Function::"place") when { context.args.amount < 5 };

@id("not for cy")
forbid(principal, action == Action::"call", resource) when { principal is User && principal.subject == "cy" };
"#;
    let (declarations, _) = app();
    let policies = policies(text);
    let clerk = token(TokenKind::Service, "till", &["clerk"], json!({}));
    let admin = token(TokenKind::User, "root", &["admin", "clerk"], json!({}));
    let place = |amount: i32| call("place", json!({ "owner": "ada", "amount": amount }));
    let table = [
        (&Caller::Anonymous, call("mine", json!({})), Some("reading 10/m")),
        (&user("ada"), call("mine", json!({})), Some("as many in an hour, and more at once 600/h burst 40")),
        (&user("ada"), call("ordersOf", json!({ "owner": "x" })), Some("reading 10/m")),
        (&user("ada"), place(1), Some("small ones 1/s")),
        (&user("ada"), place(5), None),
        (&user("cy"), call("mine", json!({})), None),
        (&clerk, call("mine", json!({})), Some("more for clerks 60/m burst 5")),
        (&admin, call("mine", json!({})), None),
        (&Caller::Developer, call("mine", json!({})), None),
        (&user("ada"), on(Action::Read, order("open")), None),
    ];
    for (caller, question, expected) in table {
        let rate = policies.answer(&declarations, caller, &question).unwrap().rate;
        let rate = rate.map(|rate| format!("{} {}", rate.policy, rate.rate));
        assert_eq!(rate.as_deref(), expected, "{caller:?}: {question:?}");
    }
}
