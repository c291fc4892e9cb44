//! What is wrong with policies, and where.

use expect_test::{Expect, expect};

use super::{compiled, rendered};

fn check(text: &str, expected: Expect) {
    let mistakes = compiled(text).err().unwrap_or_default();
    expected.assert_eq(&rendered(&mistakes));
}

#[test]
fn text_that_is_no_policy() {
    check(
        "permit(principal, action, resource) when { principal.roles.contains(\"a\") ;",
        expect![[r#"
        error: unexpected token `;`
         --> policies.cedar:1:74
          |
        1 | permit(principal, action, resource) when { principal.roles.contains("a") ;
          |                                                                          ^
        help: expected `!=`, `&&`, `(`, `*`, `+`, `-`, `.`, `<`, `<=`, `==`, `>`, `>=`, `[`, `||`, `}`, `has`, `in`, `is`, or `like`
    "#]],
    );
}

#[test]
fn attributes_that_are_not_there() {
    check(
        "// Orders of others are not for anybody.\npermit(principal is User, action == Action::\"read\", resource is Order)\nwhen { resource.owner == principal.subjct };\n",
        expect![[r#"
            error: attribute `subjct` on entity type `User` not found
             --> policies.cedar:3:26
              |
            3 | when { resource.owner == principal.subjct };
              |                          ^^^^^^^^^^^^^^^^
            help: did you mean `subject`?
        "#]],
    );
    // `Float` has no counterpart in Cedar.
    check(
        "permit(principal, action == Action::\"read\", resource is Order) when { resource.total == 1 };",
        expect![[r#"
            error: attribute `total` on entity type `Order` not found
             --> policies.cedar:1:71
              |
            1 | permit(principal, action == Action::"read", resource is Order) when { resource.total == 1 };
              |                                                                       ^^^^^^^^^^^^^^
            help: did you mean `note`?
        "#]],
    );
    // Nobody without a token has a subject.
    check(
        "permit(principal, action == Action::\"read\", resource is Order) when { resource.owner == principal.subject };",
        expect![[r#"
            error: attribute `subject` on entity type `Anonymous` not found
             --> policies.cedar:1:89
              |
            1 | permit(principal, action == Action::"read", resource is Order) when { resource.owner == principal.subject };
              |                                                                                         ^^^^^^^^^^^^^^^^^
            help: did you mean `scopes`?
            error: attribute `subject` on entity type `Developer` not found
             --> policies.cedar:1:89
              |
            1 | permit(principal, action == Action::"read", resource is Order) when { resource.owner == principal.subject };
              |                                                                                         ^^^^^^^^^^^^^^^^^
            help: did you mean `scopes`?
        "#]],
    );
}

#[test]
fn what_may_be_absent_is_asked_for_first() {
    check(
        "permit(principal is User, action == Action::\"read\", resource is Order) when { resource.org == principal.claims.org };",
        expect![[r#"
            error: unable to guarantee safety of access to optional attribute `org` on entity type `Order`
             --> policies.cedar:1:79
              |
            1 | permit(principal is User, action == Action::"read", resource is Order) when { resource.org == principal.claims.org };
              |                                                                               ^^^^^^^^^^^^
            help: try testing for the attribute's presence with `e has org && ..`
            error: unable to guarantee safety of access to optional attribute `claims.org` on entity type `User`
             --> policies.cedar:1:95
              |
            1 | permit(principal is User, action == Action::"read", resource is Order) when { resource.org == principal.claims.org };
              |                                                                                               ^^^^^^^^^^^^^^^^^^^^
            help: try testing for the attribute's presence with `e.claims has org && ..`
        "#]],
    );
    check(
        "permit(principal is User, action == Action::\"read\", resource is Order)\nwhen { resource has org && principal.claims has org && resource.org == principal.claims.org };",
        expect![[""]],
    );
}

#[test]
fn names_that_the_app_does_not_have() {
    check(
        "permit(principal, action == Action::\"call\", resource == Function::\"plcae\");",
        expect![[r#"
        error: the app has no function "plcae"
         --> policies.cedar:1:57
          |
        1 | permit(principal, action == Action::"call", resource == Function::"plcae");
          |                                                         ^^^^^^^^^^^^^^^^^
        help: functions of the app: mine, ordersOf, place, close
    "#]],
    );
    check(
        "permit(principal, action == Action::\"reed\", resource);",
        expect![[r#"
        error: unrecognized action `Action::"reed"`
         --> policies.cedar:1:29
          |
        1 | permit(principal, action == Action::"reed", resource);
          |                             ^^^^^^^^^^^^^^
        help: did you mean `Action::"read"`?
    "#]],
    );
    check(
        "permit(principal, action == Action::\"read\", resource is Ordre);",
        expect![[r#"
        error: unrecognized entity type `Ordre`
         --> policies.cedar:1:57
          |
        1 | permit(principal, action == Action::"read", resource is Ordre);
          |                                                         ^^^^^
        help: did you mean `Order`?
    "#]],
    );
    check(
        "permit(principal is User, action == Action::\"read\", resource is Function);",
        expect![[r#"
        error: policy is impossible: the policy expression evaluates to false for all valid requests
         --> policies.cedar:1:1
          |
        1 | permit(principal is User, action == Action::"read", resource is Function);
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        error: unable to find an applicable action given the policy scope constraints
         --> policies.cedar:1:1
          |
        1 | permit(principal is User, action == Action::"read", resource is Function);
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]],
    );
}

#[test]
fn arguments_have_the_types_of_the_function_that_is_named() {
    let place = "permit(principal is User, action == Action::\"call\", resource == Function::\"place\") when";
    check(
        &format!("{place} {{ context.args.owner == principal.subject && context.args.amount < 100 }};"),
        expect![[""]],
    );
    check(
        &format!("{place} {{ context.args.gift }};"),
        expect![[r#"
        error: unable to guarantee safety of access to optional attribute `args.gift` in context for Action::"call"
         --> policies.cedar:1:91
          |
        1 | permit(principal is User, action == Action::"call", resource == Function::"place") when { context.args.gift };
          |                                                                                           ^^^^^^^^^^^^^^^^^
        help: try testing for the attribute's presence with `context.args has gift && ..`
    "#]],
    );
    let any = "permit(principal is User, action == Action::\"call\", resource) when";
    check(&format!("{any} {{ context.args has owner && context.args.owner == principal.subject }};"), expect![[""]]);
    // Some functions take a number and others a text.
    check(
        &format!("{any} {{ context.args has limit && context.args.limit == 1 }};"),
        expect![[r#"
        error: policy is impossible: the policy expression evaluates to false for all valid requests
         --> policies.cedar:1:1
          |
        1 | permit(principal is User, action == Action::"call", resource) when { context.args has limit && context.args.limit == 1 };
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]],
    );
}

#[test]
fn templates_and_ids_that_stand_twice() {
    check(
        "permit(principal == ?principal, action, resource);",
        expect![[r#"
        error: a template is no policy: nothing links it
         --> policies.cedar:1:1
          |
        1 | permit(principal == ?principal, action, resource);
          | ^
        help: write the entity in place of ?principal and ?resource
    "#]],
    );
    check(
        "@id(\"a\")\npermit(principal, action == Action::\"call\", resource);\n@id(\"a\")\nforbid(principal, action == Action::\"call\", resource);",
        expect![[r#"
            error: another policy has the id "a" as well
             --> policies.cedar:3:1
              |
            3 | @id("a")
              | ^
        "#]],
    );
}

#[test]
fn rates_that_are_none_or_stand_elsewhere() {
    let call = "permit(principal, action == Action::\"call\", resource);";
    check(&format!("@id(\"a\")\n@rate(\"10/s burst 20\")\n{call}"), expect![[""]]);
    check(
        &format!("// Ten a day.\n@id(\"a\")\n@rate(\"10/d\")\n{call}"),
        expect![[r#"
            error: @rate: "10/d" is no rate: write a number for each second, minute or hour, such as "10/s", "600/m burst 50" or "5/h"
             --> policies.cedar:3:1
              |
            3 | @rate("10/d")
              | ^^^^^^^^^^^^^
        "#]],
    );
    check(
        &format!("@rate(\"10/s\") {call}"),
        expect![[r#"
            error: a policy with @rate needs an @id, by which it is known how often it was used
             --> policies.cedar:1:1
              |
            1 | @rate("10/s") permit(principal, action == Action::"call", resource);
              | ^^^^^^^^^^^^^
        "#]],
    );
    let elsewhere = [
        "forbid(principal, action == Action::\"call\", resource);",
        "permit(principal, action == Action::\"read\", resource is Order);",
        "permit(principal, action in [Action::\"call\", Action::\"read\"], resource);",
        "permit(principal, action, resource);",
    ];
    for policy in elsewhere {
        let mistakes = compiled(&format!("@id(\"a\")\n@rate(\"10/s\")\n{policy}")).err().unwrap_or_default();
        let told: Vec<_> = mistakes.iter().map(|mistake| (mistake.line, mistake.message.as_str())).collect();
        assert_eq!(
            told,
            [(2, "@rate stands on a permit of Action::\"call\" alone: how often a call is allowed")],
            "{policy}"
        );
    }
}
