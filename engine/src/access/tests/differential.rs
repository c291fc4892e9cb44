//! Random policies, callers and documents: our evaluator and the rules that are left of policies answer as Cedar does.

use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Context, Decision as CedarDecision, Entities, EntityUid, PolicySet, Request as CedarRequest,
};
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::{app, members, token};
use crate::access::action::Action;
use crate::access::compile::unvalidated;
use crate::access::eval::{Entity, Request};
use crate::access::policies::Policies;
use crate::access::schema::Model;
use crate::access::value::Val;
use crate::call::{Caller, Identity, TokenKind};

/// Something that may be of the right type for its place.
fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "principal.subject",
        "principal.issuer",
        "resource.owner",
        "resource.org",
        "resource.status",
        "resource.note",
        "context.function",
        "principal.claims.org",
        "resource.ship.city",
        "resource.id",
        "\"ada\"",
        "\"acme\"",
        "\"mine\"",
        "\"open\"",
        "resource.missing",
        "principal.missing",
        "context.field",
        "(if resource has org then resource.org else \"x\")",
    ])
    .prop_map(str::to_owned)
}

fn number() -> impl Strategy<Value = String> {
    let atom = prop::sample::select(vec![
        "resource.amount",
        "principal.claims.level",
        "3",
        "-1",
        "9223372036854775807",
        "resource.owner",
        "resource.missing",
        "(-9223372036854775808)",
    ])
    .prop_map(str::to_owned);
    (atom.clone(), prop::option::of((prop::sample::select(vec!["+", "-", "*"]), atom))).prop_map(|(left, more)| {
        match more {
            Some((operator, right)) => format!("({left} {operator} {right})"),
            None => left,
        }
    })
}

fn strings() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "resource.tags",
        "principal.roles",
        "principal.scopes",
        "[\"a\", \"b\"]",
        "[\"b\"]",
        "principal.claims.groups",
        "[principal.subject, resource.owner]",
        "resource.owner",
        "[]",
        "[resource.missing]",
    ])
    .prop_map(str::to_owned)
}

fn entity() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "principal",
        "resource",
        "action",
        "Order::\"1\"",
        "Order::\"2\"",
        "User::\"https://issuer.example|ada\"",
        "Action::\"read\"",
        "Action::\"view\"",
        "UserDocument::\"1\"",
        "resource.owner",
    ])
    .prop_map(str::to_owned)
}

/// A condition.
fn condition() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (text(), prop::sample::select(vec!["==", "!="]), text()).prop_map(|(l, o, r)| format!("({l} {o} {r})")),
        (number(), prop::sample::select(vec!["<", "<=", ">", ">=", "=="]), number())
            .prop_map(|(l, o, r)| format!("({l} {o} {r})")),
        (strings(), prop::sample::select(vec!["containsAll", "containsAny"]), strings())
            .prop_map(|(l, o, r)| format!("({l}.{o}({r}))")),
        (strings(), text()).prop_map(|(l, r)| format!("({l}.contains({r}))")),
        strings().prop_map(|of| format!("({of}.isEmpty())")),
        (text(), prop::sample::select(vec!["a*", "*a", "*", "a*a", "ac*e", "o\\*"]))
            .prop_map(|(l, r)| format!("({l} like \"{r}\")")),
        (entity(), prop::sample::select(vec!["==", "in"]), entity()).prop_map(|(l, o, r)| format!("({l} {o} {r})")),
        (entity(), entity(), entity()).prop_map(|(l, a, b)| format!("({l} in [{a}, {b}])")),
        (entity(), prop::sample::select(vec!["Order", "User", "Service", "UserDocument"]))
            .prop_map(|(l, r)| format!("({l} is {r})")),
        (entity(), entity()).prop_map(|(l, r)| format!("({l} is Order in {r})")),
        (
            prop::sample::select(vec![
                "resource",
                "principal",
                "context",
                "principal.claims",
                "Order::\"1\"",
                "resource.owner"
            ]),
            prop::sample::select(vec![
                "org",
                "note",
                "owner",
                "ship.city",
                "ship.zip",
                "claims.level",
                "claims",
                "field",
                "missing",
                "urgent"
            ])
        )
            .prop_map(|(l, r)| format!("({l} has {r})")),
        prop::sample::select(vec![
            "true",
            "false",
            "resource.urgent",
            "resource.amount",
            "principal.claims.level",
            "resource.missing",
            "({a: 1, b: resource.owner}.b == principal.subject)",
            "(resource == {a: 1})",
            "Order::\"1\".urgent",
            "(resource.ship == {city: \"x\"})",
            "(resource.ship == {city: \"x\", zip: \"z\"})",
            "([1, resource.amount] == [resource.amount, 1])",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|of| format!("(!{of})")),
            (inner.clone(), inner.clone()).prop_map(|(l, r)| format!("({l} && {r})")),
            (inner.clone(), inner.clone()).prop_map(|(l, r)| format!("({l} || {r})")),
            (inner.clone(), inner.clone()).prop_map(|(l, r)| format!("({l} == {r})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(c, t, e)| format!("(if {c} then {t} else {e})")),
        ]
    })
}

