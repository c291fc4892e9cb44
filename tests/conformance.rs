//! GraphQL over HTTP as others see it: the audits of `graphql-http`, the reference implementation of its specification.

use serde_json::Value;

use crate::apps::App;
use crate::node;
use crate::weir::Dev;

/// How many there are: 13 of what a server must do, 23 of what it should, 25 of what it may.
const AUDITS: usize = 61;

#[test]
fn every_audit_of_graphql_over_http_is_ok() {
    let Some(packages) = node::packages("every_audit_of_graphql_over_http_is_ok") else { return };
    let app = App::of(
        r#"
        import { query, type Int } from "weir";
        export const one = query((): Int => 1);
        "#,
    );
    let dev = Dev::start(&app);
    let ended = node::run(packages, "audit.mjs", &[&format!("{}/graphql", dev.url)]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let audits: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failed: Vec<String> =
        audits.iter().filter(|audit| audit["status"] != "ok").map(|audit| format!("{audit}\n")).collect();
    assert!(failed.is_empty(), "{} of {} audits are not ok:\n{}", failed.len(), audits.len(), failed.concat());
    assert_eq!(audits.len(), AUDITS);
}
