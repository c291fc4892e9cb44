//! Statements on a real store: each change has one, in its commit; none that was changed or is of another store passes.

use expect_test::expect;
use weir_schema::rollout::{Share, Step, Strategy};
use weir_store::progress::unwatched;

use super::*;
use crate::control::audit::SignedHead;
use crate::control::change;
use crate::control::tests::{AT_ONCE, Bench, answering, bundle};
use crate::control::{Changed, releases};
use crate::rollouts::conduct::RolloutError;

fn canary() -> Strategy {
    let step = |percent: u16| Step { share: Share::of(percent * 100).unwrap(), for_ms: None };
    Strategy::Canary { steps: vec![step(20), step(60)] }
}

async fn deploy(bench: &Bench, key: &SigningKey, (version, sequence): (&str, u64), strategy: Strategy) {
    let signed = bundle(key, &answering(version, 1), sequence);
    bench.engine.deploy(&signed, strategy, &Actor::operator(), &|_| Ok(())).await.unwrap();
}

/// Two releases, of which the second is rolled out in some way.
async fn two(strategy: Strategy) -> Bench {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    deploy(&bench, &key, ("1.0.0", 10), AT_ONCE).await;
    deploy(&bench, &key, ("2.0.0", 20), strategy).await;
    bench
}

async fn roll(bench: &Bench, event: Event) {
    bench.engine.roll(event, &Actor::operator()).await.unwrap();
}

fn back() -> Event {
    Event::RollBack { why: "it is slow".into() }
}

/// What the store has signed about its rollouts up to one.
fn stated(store: &Store, rollouts: u64) -> Vec<(String, Statement)> {
    let key = public_key(store).unwrap();
    let all = (1..=rollouts).flat_map(|rollout| of(store, rollout).unwrap());
    all.map(|envelope| (envelope.clone(), verify(&envelope, &key).unwrap())).collect()
}