fn policy() -> impl Strategy<Value = String> {
    let scopes = (
        prop::sample::select(vec!["permit", "permit", "forbid"]),
        prop::sample::select(vec![
            "principal",
            "principal",
            "principal is User",
            "principal == User::\"https://issuer.example|ada\"",
        ]),
        prop::sample::select(vec![
            "action",
            "action == Action::\"read\"",
            "action in Action::\"read\"",
            "action == Action::\"view\"",
            "action in [Action::\"read\", Action::\"update\"]",
            "action == Action::\"create\"",
        ]),
        prop::sample::select(vec![
            "resource",
            "resource is Order",
            "resource is Order",
            "resource == Order::\"1\"",
            "resource in Order::\"2\"",
            "resource is Order in Order::\"1\"",
            "resource is UserDocument",
        ]),
    );
    let clause =
        (prop::sample::select(vec!["when", "unless"]), condition()).prop_map(|(kind, of)| format!("{kind} {{ {of} }}"));
    (scopes, prop::collection::vec(clause, 0..3)).prop_map(|((effect, principal, action, resource), clauses)| {
        format!("{effect}({principal}, {action}, {resource}) {};\n", clauses.join(" "))
    })
}

fn document() -> impl Strategy<Value = Map<String, Json>> {
    let some = |values: Vec<Json>| prop::option::of(prop::sample::select(values));
    (
        prop::sample::select(vec!["1", "2"]),
        prop::sample::select(vec!["ada", "bob", "acme", "o*"]),
        some(vec![json!("acme"), json!("x"), Json::Null]),
        prop::sample::select(vec![0, 3, 5, i32::MAX]),
        prop::collection::vec(prop::sample::select(vec!["a", "b", "ada"]), 0..3),
        some(vec![json!("abca"), Json::Null]),
        some(vec![json!({ "city": "x" }), json!({ "city": "x", "zip": "z" })]),
        some(vec![json!(true), json!(false)]),
    )
        .prop_map(|(id, owner, org, amount, tags, note, ship, urgent)| {
            let mut all = members(json!({
                "id": id, "owner": owner, "amount": amount, "status": "open", "tags": tags, "total": 1.5, "extra": { "a": [1] },
            }));
            for (name, value) in [("org", org), ("note", note), ("ship", ship), ("urgent", urgent)] {
                all.extend(value.map(|value| (name.to_owned(), value)));
            }
            all
        })
}

fn caller() -> impl Strategy<Value = Caller> {
    let some = |values: Vec<Json>| prop::option::of(prop::sample::select(values));
    let tokens = (
        prop::sample::select(vec![TokenKind::User, TokenKind::Service]),
        prop::sample::select(vec!["ada", "bob"]),
        prop::sample::select(vec![vec![], vec!["a"], vec!["a", "b"]]),
        some(vec![json!("acme"), json!("x")]),
        some(vec![json!(3), json!(-1)]),
        some(vec![json!(["a"]), json!([])]),
    )
        .prop_map(|(kind, subject, roles, org, level, groups)| {
            let claims = [("org", org), ("level", level), ("groups", groups)];
            let claims: Map<String, Json> =
                claims.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
            token(kind, subject, &roles, Json::Object(claims))
        });
    prop_oneof![4 => tokens, 1 => Just(Caller::Anonymous)]
}

/// A value in Cedar's JSON.
fn cedar(value: &Val) -> Json {
    match value {
        Val::Bool(value) => json!(value),
        Val::Long(value) => json!(value),
        Val::String(text) => json!(&**text),
        Val::Entity(uid) => json!({ "__entity": { "type": &*uid.of, "id": &*uid.id } }),
        Val::Set(elements) => elements.iter().map(cedar).collect(),
        Val::Record(of) => Json::Object(of.iter().map(|(name, value)| (name.to_string(), cedar(value))).collect()),
    }
}

