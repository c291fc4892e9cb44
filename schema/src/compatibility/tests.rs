//! Which version follows which, and what of `app.toml` and of policies is how bad. Functions and collections are compared where they
//! can be compiled, in the engine.

use expect_test::{Expect, expect};

use super::*;
use crate::manifest;

#[test]
fn a_version_stays_in_the_range_of_the_one_before_unless_it_breaks_something() {
    use Level::{Addition, Breaking, Dangerous, Internal};
    let table = [
        ("1.2.3", Breaking, "2.0.0"),
        ("1.2.3", Dangerous, "1.3.0"),
        ("1.2.3", Addition, "1.3.0"),
        ("1.2.3", Internal, "1.2.4"),
        ("0.2.3", Breaking, "0.3.0"),
        ("0.2.3", Dangerous, "0.2.4"),
        ("0.2.3", Addition, "0.2.4"),
        ("0.2.3", Internal, "0.2.4"),
        ("0.0.3", Breaking, "0.0.4"),
        ("0.0.3", Addition, "0.0.4"),
        ("2.0.0-rc.1", Breaking, "2.0.0"),
        ("1.2.3+build.5", Internal, "1.2.4"),
    ];
    for (old, level, least) in table {
        let old = Version::parse(old).unwrap();
        let next = least_version(&old, level);
        assert_eq!(next.to_string(), least, "after {old}, {level:?}");
        assert!(is_enough(&old, &next, level), "after {old}, {level:?}");
        let range = semver::VersionReq::parse(&format!("^{old}")).unwrap();
        // The range of 0.0.z is that one version.
        let stays = (level != Breaking || !old.pre.is_empty()) && (old.major, old.minor) != (0, 0);
        assert_eq!(range.matches(&next), stays, "after {old}, {level:?}");
    }
}

#[test]
fn a_version_is_enough_or_is_not() {
    use Level::{Addition, Breaking, Internal};
    let table = [
        ("1.0.0", "1.0.0", Internal, false),
        ("1.0.0", "1.0.0+other", Internal, false),
        ("1.0.0", "0.9.0", Internal, false),
        ("1.0.0", "1.0.1-rc.1", Internal, true),
        ("1.0.0", "1.0.1", Addition, false),
        ("1.0.0", "1.1.0-rc.1", Addition, true),
        ("1.0.0", "7.0.0", Addition, true),
        ("1.0.0", "1.9.9", Breaking, false),
        ("1.0.0", "2.0.0-rc.1", Breaking, true),
        ("2.0.0-rc.1", "2.0.0-rc.2", Breaking, true),
        ("2.0.0-rc.2", "2.0.0-rc.1", Internal, false),
        ("0.4.0", "0.4.9", Breaking, false),
        ("0.4.0", "0.5.0", Breaking, true),
        ("0.4.0", "1.0.0", Breaking, true),
    ];
    for (old, new, level, expected) in table {
        let [old, new] = [old, new].map(|text| Version::parse(text).unwrap());
        assert_eq!(is_enough(&old, &new, level), expected, "{old} to {new}, {level:?}");
    }
}

fn told(found: Found) -> String {
    let line = |change: &Change| {
        let Change { level, part, coordinate, description, .. } = change;
        format!("{} {} {coordinate}: {description}\n", level.as_str(), part.as_str())
    };
    found.0.iter().map(line).collect()
}

fn check_settings(old: &str, new: &str, expected: Expect) {
    let manifest = |text: &str| manifest::parse(&format!("name = \"shop\"\nversion = \"1.0.0\"\n{text}")).unwrap();
    let mut found = Found::default();
    settings::compare(&manifest(old), &manifest(new), &mut found);
    expected.assert_eq(&told(found));
}

