//! Comparison of outlines that are made by hand: what Weir's own schemas do not have. Everything else is compared with what
//! GraphQL.js says (`tests/schema_changes.rs`).

use expect_test::{Expect, expect};
use serde_json::Number;

use super::*;
use crate::outline::Literal;

fn named(name: &str) -> Ty {
    Ty::Named(name.to_owned())
}

fn list(of: Ty) -> Ty {
    Ty::List(Box::new(of))
}

fn required(of: Ty) -> Ty {
    Ty::NonNull(Box::new(of))
}

fn input(ty: Ty, default: Option<Literal>) -> OutlineInput {
    OutlineInput { ty, default }
}

fn outline(types: impl IntoIterator<Item = (&'static str, OutlineType)>) -> Outline {
    let types = types.into_iter().map(|(name, ty)| (name.to_owned(), ty)).collect();
    Outline { types, directives: IndexMap::new() }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn check(old: &Outline, new: &Outline, expected: Expect) {
    let changes = between(old, new);
    let lines: String =
        changes.iter().map(|change| format!("{}: {}\n", change.kind.name(), change.description)).collect();
    expected.assert_eq(&lines);
}

#[test]
fn types_may_only_get_narrower_in_results_and_wider_in_arguments() {
    let types = [
        named("A"),
        required(named("A")),
        list(named("A")),
        list(required(named("A"))),
        required(list(named("A"))),
        required(list(required(named("A")))),
        named("B"),
    ];
    let safe = |is_safe: fn(&Ty, &Ty) -> bool| {
        let pairs = types.iter().flat_map(|old| types.iter().map(move |new| (old, new)));
        let pairs = pairs.filter(|(old, new)| old != new && is_safe(old, new));
        pairs.map(|(old, new)| format!("{old} -> {new}\n")).collect::<String>()
    };
    expect![[r#"
        A -> A!
        [A] -> [A!]
        [A] -> [A]!
        [A] -> [A!]!
        [A!] -> [A!]!
        [A]! -> [A!]!
    "#]]
    .assert_eq(&safe(gives_only));
    expect![[r#"
        A! -> A
        [A!] -> [A]
        [A]! -> [A]
        [A!]! -> [A]
        [A!]! -> [A!]
        [A!]! -> [A]!
    "#]]
    .assert_eq(&safe(takes_all_of));
}

#[test]
fn interfaces_and_kinds_are_compared() {
    let object =
        |interfaces: &[&str]| OutlineType::Object(Composite { interfaces: names(interfaces), ..Composite::default() });
    check(
        &outline([("T", object(&["A", "B"])), ("U", object(&[])), ("V", OutlineType::Scalar)]),
        &outline([("T", object(&["B", "C"])), ("U", OutlineType::Scalar), ("V", OutlineType::Enum(names(&["a"])))]),
        expect![[r#"
            IMPLEMENTED_INTERFACE_REMOVED: T no longer implements interface A.
            TYPE_CHANGED_KIND: U changed from an Object type to a Scalar type.
            TYPE_CHANGED_KIND: V changed from a Scalar type to an Enum type.
            IMPLEMENTED_INTERFACE_ADDED: C added to interfaces implemented by T.
        "#]],
    );
}

#[test]
fn directives_are_compared() {
    let directive = |arguments: &[(&str, Ty)], repeatable, locations: &[&str]| OutlineDirective {
        arguments: arguments.iter().map(|(name, ty)| ((*name).to_owned(), input(ty.clone(), None))).collect(),
        repeatable,
        locations: names(locations),
    };
    let with = |directives: [(&str, OutlineDirective); 2]| Outline {
        types: IndexMap::new(),
        directives: directives.into_iter().map(|(name, directive)| (name.to_owned(), directive)).collect(),
    };
    let string = named("String");
    check(
        &with([
            ("gone", directive(&[], false, &["FIELD"])),
            ("kept", directive(&[("a", string.clone())], true, &["FIELD", "QUERY"])),
        ]),
        &with([
            ("kept", directive(&[("b", string.clone()), ("c", required(string))], false, &["FIELD", "OBJECT"])),
            ("new", directive(&[], false, &["FIELD"])),
        ]),
        expect![[r#"
            DIRECTIVE_REMOVED: gone was removed.
            REQUIRED_DIRECTIVE_ARG_ADDED: A required arg c on directive kept was added.
            DIRECTIVE_ARG_REMOVED: a was removed from kept.
            DIRECTIVE_REPEATABLE_REMOVED: Repeatable flag was removed from kept.
            DIRECTIVE_LOCATION_REMOVED: QUERY was removed from kept.
            OPTIONAL_DIRECTIVE_ARG_ADDED: An optional arg b on directive kept was added.
            DIRECTIVE_LOCATION_ADDED: OBJECT was added to kept.
            DIRECTIVE_ADDED: Directive @new was added.
        "#]],
    );
}

#[test]
fn defaults_are_compared_as_what_they_mean() {
    let number = |text: &str| Literal::Number(text.parse::<Number>().unwrap());
    let object = |members: &[(&str, Literal)]| {
        Literal::Object(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    };
    let point = OutlineType::Input(IndexMap::from([
        ("x".to_owned(), input(named("Float"), Some(number("0")))),
        ("y".to_owned(), input(named("Float"), None)),
    ]));
    let schema = outline([("Point", point), ("E", OutlineType::Enum(names(&["a"]))), ("Any", OutlineType::Scalar)]);
    let table = [
        (named("Float"), number("1.0"), number("1"), true),
        (named("Float"), number("1.5"), number("1"), false),
        (list(named("Int")), number("1"), Literal::List(vec![number("1")]), true),
        (list(list(named("Int"))), number("1"), Literal::List(vec![Literal::List(vec![number("1")])]), true),
        (named("ID"), Literal::String("7".into()), number("7"), true),
        (named("ID"), Literal::String("07".into()), number("7"), false),
        (named("String"), Literal::String("7".into()), number("7"), false),
        (named("Point"), object(&[("y", number("1"))]), object(&[("y", number("1.0")), ("x", number("0"))]), true),
        (named("Point"), object(&[("x", number("1"))]), object(&[]), false),
        (named("E"), Literal::Enum("a".into()), Literal::Null, false),
        (
            named("Any"),
            object(&[("b", number("1")), ("a", Literal::Boolean(true))]),
            object(&[("a", Literal::Boolean(true)), ("b", number("1"))]),
            true,
        ),
    ];
    for (ty, a, b, same) in table {
        let (a_text, b_text) =
            (defaults::written(&a, &ty, &schema), defaults::written(&b, &required(ty.clone()), &schema));
        assert_eq!(a_text == b_text, same, "{ty}: {a_text} and {b_text}");
    }
}