fn cedar_entity(entity: &Entity) -> Json {
    let attributes: Map<String, Json> =
        entity.attributes.iter().map(|(name, value)| (name.to_string(), cedar(value))).collect();
    json!({ "uid": { "type": &*entity.uid.of, "id": &*entity.uid.id }, "attrs": attributes, "parents": [] })
}

/// What Cedar decides, and which policies failed, by their numbers.
fn authorized(set: &PolicySet, request: &Request<'_>) -> (bool, Vec<usize>, Vec<usize>) {
    let actions = Action::ALL.into_iter().map(|action| {
        let parents: Vec<Json> =
            action.parent().iter().map(|parent| json!({ "type": "Action", "id": parent.name() })).collect();
        json!({ "uid": { "type": "Action", "id": action.name() }, "attrs": {}, "parents": parents })
    });
    let mut all: Vec<Json> = actions.collect();
    all.extend([cedar_entity(request.principal), cedar_entity(request.resource)]);
    let entities = Entities::from_json_value(Json::Array(all), None).unwrap();
    let uid = |of: &str, id: &str| EntityUid::from_json(json!({ "type": of, "id": id })).unwrap();
    let asked = CedarRequest::new(
        uid(&request.principal.uid.of, &request.principal.uid.id),
        uid("Action", request.action.name()),
        uid(&request.resource.uid.of, &request.resource.uid.id),
        Context::from_json_value(cedar(request.context), None).unwrap(),
        None,
    )
    .unwrap();
    let answer = Authorizer::new().is_authorized(&asked, set, &entities);
    let number = |id: &cedar_policy::PolicyId| id.to_string().trim_start_matches("policy").parse::<usize>().unwrap();
    let mut by: Vec<usize> = answer.diagnostics().reason().map(number).collect();
    let failed = answer.diagnostics().errors().map(|error| match error {
        cedar_policy::AuthorizationError::PolicyEvaluationError(error) => number(error.policy_id()),
    });
    let mut failed: Vec<usize> = failed.collect();
    by.sort_unstable();
    failed.sort_unstable();
    (answer.decision() == CedarDecision::Allow, by, failed)
}

fn context(action: Action) -> Val {
    let field = (action == Action::View).then(|| (Arc::from("field"), Val::string("note")));
    Val::record([(Arc::from("function"), Val::string("mine"))].into_iter().chain(field))
}