#[test]
fn narrowed_bounds_are_dangerous_and_what_clients_do_not_see_is_internal() {
    check_settings(
        "[limits]\ncpu_ms = 100\nwall_ms = 200",
        "[limits]\ncpu_ms = 50\nwall_ms = 300",
        expect![[r#"
        dangerous limit limits.cpu_ms: limits.cpu_ms was narrowed from 100 to 50.
        internal limit limits.wall_ms: limits.wall_ms was widened from 200 to 300.
    "#]],
    );
    check_settings(
        "[graphql]\ncost = 10\nlist_size = 5\n[graphql.costs]\na = 1\nb = 1",
        "[graphql]\ncost = 20\nlist_size = 6\nintrospection = false\ndocuments = \"trusted\"\n[graphql.costs]\na = 2\nc = 3",
        expect![[r#"
            internal limit graphql.cost: graphql.cost was widened from 10 to 20.
            dangerous limit graphql.list_size: graphql.list_size was narrowed from 5 to 6.
            dangerous limit graphql.costs.a: graphql.costs.a was narrowed from 1 to 2.
            dangerous limit graphql.costs.c: c costs 3 now.
            dangerous limit graphql.costs.b: b costs what others do now.
            dangerous setting graphql.introspection: Clients may not ask for the schema any more.
            breaking setting graphql.documents: Documents that nobody has pushed are refused now.
        "#]],
    );
    check_settings(
        "[rate]\nrequests = \"10/s\"\n[rate.functions]\na = \"1/s\"\nb = \"1/s\"",
        "[rate]\nrequests = \"600/m burst 5\"\ncost = \"100/s\"\n[rate.functions]\nb = \"2/s\"",
        expect![[r#"
            dangerous rate rate.requests: rate.requests was narrowed from 10/s to 600/m burst 5.
            dangerous rate rate.cost: rate.cost is limited to 100/s now.
            internal rate rate.functions.a: rate.functions.a was 1/s and there is no such limit now.
            internal rate rate.functions.b: rate.functions.b was widened from 1/s to 2/s.
        "#]],
    );
    check_settings(
        "secrets = [\"A\"]\n[[cron]]\nname = \"a\"\nschedule = \"* * * * *\"\ncall = \"f\"\n[[cron]]\nname = \"b\"\nschedule = \"* * * * *\"\ncall = \"f\"\n[fetch]\nhosts = [\"a.example\"]",
        "secrets = [\"B\"]\ntranspiler = \"swc\"\n[[cron]]\nname = \"a\"\nschedule = \"0 * * * *\"\ncall = \"f\"\n[jobs]\nattempts = 3\n[caller.claims]\norg = \"string\"",
        expect![[r#"
            internal schedule cron b: cron b was removed.
            internal schedule cron a: cron a called f at * * * * * and calls f at 0 * * * * now.
            internal host fetch.hosts a.example: fetch.hosts a.example was removed.
            internal secret secrets A: secrets A was removed.
            internal secret secrets B: secrets B was added.
            internal claim caller.claims org: caller.claims org was added.
            internal setting jobs.attempts: jobs.attempts was 10 and is 3.
            internal setting transpiler: transpiler was oxc and is swc.
        "#]],
    );
}

#[test]
fn what_is_said_of_rollouts_is_internal_and_told() {
    let manifest = |text: &str| manifest::parse(&format!("name = \"shop\"\nversion = \"1.0.0\"\n{text}")).unwrap();
    let old = "[migration.orders]\nup = \"up\"\n[migration.gone]\nup = \"up\"\n\
        [metrics.value]\nkind = \"mean\"\n[metrics.ordered]\nkind = \"conversion\"\n\
        [rollout]\nchecks = [\"a\", \"b\"]\n[rollout.guards]\nerror_rate = \"2%\"\nlatency_p95 = \"1.5x\"\n\
        [rollout.guards.metrics.value]\nmin_change = \"-5%\"";
    let new = "[migration.orders]\nup = \"up\"\ndown = \"down\"\n\
        [metrics.value]\nkind = \"mean\"\ngoal = \"decrease\"\n[metrics.more]\nkind = \"mean\"\n\
        [rollout]\nchecks = [\"b\", \"c\"]\n[rollout.guards]\nerror_rate = \"off\"\nwindow = \"30s\"\n\
        [rollout.guards.metrics.value]\nmin_change = \"-1%\"\n[rollout.guards.metrics.more]\nmax_change = \"5%\"";
    let mut found = Found::default();
    rollouts::compare(&manifest(old), &manifest(new), &mut found);
    expect![[r#"
        internal migration migration gone: migration gone was removed.
        internal migration migration.orders.down: migration.orders.down was not set and is "down".
        internal metric metrics ordered: metrics ordered was removed.
        internal metric metrics more: metrics more was added.
        internal metric metrics.value.goal: metrics.value.goal was "increase" and is "decrease".
        internal check rollout.checks a: rollout.checks a was removed.
        internal check rollout.checks c: rollout.checks c was added.
        internal guard rollout.guards.error_rate: rollout.guards.error_rate was "2%" and is "off".
        internal guard rollout.guards.latency_p95: rollout.guards.latency_p95 was "1.5x" and is not set.
        internal guard rollout.guards.window: rollout.guards.window was "60000ms" and is "30000ms".
        internal guard rollout.guards.metrics more: rollout.guards.metrics more was added.
        internal guard rollout.guards.metrics.value.min_change: rollout.guards.metrics.value.min_change was "-5%" and is "-1%".
    "#]]
    .assert_eq(&told(found));
    let mut found = Found::default();
    rollouts::compare(&manifest(old), &manifest(old), &mut found);
    assert!(found.0.is_empty());
}

fn policy(id: &str, effect: Effect, meaning: &str) -> PolicyOutline {
    let id = (!id.is_empty()).then(|| id.to_owned());
    PolicyOutline { id, effect, meaning: meaning.to_owned() }
}

fn check_policies(old: Option<&[PolicyOutline]>, new: Option<&[PolicyOutline]>, expected: Expect) {
    let mut found = Found::default();
    policies::compare(old, new, &mut found);
    expected.assert_eq(&told(found));
}

#[test]
fn access_that_may_narrow_is_breaking() {
    use Effect::{Forbid, Permit};
    let old = [
        policy("a", Permit, "1"),
        policy("b", Forbid, "2"),
        policy("c", Permit, "3"),
        policy("d", Permit, "4"),
        policy("", Permit, "5"),
        policy("", Permit, "8"),
    ];
    let new = [
        policy("c", Permit, "other"),
        policy("d", Forbid, "4"),
        policy("", Permit, "5"),
        policy("e", Permit, "6"),
        policy("", Permit, "9"),
        policy("", Forbid, "7"),
    ];
    check_policies(
        Some(&old),
        Some(&new),
        expect![[r#"
        breaking policy "a": The policy "a" permitted something and was removed: access may narrow.
        addition policy "b": The policy "b" forbade something and was removed: access may widen.
        dangerous policy "c": The policy "c" says something else: access may narrow or widen.
        breaking policy "d": The policy "d" permitted something and forbids it now: access may narrow.
        dangerous policy without @id: A policy without @id says something else: access may narrow or widen.
        addition policy "e": The policy "e" was added and permits something: access may widen.
        breaking policy without @id: A policy without @id was added and forbids something: access may narrow.
    "#]],
    );
    check_policies(
        None,
        Some(&[policy("a", Permit, "1"), policy("b", Forbid, "2")]),
        expect![[r#"
        addition policy "a": The policy "a" was added and permits something: access may widen.
        internal policy "b": The policy "b" was added and forbids something: access may narrow.
    "#]],
    );
}
