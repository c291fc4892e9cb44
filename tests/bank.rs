//! A bank of 1,000 accounts under everything that can come together: transfers, batches, savepoints, repeats with idempotency
//! keys, clients that go away in the middle, and a kill -9 half way.
//!
//! [`orders`] has what clients ask for and what it may come to, [`client`] asks. When all is answered the books are
//! compared with what was told, and then every commit is looked at through the journal and the history.
//! `WEIR_TESTS_BANK_SECONDS` shortens the minute that it takes, `WEIR_TESTS_SEED` repeats what is drawn.

mod client;
mod orders;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::env;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use self::client::{Bank, Client, Tally};
use self::orders::Fate;
use crate::apps::App;
use crate::kills::connection::Connection;
use crate::weir::{Dev, example, finish, run, say};

/// Accounts.
pub const ACCOUNTS: usize = 1_000;
/// What each has at first: so little that some orders are refused.
const BALANCE_AT_FIRST: i64 = 100;
/// Clients at the same time.
const CLIENTS: u64 = 32;
/// How long the clients run, the kill in the middle.
const SECONDS: u64 = 60;
/// Between two looks at all money.
const BETWEEN_AUDITS: Duration = Duration::from_millis(250);
/// The longest that reading the whole history may take.
const PATIENCE_FOR_HISTORY: Duration = Duration::from_secs(600);

#[test]
fn money_is_conserved_and_every_key_counts_once() {
    let drawn = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let seed = env::var("WEIR_TESTS_SEED").map_or_else(|_| drawn(), |seed| seed.parse().unwrap());
    let seconds = env::var("WEIR_TESTS_BANK_SECONDS").map_or(SECONDS, |text| text.parse().unwrap()).min(SECONDS);
    say(&format!("bank: WEIR_TESTS_SEED={seed}, {seconds} s"));
    let half = Duration::from_secs(seconds) / 2;
    let app = App::copy_of("tests/fixtures/bank");

    let mut dev = Dev::start(&app);
    let accounts = open(&mut Connection::open(&dev.url).unwrap());
    let mut clients: Vec<Client> = (0..CLIENTS).map(|number| Client::new(seed, number)).collect();
    phase(&dev.url, &accounts, &mut clients, half, || dev.process.kill());
    // What worker processes run is told no different.
    let dev = Dev::starting_with(&app, &["--isolation", "process"]).ready();
    phase(&dev.url, &accounts, &mut clients, half, || {});
    let bank = Bank { url: &dev.url, accounts: &accounts, is_over: &AtomicBool::new(false) };
    clients.iter_mut().for_each(|client| client.settle_all(&bank));

    let mut tally = Tally::default();
    clients.iter().for_each(|client| tally.add(&client.tally));
    say(&format!("bank: {tally:?}"));
    for (what, count) in tally.all() {
        assert!(count > 0, "{what} did not come up: {tally:?}");
    }
    let fates: BTreeMap<String, Fate> = clients.into_iter().flat_map(Client::into_fates).collect();
    check_books(&dev, &accounts, &fates);
    assert_eq!(dev.stop(), Some(0));
    let ended = run(&["doctor", "--data", app.data().to_str().unwrap()]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    check_history(&app, &accounts, &fates);
}

/// Opens the accounts; their ids.
fn open(connection: &mut Connection) -> Vec<String> {
    let owners: Vec<String> = (0..ACCOUNTS).map(|place| format!("owner {place:04}")).collect();
    let query = "mutation ($owners: [String!]!, $balance: Int!) { open(owners: $owners, balance: $balance) { id } }";
    let variables = json!({ "owners": owners, "balance": BALANCE_AT_FIRST });
    let opened = connection.post(&json!({ "query": query, "variables": variables }), Some("open")).unwrap();
    let opened = opened["data"]["open"].as_array().unwrap_or_else(|| panic!("{opened}"));
    opened.iter().map(|account| account["id"].as_str().unwrap().to_owned()).collect()
}

/// Lets the clients run for so long, and all money be counted meanwhile.
fn phase(url: &str, accounts: &[String], clients: &mut [Client], time: Duration, end: impl FnOnce()) {
    let is_over = &AtomicBool::new(false);
    let bank = &Bank { url, accounts, is_over };
    let started = Instant::now();
    thread::scope(|scope| {
        let running: Vec<_> = clients.iter_mut().map(|client| scope.spawn(move || client.run(bank))).collect();
        let auditing = scope.spawn(move || audit(bank));
        // A client that has ended before its time has failed.
        while started.elapsed() < time && !running.iter().any(|client| client.is_finished()) {
            thread::sleep(Duration::from_millis(20));
        }
        is_over.store(true, Ordering::SeqCst);
        end();
        running.into_iter().for_each(|client| client.join().unwrap());
        auditing.join().unwrap();
    });
}

/// Counts all money again and again.
fn audit(bank: &Bank<'_>) {
    let mut connection = Connection::open(bank.url).unwrap();
    while !bank.is_over.load(Ordering::SeqCst) {
        match connection.post(&json!({ "query": "{ total }" }), None) {
            Ok(answer) => assert_eq!(answer["data"]["total"], json!(total()), "{answer}"),
            Err(error) => assert!(bank.is_over.load(Ordering::SeqCst), "{error}"),
        }
        thread::sleep(BETWEEN_AUDITS);
    }
}

fn total() -> i64 {
    BALANCE_AT_FIRST * ACCOUNTS as i64
}

/// Compares what is stored with what was told.
fn check_books(dev: &Dev, accounts: &[String], fates: &BTreeMap<String, Fate>) {
    let client = dev.client();
    let mut expected: HashMap<&str, (i64, i64)> =
        accounts.iter().map(|id| (id.as_str(), (BALANCE_AT_FIRST, 0))).collect();
    for fate in fates.values() {
        let Fate::Made { order, .. } = fate else { continue };
        for (place, amount) in [(order.source, -order.amount), (order.target, order.amount)] {
            let (balance, moves) = expected.get_mut(accounts[place].as_str()).unwrap();
            (*balance, *moves) = (*balance + amount, *moves + 1);
        }
    }
    let books = client.data("{ books(since: 1) { accounts { id balance moves } } }");
    let found = books["books"]["accounts"].as_array().unwrap();
    assert_eq!(found.len(), ACCOUNTS);
    for account in found {
        let (balance, moves) = expected[account["id"].as_str().unwrap()];
        assert_eq!((&account["balance"], &account["moves"]), (&json!(balance), &json!(moves)), "{account}");
    }

    let mut listed = BTreeMap::new();
    let mut after = Value::Null;
    loop {
        let query = "query ($after: String) { allTransfers(after: $after) {
            edges { node { id key source target amount } } pageInfo { hasNextPage endCursor } } }";
        let mut page = client.data_with(query, json!({ "after": after }))["allTransfers"].take();
        for edge in page["edges"].as_array_mut().unwrap() {
            let transfer = edge["node"].take();
            listed.insert(transfer["key"].as_str().unwrap().to_owned(), transfer);
        }
        if page["pageInfo"]["hasNextPage"] != true {
            break;
        }
        after = page["pageInfo"]["endCursor"].take();
    }
    for (key, fate) in fates {
        match (fate, listed.remove(key)) {
            (Fate::Made { order, id, .. }, Some(transfer)) => {
                let told = json!({
                    "id": id, "key": key, "source": accounts[order.source], "target": accounts[order.target],
                    "amount": order.amount,
                });
                assert_eq!(transfer, told);
            }
            (Fate::Made { .. }, None) => panic!("{key} was made, and its transfer is not there"),
            (Fate::Refused, Some(transfer)) => panic!("{key} was refused, and is there: {transfer}"),
            (Fate::Refused, None) => {}
        }
    }
    assert!(listed.is_empty(), "nobody knows of {listed:?}");
}