/// A document with all attributes that policies know.
fn resource(policies: &Policies, document: &Map<String, Json>) -> Entity {
    let known = &policies.model().collections["orders"];
    let attributes = known
        .members
        .iter()
        .filter_map(|(name, (of, _))| Some((Arc::from(name.as_str()), of.value(document.get(name)?)?)));
    let id = document["id"].as_str().unwrap();
    Entity { uid: crate::access::value::Uid::new(&known.entity, id), attributes: attributes.collect() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whole decisions, and the policies behind them.
    #[test]
    fn decisions_are_those_of_cedar(
        texts in prop::collection::vec(policy(), 1..5),
        caller in caller(),
        document in document(),
    ) {
        let text: String = texts.concat();
        let (declarations, settings) = &*APP;
        let policies = unvalidated(Model::of(declarations, settings), settings, &text);
        let set = PolicySet::from_str(&text).unwrap();
        let principal = Arc::new(policies.principal(&caller).unwrap());
        let resource = resource(&policies, &document);
        for action in Action::ALL {
            let context = context(action);
            let request = Request { principal: &principal, action, resource: &resource, context: &context };
            let decision = policies.decide(&request);
            let (allowed, by, failed) = authorized(&set, &request);
            let numbers = |policies: &[crate::access::policies::Deciding]| -> Vec<usize> {
                let mut numbers: Vec<usize> = policies.iter().map(|policy| policy.line as usize - 1).collect();
                numbers.sort_unstable();
                numbers
            };
            prop_assert_eq!(decision.allowed, allowed, "{:?} of {:?} on {:?}", action, &caller, &document);
            prop_assert_eq!(policies.allow(&request), allowed);
            prop_assert_eq!(numbers(&decision.by), by);
            prop_assert_eq!(numbers(&decision.failed), failed);
        }
    }

    /// What is left of policies for a caller decides each document as the whole policies do, from its text and from its members.
    #[test]
    fn rules_of_rows_are_what_cedar_decides(
        texts in prop::collection::vec(policy(), 1..5),
        caller in caller(),
        documents in prop::collection::vec(document(), 1..6),
    ) {
        let text: String = texts.concat();
        let (declarations, settings) = &*APP;
        let policies = unvalidated(Model::of(declarations, settings), settings, &text);
        let set = PolicySet::from_str(&text).unwrap();
        let principal = Arc::new(policies.principal(&caller).unwrap());
        let rules = policies.rules(&principal, &"mine".into(), "orders").unwrap();
        let equal = rules.equal();
        for document in &documents {
            let whole = resource(&policies, document);
            let stored = serde_json::to_vec(document).unwrap();
            let mut given = document.clone();
            let id = given.remove("id").unwrap();
            let picked = [rules.entity(&stored).unwrap(), rules.entity_of(id.as_str().unwrap(), &given)];
            let actions = [(Action::Read, &rules.read), (Action::Create, &rules.create), (Action::Update, &rules.update), (Action::Delete, &rules.delete)];
            for (action, rule) in actions {
                let context = context(action);
                let (allowed, ..) = authorized(&set, &Request { principal: &principal, action, resource: &whole, context: &context });
                for entity in &picked {
                    prop_assert_eq!(rules.allows(rule, entity), allowed, "{:?} of {:?} on {:?}", action, &caller, document);
                }
                if action == Action::Read && allowed {
                    for (field, value) in &equal {
                        prop_assert_eq!(document.get(field), Some(value), "narrowed by {}", field);
                    }
                }
            }
            let context = context(Action::View);
            let (allowed, ..) = authorized(&set, &Request { principal: &principal, action: Action::View, resource: &whole, context: &context });
            for entity in &picked {
                prop_assert_eq!(!rules.hidden(entity).any(|field| **field == *"note"), allowed, "view of {:?} on {:?}", &caller, document);
            }
        }
    }

    /// Callers who agree on all that policies look at are told the same.
    #[test]
    fn what_is_not_looked_at_makes_no_difference(
        texts in prop::collection::vec(policy(), 1..4),
        caller in caller(),
        other in caller(),
        documents in prop::collection::vec(document(), 1..4),
    ) {
        let text: String = texts.concat();
        let (declarations, settings) = &*APP;
        let policies = unvalidated(Model::of(declarations, settings), settings, &text);
        let observed = policies.observed("orders");
        let blended = blend(&caller, &other, observed, settings);
        let [first, second] = [&caller, &blended].map(|caller| {
            let principal = Arc::new(policies.principal(caller).unwrap());
            policies.rules(&principal, &"mine".into(), "orders").unwrap()
        });
        for document in &documents {
            let stored = serde_json::to_vec(document).unwrap();
            let told = [&first, &second].map(|rules| {
                let entity = rules.entity(&stored).unwrap();
                (rules.shows(&entity, &[]), rules.hidden(&entity).cloned().collect::<Vec<_>>())
            });
            prop_assert_eq!(&told[0], &told[1], "{:?} and {:?} by {:?}", &caller, &blended, &observed);
        }
    }
}

/// A caller who has of the first what was looked at, and everything else of the second.
fn blend(
    caller: &Caller,
    other: &Caller,
    observed: &[weir_sandbox::protocol::Observed],
    settings: &weir_schema::caller::CallerSettings,
) -> Caller {
    use weir_sandbox::protocol::Observed;
    let (Caller::Token(one), Caller::Token(two)) = (caller, other) else { return caller.clone() };
    let pick = |what: Observed| if observed.contains(&what) { one } else { two };
    let claims = settings.claims.keys().enumerate().filter_map(|(place, name)| {
        let from = pick(Observed::Claim(u8::try_from(place).unwrap()));
        Some((name.clone(), from.claims.get(name)?.clone()))
    });
    Caller::Token(Arc::new(Identity {
        kind: pick(Observed::Kind).kind,
        issuer: pick(Observed::Issuer).issuer.clone(),
        subject: pick(Observed::Subject).subject.clone(),
        roles: pick(Observed::Roles).roles.clone(),
        scopes: pick(Observed::Scopes).scopes.clone(),
        claims: claims.collect(),
    }))
}

static APP: std::sync::LazyLock<(weir_schema::declarations::Declarations, weir_schema::caller::CallerSettings)> =
    std::sync::LazyLock::new(app);