fn told(statement: &Statement) -> String {
    let Statement { rollout, number, event, from, to, candidate, share, why, actor, .. } = statement;
    let version =
        |release: &Option<StatedRelease>| release.as_ref().map_or("-".into(), |release| release.version.clone());
    let (share, why) = (share.clone().unwrap_or_default(), why.clone().unwrap_or_default());
    let line = format!(
        "{rollout}.{number} {} from {} to {} of {} {share} {why} by {actor}",
        event.as_str(),
        version(from),
        version(to),
        version(candidate)
    );
    line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_stated_in_its_commit_and_chained_to_its_audit_record() {
    let bench = two(canary()).await;
    for event in [Event::Advance, Event::Pause, Event::Resume, Event::Unguard, back()] {
        roll(&bench, event).await;
    }
    bench.engine.start_rollout(20, Strategy::BlueGreen { hold: true }, &Actor::operator()).await.unwrap();
    roll(&bench, Event::Promote).await;
    roll(&bench, back()).await;
    assert!(bench.engine.roll(Event::Promote, &Actor::operator()).await.is_err(), "what is refused is not stated");
    let statements = stated(&bench.store, 3);
    let lines: String = statements.iter().map(|(_, statement)| told(statement)).collect();
    expect![[r#"
        1.1 started from - to - of 1.0.0 by operator
        1.2 promoted from - to 1.0.0 of 1.0.0 by operator
        2.1 started from 1.0.0 to 1.0.0 of 2.0.0 by operator
        2.2 prepared from 1.0.0 to 1.0.0 of 2.0.0 20% by operator
        2.3 advanced from 1.0.0 to 1.0.0 of 2.0.0 60% by operator
        2.4 paused from 1.0.0 to 1.0.0 of 2.0.0 60% by operator
        2.5 resumed from 1.0.0 to 1.0.0 of 2.0.0 60% by operator
        2.6 unguarded from 1.0.0 to 1.0.0 of 2.0.0 60% by operator
        2.7 rolled back from 1.0.0 to 1.0.0 of 2.0.0 it is slow by operator
        3.1 started from 1.0.0 to 1.0.0 of 2.0.0 by operator
        3.2 prepared from 1.0.0 to 1.0.0 of 2.0.0 by operator
        3.3 promoted from 1.0.0 to 2.0.0 of 2.0.0 by operator
        3.4 rolled back from 2.0.0 to 1.0.0 of 2.0.0 it is slow by operator
    "#]]
    .assert_eq(&lines);
    // Each record has the digest of its statement, each statement an end of the log before its record.
    let records: Vec<_> = bench.store.audit(0, 1_000).unwrap();
    let with: Vec<_> = records.iter().filter(|record| record.statement.is_some()).collect();
    assert_eq!(with.len(), statements.len());
    for (record, (_, statement)) in with.iter().zip(&statements) {
        assert_eq!(record.statement, Some(Digest::of(&statement.to_bytes())));
        assert!(statement.audit.number < record.number);
        let report = bench.store.verify_audit(Some(statement.audit), unwatched()).await.unwrap();
        assert_eq!(report.problem, None);
    }
    // Sequences and digests are those on record.
    let known = releases::list(&bench.store).unwrap();
    let to = statements.iter().find_map(|(_, statement)| statement.to.clone().filter(|to| to.sequence == 20)).unwrap();
    assert_eq!(to, StatedRelease::from(&known[1]));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_and_the_state_are_together_after_a_restart() {
    let bench = two(canary()).await;
    let (before, key) = (stated(&bench.store, 2), public_key(&bench.store).unwrap());
    let bench = bench.reopened().await;
    assert_eq!(stated(&bench.store, 2), before);
    assert_eq!(releases::traffic(&bench.store).unwrap().statements, 2);
    bench.engine.restore(&|_| Ok(())).await.unwrap();
    roll(&bench, back()).await;
    let bench = bench.reopened().await;
    let after = stated(&bench.store, 2);
    assert_eq!((&after[..4], after[4].1.event), (&before[..], Stated::RolledBack));
    assert_eq!(public_key(&bench.store).unwrap(), key);
    assert_eq!(super::signed(&bench.store, None).unwrap().statements, of(&bench.store, 2).unwrap());
    // A change that does not come to pass is not stated.
    let operator = Actor::operator();
    let failed = change(&bench.store, &operator, |transaction| {
        let before = releases::read_traffic(transaction)?;
        let traffic = before.start(20, AT_ONCE, "operator", 1)?;
        let mut moved = Moved { traffic, ended: None };
        begun(&bench.store, transaction, &before, &mut moved, (&operator, 1))?;
        Err::<Changed<()>, _>(RolloutError::Develops)
    });
    failed.await.unwrap_err();
    assert_eq!(of(&bench.store, 3).unwrap(), Vec::<String>::new());
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_or_is_of_another_store_is_refused() {
    let (bench, other) = (two(AT_ONCE).await, two(AT_ONCE).await);
    let key = public_key(&bench.store).unwrap();
    let good = of(&bench.store, 2).unwrap();
    assert_eq!(verify_all(&format!("{}\n\n", good.join("\n")), &key).unwrap().len(), 2);
    let text = good[0].as_bytes();
    for place in 0..text.len() {
        for bit in 0..8 {
            let mut changed = text.to_vec();
            changed[place] ^= 1 << bit;
            let refused = std::str::from_utf8(&changed).map_or(true, |changed| verify(changed, &key).is_err());
            assert!(refused, "bit {bit} of byte {place}");
        }
        assert!(verify(&good[0][..place], &key).is_err(), "cut off at {place}");
    }
    let foreign = of(&other.store, 2).unwrap().remove(0);
    // Signed by the key of the store, and no statement.
    let mut transaction = bench.store.begin().unwrap();
    let own = own_key(&bench.store, &mut transaction, 0).unwrap();
    assert_eq!(own.public(), &key);
    let sealed = |payload: &[u8]| seal(PAYLOAD_TYPE, payload.to_vec(), std::slice::from_ref(&own)).unwrap();
    let text = |envelope: Envelope| String::from_utf8(envelope.to_json()).unwrap();
    let twice =
        String::from_utf8(read(&good[0]).unwrap().to_bytes()).unwrap().replace("{\"app\"", "{\"app\":\"x\",\"app\"");
    let mut swapped = Envelope::parse(good[0].as_bytes(), PAYLOAD_TYPE).unwrap();
    swapped.signatures = Envelope::parse(good[1].as_bytes(), PAYLOAD_TYPE).unwrap().signatures;
    let head = SignedHead::of(bench.store.audit_head().unwrap(), 1).sign(&own).unwrap();
    let cases = [
        ("of another store", foreign),
        ("the signature of another statement", text(swapped)),
        ("another payload", text(sealed(b"{}"))),
        ("a member twice", text(sealed(twice.as_bytes()))),
        ("an end of the audit log", String::from_utf8(head).unwrap()),
        ("no signature", text(Envelope { signatures: Vec::new(), ..sealed(b"{}") })),
        ("something else", "{}".to_owned()),
        (
            "one is left out",
            format!("{}\n{}", good[0], text(sealed(&Statement { number: 3, ..read(&good[1]).unwrap() }.to_bytes()))),
        ),
        ("another order", format!("{}\n{}", good[1], good[0])),
    ];
    let said = cases.map(|(what, lines)| {
        let refused = verify_all(&lines, &key).unwrap_err().to_string();
        let refused = refused.replace(&key.id().to_string(), "OWN");
        format!("{what}: {}\n", refused.replace(&public_key(&other.store).unwrap().id().to_string(), "OTHER"))
    });
    expect![[r#"
        of another store: line 1: it is signed by key OTHER, not by key OWN: give the key of who has signed it
        the signature of another statement: line 1: it was changed since key OWN has signed it
        another payload: line 1: what is signed cannot be read: missing field `app` at line 1 column 2
        a member twice: line 1: what is signed cannot be read: duplicate field `app` at line 1 column 16
        an end of the audit log: line 1: the envelope is one of "application/vnd.weir.audit-head+json", not of "application/vnd.weir.rollout+json"
        no signature: line 1: an envelope has 1 to 16 signatures, this one has 0
        something else: line 1: the envelope cannot be read: missing field `payloadType` at line 1 column 2
        one is left out: line 2: statement 3 of rollout 2 stands after statement 1: one is missing, or stands somewhere else
        another order: line 2: statement 1 of rollout 2 stands after statement 2: one is missing, or stands somewhere else
    "#]]
    .assert_eq(&said.concat());
    for bench in [bench, other] {
        bench.engine.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_does_not_wait_for_a_key_that_is_lost() {
    let bench = two(AT_ONCE).await;
    let (before, key) = (of(&bench.store, 2).unwrap(), public_key(&bench.store).unwrap());
    let mut transaction = bench.store.begin().unwrap();
    let written = transaction.control(&ControlKey::StatementKey).unwrap().unwrap();
    let record: StatementKeyRecord = parse(&written).unwrap();
    let damaged = StatementKeyRecord { sealed: record.sealed[1..].to_vec(), ..record };
    transaction.put_control(&ControlKey::StatementKey, Some(text(&damaged)));
    bench.store.commit(transaction).await.unwrap();
    roll(&bench, back()).await;
    let (after, another) = (of(&bench.store, 2).unwrap(), public_key(&bench.store).unwrap());
    assert_ne!(another, key);
    assert_eq!(verify(&after[2], &another).unwrap().event, Stated::RolledBack);
    assert!(before.iter().all(|envelope| verify(envelope, &key).is_ok()));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_bounded() {
    let bench = two(canary()).await;
    for _ in 0..STATEMENTS_MAX / 2 {
        roll(&bench, Event::Pause).await;
        roll(&bench, Event::Resume).await;
    }
    let numbers: Vec<u64> = stated(&bench.store, 2).iter().map(|(_, statement)| statement.number).collect();
    assert_eq!(numbers[2..], (3..=STATEMENTS_MAX + 2).collect::<Vec<_>>(), "after the two of the first rollout");
    // Those of a rollout go with its record.
    roll(&bench, back()).await;
    let mut transaction = bench.store.begin().unwrap();
    let traffic = rollout::Traffic { rollouts: ROLLOUTS_MAX, ..releases::read_traffic(&mut transaction).unwrap() };
    transaction.put_control(&ControlKey::Traffic, Some(text(&traffic)));
    bench.store.commit(transaction).await.unwrap();
    bench.engine.start_rollout(20, AT_ONCE, &Actor::operator()).await.unwrap();
    let count = |rollout: u64| of(&bench.store, rollout).unwrap().len();
    assert_eq!((count(1), count(2), count(ROLLOUTS_MAX + 1)), (0, 100, 2));
    let refused = super::signed(&bench.store, Some(1)).unwrap_err().to_string();
    assert_eq!(
        refused,
        "nothing was stated of rollout 1, or it is kept no longer: weir rollout list shows the rollouts that there were"
    );
    bench.engine.close().await;
}

#[tokio::test]
async fn a_store_without_rollouts_has_no_statements() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("data"), weir_store::Options::default()).unwrap();
    assert_eq!(
        super::signed(&store, None).unwrap_err().to_string(),
        "there was no rollout yet, and so nothing was stated"
    );
    let none = public_key(&store).unwrap_err().to_string();
    assert_eq!(none, "nothing was signed yet: the key is drawn when the first rollout begins");
    store.close().await;
}
