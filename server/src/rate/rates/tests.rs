//! Limits by a clock that stands still: whom they count, in which order, and that a flood of keys neither grows nor forgets.

use std::net::Ipv4Addr;
use std::time::Duration;

use weir_engine::call::{Caller, Identity, TokenKind};

use super::*;
use crate::config::{AddressRates, TenantRates};

fn config(text: &str) -> RateSection {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Everything off but what the text sets.
fn only(text: &str) -> RateSection {
    let given = config(text);
    let usual = RateSection::default();
    let set = |given: Option<Rate>, usual: Option<Rate>| given.filter(|_| given != usual);
    let held = |given: Option<u32>, usual: Option<u32>| given.filter(|_| given != usual);
    let address = AddressRates {
        requests: set(given.address.requests, usual.address.requests),
        messages: set(given.address.messages, usual.address.messages),
        logins_failed: set(given.address.logins_failed, usual.address.logins_failed),
        connections: held(given.address.connections, usual.address.connections),
        sockets: held(given.address.sockets, usual.address.sockets),
        subscriptions: held(given.address.subscriptions, usual.address.subscriptions),
    };
    let tenant = TenantRates {
        keys: given.tenant.keys,
        requests: set(given.tenant.requests, usual.tenant.requests),
        cost: set(given.tenant.cost, usual.tenant.cost),
        messages: set(given.tenant.messages, usual.tenant.messages),
        sockets: held(given.tenant.sockets, usual.tenant.sockets),
        subscriptions: held(given.tenant.subscriptions, usual.tenant.subscriptions),
    };
    let caller = CallerRates {
        requests: set(given.caller.requests, usual.caller.requests),
        cost: set(given.caller.cost, usual.caller.cost),
        messages: set(given.caller.messages, usual.caller.messages),
        sockets: held(given.caller.sockets, usual.caller.sockets),
        subscriptions: held(given.caller.subscriptions, usual.caller.subscriptions),
    };
    RateSection { address, caller, tenant, ..given }
}

fn rates(text: &str) -> (Rates, Clock) {
    let clock = Clock::paused();
    (Rates::new(&only(text), clock.clone()), clock)
}

fn app(rates: &Rates, text: &str) -> AppRates {
    rates.for_app(&toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}")), [])
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn token(issuer: &str, subject: &str) -> Caller {
    Caller::Token(Arc::new(Identity {
        kind: TokenKind::User,
        issuer: issuer.into(),
        subject: subject.into(),
        roles: Vec::new(),
        scopes: Vec::new(),
        claims: serde_json::Map::new(),
    }))
}

/// `ok`, or the limit that refuses and when to come back.
fn operation(rates: &Rates, app: &AppRates, from: &str, caller: &Caller, cost: u64, calls: &[&str]) -> String {
    let functions = |name: &mut dyn FnMut(&str)| calls.iter().for_each(|call| name(call));
    let who = Who { address: address(from), caller };
    match rates.operation(app, who, &Asked { cost, functions: &functions, policies: &|_| {} }) {
        Ok(()) => "ok".into(),
        Err(Refused::Limited(limited)) => format!("{} {}", limited.limit.as_str(), limited.retry_after.as_millis()),
        Err(refused @ Refused::TooMuch { .. }) => refused.to_string(),
    }
}

#[test]
fn addresses_are_counted_apart_and_those_of_ipv6_by_their_customer() {
    let (rates, clock) = rates("[address]\nrequests = \"1/s burst 2\"");
    let ask = |from: &str| rates.request(address(from)).is_ok();
    assert_eq!([ask("192.0.2.1"), ask("192.0.2.1"), ask("192.0.2.1")], [true, true, false]);
    assert!(ask("192.0.2.2") && ask("::ffff:192.0.2.2") && !ask("192.0.2.2"));
    assert!(ask("2001:db8::1") && ask("2001:db8:0:ff::ffff") && !ask("2001:db8:0:7::2:1") && ask("2001:db8:0:100::1"));
    clock.advance(Duration::from_secs(1));
    assert_eq!([ask("192.0.2.1"), ask("192.0.2.1")], [true, false]);
    assert_eq!(rates.refusals()[Limit::AddressRequests as usize], 4);
}

#[test]
fn a_caller_is_who_its_token_says_or_its_address() {
    let (rates, _) = rates("[caller]\nrequests = \"1/s burst 1\"");
    let none = AppRates::default();
    let ask = |from: &str, caller: &Caller| operation(&rates, &none, from, caller, 1, &[]);
    let (ada, other_ada, bob) = (token("a", "ada"), token("b", "ada"), token("a", "bob"));
    assert_eq!([ask("192.0.2.1", &ada), ask("192.0.2.2", &ada)], ["ok", "caller_requests 1000"]);
    assert_eq!([ask("192.0.2.1", &other_ada), ask("192.0.2.1", &bob)], ["ok", "ok"]);
    assert_eq!(ask("192.0.2.1", &Caller::Anonymous), "ok");
    assert_eq!(
        [ask("192.0.2.1", &Caller::Anonymous), ask("192.0.2.2", &Caller::Anonymous)],
        ["caller_requests 1000", "ok"]
    );
}

#[test]
fn an_operation_is_counted_by_all_of_its_limits() {
    let (rates, clock) = rates("[caller]\nrequests = \"10/s burst 5\"\ncost = \"100/s burst 50\"");
    let app = app(
        &rates,
        "requests = \"10/s burst 4\"\ncost = \"100/s burst 40\"\n[functions]\nplaceOrder = \"10/m burst 2\"\npay = \"1/m\"",
    );
    let ada = token("a", "ada");
    let ask = |cost, calls: &[&str]| operation(&rates, &app, "192.0.2.1", &ada, cost, calls);
    assert_eq!(ask(10, &["placeOrder", "other"]), "ok");
    // Another caller has a count of its own.
    assert_eq!(operation(&rates, &app, "192.0.2.1", &token("a", "bob"), 1, &["placeOrder", "placeOrder"]), "ok");
    assert_eq!(ask(1, &["placeOrder", "placeOrder"]), "app_function 6000");
    assert_eq!(ask(1, &["placeOrder", "pay"]), "ok");
    assert_eq!(ask(1, &["pay"]), "app_function 60000");
    assert_eq!(ask(1, &["other"]), "app_requests 100");
    clock.advance(Duration::from_secs(10));
    assert_eq!(
        ask(51, &[]),
        "51 cost of your operations at once, where no more than 50 are ever allowed: ask for less at a time"
    );
    assert_eq!(ask(30, &[]), "ok");
    assert_eq!(ask(30, &[]), "caller_cost 100");
    assert_eq!(ask(15, &[]), "app_cost 50");
    assert_eq!(
        ask(1, &["pay", "pay", "pay"]),
        "3 calls of this function at once, where no more than 1 are ever allowed: ask for less at a time"
    );
    let refusals = rates.refusals();
    let refused = |limit: Limit| refusals[limit as usize];
    assert_eq!((refused(Limit::Function), refused(Limit::AppRequests), refused(Limit::CallerCost)), (3, 1, 2));
}

#[test]
fn what_a_caller_owes_is_kept_from_one_release_to_the_next() {
    let (rates, _) = rates("");
    let settings = "[functions]\npay = \"1/m\"";
    let ada = token("a", "ada");
    assert_eq!(operation(&rates, &app(&rates, settings), "192.0.2.1", &ada, 1, &["pay"]), "ok");
    assert_eq!(operation(&rates, &app(&rates, settings), "192.0.2.1", &ada, 1, &["pay"]), "app_function 60000");
}

#[test]
fn calls_that_a_policy_allows_are_counted_together() {
    let (rates, _) = rates("");
    let by_policy = [("browsing", "1/s burst 3"), ("ordering", "6/m burst 1")].map(|(policy, rate)| PolicyRate {
        policy: policy.into(),
        rate: rate.parse().unwrap_or_else(|error| panic!("{error}")),
    });
    let app = rates.for_app(&RateSettings::default(), &by_policy);
    let (ada, bob) = (token("a", "ada"), token("a", "bob"));
    let ask = |caller, rated: &[&str]| {
        let policies = |take: TakeName<'_>| rated.iter().for_each(|policy| take(policy));
        let asked = Asked { cost: 1, functions: &|_| {}, policies: &policies };
        let who = Who { address: address("192.0.2.1"), caller };
        rates.operation(&app, who, &asked).map_err(|refused| refused.to_string()).err().unwrap_or_default()
    };
    assert_eq!([ask(&ada, &["browsing", "ordering"]), ask(&ada, &["browsing", "browsing"])], ["", ""]);
    assert_eq!(ask(&ada, &["browsing"]), "too many calls of this kind: try again in 1000 ms");
    assert_eq!(ask(&ada, &["ordering"]), "too many calls of this kind: try again in 10000 ms");
    assert_eq!([ask(&ada, &[]), ask(&bob, &["ordering"])], ["", ""]);
    assert_eq!(rates.refusals()[Limit::Policy as usize], 2);
}

#[test]
fn where_nothing_is_on_an_app_has_its_own_limits_all_the_same() {
    let rates = Rates::new(&RateSection::off(), Clock::paused());
    let who = Who { address: address("192.0.2.1"), caller: &Caller::Developer };
    for _ in 0..100_000 {
        assert!(rates.request(who.address).is_ok_and(|standing| standing.is_none()) && rates.message(who).is_ok());
    }
    assert!(rates.connection(who.address).is_ok_and(|hold| hold.is_none()));
    let app = app(&rates, "[functions]\npay = \"1/m\"");
    let ask = || operation(&rates, &app, "192.0.2.1", &Caller::Developer, 1, &["pay"]);
    assert_eq!([ask(), ask()], ["ok", "app_function 60000"]);
    assert_eq!(rates.line(who.address, Connection(7)), Connection(7));
}

#[test]
fn failed_logins_are_counted_and_looked_at() {
    let (rates, clock) = rates("[address]\nlogins_failed = \"1/m burst 3\"");
    let from = address("192.0.2.1");
    let refused = |from| rates.login(from, || false).map(Login::is_guess).err().map(|limited| limited.retry_after);
    // Those that are no guesses are not counted, however many.
    for _ in 0..10 {
        drop(rates.login(from, || false).unwrap_or_else(|limited| panic!("{limited}")));
    }
    // Three at the same time are three, before it is known what comes of them.
    let under_way: Vec<Login> = (0..3).filter_map(|_| rates.login(from, || false).ok()).collect();
    assert_eq!((under_way.len(), refused(from)), (3, Some(Duration::from_secs(60))));
    assert!(rates.login(from, || true).is_ok());
    assert_eq!(refused(address("192.0.2.2")), None);
    drop(under_way);
    for _ in 0..3 {
        assert_eq!(refused(from), None);
    }
    // Those that come all the same do not make it worse.
    assert_eq!([refused(from), refused(from)], [Some(Duration::from_secs(60)); 2]);
    clock.advance(Duration::from_secs(60));
    assert_eq!((refused(from), refused(from)), (None, Some(Duration::from_secs(60))));
    assert_eq!(rates.refusals()[Limit::AddressLogins as usize], 4);
}

#[test]
fn what_is_held_is_counted_by_address_and_by_caller() {
    let (rates, _) =
        rates("[address]\nconnections = 2\nsockets = 2\nsubscriptions = 3\n[caller]\nsockets = 1\nsubscriptions = 2");
    let from = address("192.0.2.1");
    let (ada, bob) = (token("a", "ada"), token("a", "bob"));
    let (ada, bob) = (Who { address: from, caller: &ada }, Who { address: from, caller: &bob });
    let held: Vec<_> = (0..3).map(|_| rates.connection(from)).collect();
    assert_eq!(held.iter().filter(|held| held.is_ok()).count(), 2);
    drop(held);
    assert!(rates.connection(from).is_ok());
    let (first, second) = (rates.subscription(ada), rates.subscription(ada));
    assert!(first.is_ok() && second.is_ok());
    // What one limit refuses is not held by another.
    for _ in 0..10 {
        assert_eq!(rates.subscription(ada).err().map(|limited| limited.limit), Some(Limit::CallerSubscriptions));
    }
    let third = rates.subscription(bob);
    assert!(third.is_ok());
    assert_eq!(rates.subscription(bob).err().map(|limited| limited.limit), Some(Limit::AddressSubscriptions));
    drop((first, second, third));
    assert!(rates.subscription(bob).is_ok());
    let socket = rates.socket_of(ada);
    assert!(socket.is_ok() && rates.socket_of(ada).is_err() && rates.socket_of(bob).is_ok());
    assert!(rates.socket(from).is_ok());
}

#[test]
fn a_tenant_has_limits_for_all_of_its_callers() {
    let config = only(
        "[address]\nrequests = \"1/s burst 3\"\n[caller]\nrequests = \"1/s burst 2\"\n[tenant]\nrequests = \"10/s burst 3\"\n\
         cost = \"100/s burst 50\"\nmessages = \"1/s burst 2\"\nsockets = 2\nsubscriptions = 1",
    );
    let clock = Clock::paused();
    let server = Rates::new(&config, clock.clone());
    let tenants = [(); 2].map(|()| Rates::of_tenant(&config, clock.clone(), server.addresses().clone()));
    let [acme, other] = &tenants;
    let none = AppRates::default();
    let callers = ["ada", "bob", "cy"].map(|subject| token("a", subject));
    let [ada, bob, cy] = &callers;
    let ask = |rates: &Rates, caller, cost| operation(rates, &none, "192.0.2.1", caller, cost, &[]);
    assert_eq!([ask(acme, ada, 1), ask(acme, ada, 1), ask(acme, bob, 1)], ["ok"; 3]);
    // What a caller's own limit refuses takes nothing of the others.
    assert_eq!([ask(acme, ada, 1), ask(acme, bob, 1)], ["caller_requests 1000", "tenant_requests 100"]);
    // Another tenant has counts of its own, of the same caller too; so has a server that is nobody's.
    assert_eq!([ask(other, ada, 1), ask(&server, ada, 1), ask(&server, cy, 1)], ["ok"; 3]);
    clock.advance(Duration::from_secs(100));
    assert_eq!([ask(acme, ada, 40), ask(acme, bob, 20)], ["ok", "tenant_cost 100"]);
    let who = |caller| Who { address: address("192.0.2.1"), caller };
    let limit = |limited: Limited| limited.limit;
    assert_eq!([acme.message(who(ada)), acme.message(who(bob))], [Ok(()), Ok(())]);
    assert_eq!(acme.message(who(cy)).map_err(limit), Err(Limit::TenantMessages));
    assert_eq!((other.message(who(cy)), server.message(who(cy))), (Ok(()), Ok(())));
    let held = [acme.subscription(who(ada)), acme.subscription(who(bob)), other.subscription(who(bob))];
    assert_eq!(held.map(|held| held.err().map(limit)), [None, Some(Limit::TenantSubscriptions), None]);
    let held = [ada, bob, cy].map(|caller| acme.socket_of(who(caller)));
    assert_eq!(held.each_ref().map(|held| held.is_ok()), [true, true, false]);
    drop(held);
    assert!(acme.socket_of(who(cy)).is_ok());
    // An address is one, whatever it asks.
    let from = address("192.0.2.9");
    assert!(server.request(from).is_ok() && acme.request(from).is_ok() && other.request(from).is_ok());
    assert!(acme.request(from).is_err());
    let refused = |rates: &Rates| rates.refusals()[Limit::AddressRequests as usize];
    assert_eq!((refused(acme), refused(other), refused(&server)), (1, 0, 0));
}

#[test]
fn a_tenant_that_is_not_limited_is_not() {
    let rates = Rates::new(&RateSection::off(), Clock::paused());
    let tenant = Rates::of_tenant(&RateSection::off(), Clock::paused(), rates.addresses().clone());
    let none = AppRates::default();
    for _ in 0..30_000 {
        assert_eq!(operation(&tenant, &none, "192.0.2.1", &Caller::Anonymous, 1_000_000, &[]), "ok");
    }
}

#[test]
fn a_hundred_thousand_addresses_take_no_more_memory_and_make_nobody_forgotten() {
    let (rates, clock) = rates("keys = 4096\n[address]\nrequests = \"10/s burst 20\"");
    let memory = || rates.addresses.tables().all().map(|table| table.bytes()).sum::<usize>();
    let bytes = memory();
    let busy = address("192.0.2.1");
    // Who has used all of it up asks again in the middle of the flood, and so does who has not.
    for _ in 0..20 {
        assert!(rates.request(busy).is_ok());
    }
    let mut refused = 0;
    for number in 0..100_000_u32 {
        let _ = rates.request(Ipv4Addr::from_bits(0x0A00_0000 + number).into());
        if number.is_multiple_of(100) {
            refused += u32::from(rates.request(busy).is_err());
        }
        if number.is_multiple_of(1_000) {
            clock.advance(Duration::from_millis(1));
        }
    }
    // In these 100 milliseconds one came back, which it is answered unless it lost its place to somebody who owes more.
    assert!((999..=1_000).contains(&refused), "{refused}");
    assert_eq!(memory(), bytes);
    assert!((4096 * 16..4096 * 24).contains(&bytes), "{bytes}");
}

#[test]
fn who_asks_seldom_is_answered_during_a_flood_of_addresses() {
    let (rates, clock) = rates("[address]\nrequests = \"10/s burst 20\"");
    let healthy: Vec<IpAddr> = (0..50).map(|number| Ipv4Addr::new(192, 0, 2, number).into()).collect();
    let mut number = 0_u32;
    for _ in 0..1_000 {
        // A hundred thousand different addresses in a second: each owes something for a tenth of that.
        for _ in 0..100 {
            number += 1;
            let _ = rates.request(Ipv4Addr::from_bits(0x0A00_0000 + number).into());
        }
        clock.advance(Duration::from_millis(1));
        if number.is_multiple_of(10_000) {
            for address in &healthy {
                assert!(rates.request(*address).is_ok(), "{address} after {number}");
            }
        }
    }
    assert_eq!(rates.overflowed(), 0);
}

#[test]
fn what_a_flood_owes_for_hours_keeps_nobody_from_asking_often() {
    let (rates, clock) = rates("keys = 1024");
    let app = app(&rates, "requests = \"1000/s burst 2000\"\n[functions]\nreset = \"3/h\"\nping = \"10/m burst 5\"");
    let anonymous = |number: u32, calls: &[&str]| {
        let from = Ipv4Addr::from_bits(0x0A00_0000 + number).to_string();
        operation(&rates, &app, &from, &Caller::Anonymous, 1, calls)
    };
    // A hundred thousand callers use up what each may do in an hour, where a thousand have places: what is allowed of that is no
    // more than these may do, and one more for each set of eight.
    let mut allowed = 0;
    for number in 0..100_000 {
        let calls: u32 = (0..3).map(|_| u32::from(anonymous(number, &["reset"]) == "ok")).sum();
        allowed += calls;
        clock.advance(Duration::from_micros(100));
    }
    assert!((1_024 * 3..=(1_024 + 1_024 / 8) * 3).contains(&allowed), "{allowed}");
    assert!(rates.overflowed() > 0);
    // Whoever comes now asks whatever else there is as if nothing were.
    for number in 200_000..200_100 {
        assert_eq!([anonymous(number, &["other"]), anonymous(number, &["ping"])], ["ok", "ok"], "{number}");
    }
    // And is told to wait for no longer than one takes to come back.
    for number in 200_000..200_100 {
        let answer = anonymous(number, &["reset"]);
        let wait = answer.strip_prefix("app_function ").and_then(|wait| wait.parse::<u64>().ok());
        assert!(wait.is_none_or(|wait| wait <= 1_200_000), "{answer}");
        assert!(wait.is_some() || answer == "ok", "{answer}");
    }
}

#[test]
fn logins_are_limited_though_all_places_are_taken() {
    let (rates, _) = rates("keys = 64\n[address]\nlogins_failed = \"1/m burst 3\"");
    let guess = |number: u32| {
        let login = rates.login(Ipv4Addr::from_bits(number).into(), || false);
        u32::from(login.map(Login::is_guess).is_ok())
    };
    // A hundred thousand addresses guess ten times each: not each of them three times.
    let guessed: u32 = (0..100_000).map(|number| (0..10).map(|_| guess(number)).sum::<u32>()).sum();
    assert!((64 * 3..=(64 + 8) * 3).contains(&guessed), "{guessed}");
    // Who is known goes on all the same.
    assert!(rates.login(address("192.0.2.1"), || true).is_ok());
}
