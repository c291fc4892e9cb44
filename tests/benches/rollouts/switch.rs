//! Promotions and rollbacks between two releases that are loaded, and the calls beside them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::figures::{quantile, show};
use crate::server::{Shop, call};

/// Half of them promotions, half of them rollbacks.
const SWITCHES: usize = 60;
/// Between two.
const PAUSE: Duration = Duration::from_millis(200);
/// Calls this long before and after a switch are around it.
const AROUND: Duration = Duration::from_millis(50);
const CONNECTIONS: usize = 16;
/// Of each connection under a constant load.
const BETWEEN_CALLS: Duration = Duration::from_millis(10);
const OLD: &str = "1.0.0";
const NEW: &str = "1.0.1";

/// How much is asked meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    None,
    /// By as many connections, each of them again after so long.
    Constant,
    /// As fast as they are answered.
    Full,
}

/// A call of the load.
struct Call {
    begun: Instant,
    ended: Instant,
    is_new: bool,
}

/// A promotion, or a rollback.
struct Switch {
    sent: Instant,
    acknowledged: Instant,
    /// Where calls go then.
    is_new: bool,
    /// A call that was made at once, and whether it was answered by the release before.
    next: Duration,
    is_late: bool,
}

pub fn run() {
    let shop = Shop::start();
    shop.connection().ask(&shop.upload(NEW));
    shop.admin("mutation { rollBack(why: \"to and fro\") { summary } }");
    for (load, name) in [
        (Load::None, "with nobody else"),
        (Load::Constant, "beside a constant load"),
        (Load::Full, "beside clients who ask as fast as they can"),
    ] {
        let (switches, calls) = to_and_fro(&shop, load);
        println!("{SWITCHES} switches {name}");
        tell(&switches, &calls);
    }
    assert_eq!(shop.server.stop(), Some(0));
}

fn to_and_fro(shop: &Shop, load: Load) -> (Vec<Switch>, Vec<Call>) {
    let (over, number) = (AtomicBool::new(false), AtomicU64::new(1));
    thread::scope(|scope| {
        let asking: Vec<_> = (0..if load == Load::None { 0 } else { CONNECTIONS })
            .map(|_| {
                let mut client = shop.connection();
                let (over, number) = (&over, &number);
                scope.spawn(move || {
                    let mut calls = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        let due = Instant::now() + BETWEEN_CALLS;
                        calls.push(one(&mut client, number));
                        if load == Load::Constant {
                            thread::sleep(due.saturating_duration_since(Instant::now()));
                        }
                    }
                    calls
                })
            })
            .collect();
        // All of them are under way before the first switch.
        thread::sleep(PAUSE * 5);
        let switches = switch(shop, &number);
        over.store(true, Ordering::Relaxed);
        (switches, asking.into_iter().flat_map(|asking| asking.join().unwrap()).collect())
    })
}

fn one(client: &mut Connection, number: &AtomicU64) -> Call {
    let question = call(number.fetch_add(1, Ordering::Relaxed));
    let begun = Instant::now();
    let answer = client.ask(&question);
    let (ended, release) = (Instant::now(), answer.release.unwrap());
    assert!([OLD, NEW].contains(&release.as_str()), "{release}");
    Call { begun, ended, is_new: release == NEW }
}

/// Makes the switches. Each new rollout is made ready, and waits, before its promotion is timed.
fn switch(shop: &Shop, number: &AtomicU64) -> Vec<Switch> {
    let (mut control, mut client) = (shop.connection(), shop.connection());
    let start = format!("mutation {{ startRollout(release: \"{NEW}\", strategy: {{ hold: true }}) {{ summary }} }}");
    let [start, promote, back] =
        [&start, "mutation { promoteRollout { summary } }", "mutation { rollBack(why: \"to and fro\") { summary } }"]
            .map(|document| shop.mutation(document));
    (0..SWITCHES)
        .map(|place| {
            let is_new = place % 2 == 0;
            if is_new {
                control.ask(&start);
            }
            thread::sleep(PAUSE);
            let sent = Instant::now();
            control.ask(if is_new { &promote } else { &back });
            let acknowledged = Instant::now();
            let next = one(&mut client, number);
            let is_late = next.is_new != is_new;
            Switch { sent, acknowledged, is_new, next: next.ended - next.begun, is_late }
        })
        .collect()
}

fn tell(switches: &[Switch], calls: &[Call]) {
    let took = |is_new: bool| -> Vec<Duration> {
        let those = switches.iter().filter(|switch| switch.is_new == is_new);
        those.map(|switch| switch.acknowledged - switch.sent).collect()
    };
    show("  promoteRollout, to its answer", &took(true));
    show("  rollBack, to its answer", &took(false));
    let next: Vec<Duration> = switches.iter().map(|switch| switch.next).collect();
    show("  the next call after the answer", &next);
    let mut late = switches.iter().filter(|switch| switch.is_late).count();
    if !calls.is_empty() {
        let (mut first, mut after) = (Vec::new(), 0);
        for (place, switch) in switches.iter().enumerate() {
            let until = switches.get(place + 1).map_or(switch.acknowledged + PAUSE, |next| next.sent);
            let between = calls.iter().filter(|call| call.begun > switch.acknowledged && call.ended < until);
            let between: Vec<&Call> = between.collect();
            after += between.len();
            late += between.iter().filter(|call| call.is_new != switch.is_new).count();
            first.extend(between.iter().min_by_key(|call| call.begun).map(|call| call.ended - call.begun));
        }
        show("  the first call of the load that began after the answer", &first);
        let is_around = |call: &&Call| {
            let near = |switch: &Switch| call.ended > switch.sent - AROUND && call.begun < switch.acknowledged + AROUND;
            switches.iter().any(near)
        };
        let (around, apart): (Vec<&Call>, Vec<&Call>) = calls.iter().partition(is_around);
        let times = |calls: Vec<&Call>| -> Vec<Duration> { calls.iter().map(|call| call.ended - call.begun).collect() };
        let (around, apart) = (times(around), times(apart));
        show("  calls around a switch", &around);
        show("  all others", &apart);
        let ratio = |percent| quantile(&around, percent) / quantile(&apart, percent);
        println!(
            "  around a switch / all others: p50 {:.2}, p99 {:.2}; {after} calls began after an answer",
            ratio(50),
            ratio(99)
        );
    }
    println!("  calls that began after the answer and were answered by the release before: {late}");
    let all: Vec<Duration> = switches.iter().map(|switch| switch.acknowledged - switch.sent).collect();
    println!("  switch / a call: {:.1}", quantile(&all, 50) / quantile(&next, 50));
}