/// Looks at every commit: no money comes or goes, each transfer is made once, and where that was told.
fn check_history(app: &App, accounts: &[String], fates: &BTreeMap<String, Fate>) {
    let mut command = Command::new(example("commits"));
    command.arg(app.data());
    let started = Instant::now();
    let ended = finish(command, PATIENCE_FOR_HISTORY);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut balances: HashMap<String, i64> = HashMap::new();
    let mut moves: HashMap<String, i64> = HashMap::new();
    let mut made: HashMap<String, String> = HashMap::new();
    let mut commits = 0;
    for line in ended.stdout.lines() {
        let commit: Value = serde_json::from_str(line).unwrap();
        let (mut moved, mut transfers) = (0, 0);
        for written in commit["documents"].as_array().unwrap() {
            let (document, id) = (&written["document"], written["document"]["id"].as_str().unwrap().to_owned());
            if written["collection"] == "accounts" {
                let now = document["moves"].as_i64().unwrap();
                moved += now - moves.insert(id.clone(), now).unwrap_or_default();
                balances.insert(id, document["balance"].as_i64().unwrap());
            } else {
                transfers += 1;
                let before = made.insert(id, commit["commit"].as_str().unwrap().to_owned());
                assert_eq!(before, None, "written twice: {commit}");
            }
        }
        assert_eq!(commit["deleted"], json!([]));
        if !balances.is_empty() {
            commits += 1;
            assert_eq!(balances.values().sum::<i64>(), total(), "{commit}");
        }
        assert_eq!(moved, 2 * transfers, "{commit}");
    }
    assert_eq!(balances.keys().collect::<HashSet<_>>(), accounts.iter().collect());
    let mut told = 0;
    for (key, fate) in fates {
        let Fate::Made { id, commit, .. } = fate else { continue };
        let in_history = made.remove(id).unwrap_or_else(|| panic!("{key} is in no commit"));
        if let Some(commit) = commit {
            told += 1;
            assert_eq!(&in_history, commit, "{key}");
        }
    }
    assert!(made.is_empty() && told > 0, "{made:?}");
    say(&format!("bank: {commits} commits, {told} transfers where it was told, read in {:.1?}", started.elapsed()));
}
