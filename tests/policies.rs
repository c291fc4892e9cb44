//! `weir policy`, and what `weir check` makes of `policies.cedar`.

use expect_test::expect;

use crate::apps::App;
use crate::weir::run;

#[test]
fn the_policies_of_the_shop_decide_as_its_table_says() {
    let app = App::copy_of("examples/shop");
    let path = app.path();
    let ended = run(&["policy", "test", path.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    expect![[r#"
            caller     action  on               expected  decided by
        ok  anonymous  call    ordersPage       deny      no policy
        ok  ada        call    placeOrder       allow     customers look and order (policies.cedar:6)
        ok  ada        call    seed             deny      no policy
        ok  clerk      call    seed             allow     clerks (policies.cedar:3)
        ok  ada        read    orders           allow     own orders (policies.cedar:15)
        ok  ada        read    orders           deny      no policy
        ok  ada        create  orders           deny      what is placed is not paid yet (policies.cedar:19)
        ok  ada        update  orders           deny      no policy
        ok  ada        view    customers.email  allow     own account (policies.cedar:11)
        ok  ada        view    customers.email  deny      no policy
        10 cases, all as expected
    "#]]
    .assert_eq(&ended.stdout);
    app.edit("policies.cedar", "resource.id == principal.claims.customer", "resource.id != principal.claims.customer");
    let ended = run(&["policy", "test", path.to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stdout.lines().filter(|line| line.starts_with("WRONG")).count(), 2, "{}", ended.stdout);
    assert!(ended.stderr.starts_with("weir: 2 of 10 cases are decided otherwise"), "{}", ended.stderr);
}

#[test]
fn a_decision_is_explained() {
    let app = App::copy_of("examples/shop");
    app.write("ada.json", r#"{ "kind": "user", "subject": "ada", "claims": { "customer": "c1" } }"#);
    let path = app.path();
    let explain = |caller: &str, more: &[&str]| {
        let arguments: Vec<&str> = ["policy", "explain", path.to_str().unwrap(), "--caller", caller]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        let ended = run(&arguments);
        format!("{}{}", ended.stdout, ended.stderr)
    };
    let ada = path.join("ada.json");
    let ada = ada.to_str().unwrap();
    let read = ["--read", "orders", "--document", r#"{"customer": "c1"}"#, "--function", "ordersOf"];
    assert_eq!(explain(ada, &read), "allow\n  permitted by own orders (policies.cedar:15)\n");
    assert_eq!(explain(r#"{"kind": "anonymous"}"#, &["--call", "seed"]), "deny\n  no policy permits it\n");
    assert_eq!(
        explain(r#"{"kind": "developer"}"#, &["--call", "seed"]),
        "allow\n  no policy is asked about this caller\n"
    );
    let forbidden = ["--create", "orders", "--document", r#"{"status": "paid"}"#, "--function", "placeOrder", "--json"];
    let line = r#"{"decision":"deny","by":[{"id":"what is placed is not paid yet","line":19}],"failed":[]}"#;
    assert_eq!(explain(r#"{"kind": "user", "subject": "x"}"#, &forbidden), format!("{line}\n"));
    app.write(
        "policies.cedar",
        "@id(\"browsing\")\n@rate(\"100/m burst 20\")\npermit(principal, action == Action::\"call\", resource);\n",
    );
    let told = "allow\n  permitted by browsing (policies.cedar:1)\n  no more often than 100/m burst 20 for each caller, by browsing\n";
    assert_eq!(explain(ada, &["--call", "seed"]), told);
    let line = r#"{"decision":"allow","by":[{"id":"browsing","line":1}],"failed":[],"rate":{"id":"browsing","rate":"100/m burst 20"}}"#;
    assert_eq!(explain(ada, &["--call", "seed", "--json"]), format!("{line}\n"));
    for (more, expected) in [
        (["--call", "seeed"], "weir: the app has no function \"seeed\"; it has: "),
        (["--read", "order"], "weir: the app has no collection \"order\"; it has: customers, orders\n"),
        (["--view", "customers"], "weir: `view` names a member"),
    ] {
        let told = explain(ada, &more);
        assert!(told.starts_with(expected), "{more:?}: {told}");
    }
}

#[test]
fn a_mistake_in_a_policy_is_told_with_its_place() {
    let app = App::copy_of("examples/shop");
    app.edit(
        "policies.cedar",
        "resource.customer == principal.claims.customer",
        "resource.costumer == principal.claims.customer",
    );
    let ended = run(&["check", app.path().to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    expect![[r#"
        error: attribute `costumer` on entity type `Order` not found
          --> policies.cedar:17:41
           |
        17 | when { principal.claims has customer && resource.costumer == principal.claims.customer };
           |                                         ^^^^^^^^^^^^^^^^^
        help: did you mean `customer`?

        weir: 1 mistake found
    "#]]
    .assert_eq(&ended.stderr);
}
