//! The queue beside arrivals and costs of all kinds: whose turn it is, how many seats one can hold, when it is full.

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn bounds(seats: usize, quick: usize) -> Bounds {
    Bounds { seats, quick, waiting_max: 1_000, waiting_share_max: 100, wait_max: Duration::from_secs(3_600) }
}

fn of(tenant: u64, caller: u64) -> Share {
    Share { tenant, caller }
}

/// A queue of shares, with a clock that is set by hand.
struct Played {
    queue: Queue<Share>,
    now: Instant,
}

impl Played {
    fn new(bounds: Bounds) -> Self {
        Self { queue: Queue::new(bounds, |_| true), now: Instant::now() }
    }

    fn push(&mut self, share: Share, calls: usize) {
        for _ in 0..calls {
            self.queue.push(share, share, self.now).expect("there is room");
        }
    }

    fn take(&mut self) -> Option<(Share, Turn)> {
        self.queue.next(self.now).taken
    }

    /// Serves one call to its end.
    fn serve(&mut self, cost: impl Fn(Share) -> Duration) -> Option<Share> {
        let (share, turn) = self.take()?;
        self.now += cost(share);
        self.queue.end(turn, self.now);
        Some(share)
    }
}

#[test]
fn equal_callers_take_turns_whoever_came_first() {
    let mut played = Played::new(bounds(2, 2));
    played.push(of(0, 1), 50);
    played.push(of(0, 2), 3);
    let served: Vec<u64> = (0..8).map(|_| played.serve(|_| MS).expect("a call").caller).collect();
    assert_eq!(served.iter().filter(|caller| **caller == 2).count(), 3, "{served:?}");
}

#[test]
fn tenants_have_their_turns_before_their_callers() {
    let mut played = Played::new(bounds(2, 2));
    for caller in 0..20 {
        played.push(of(1, caller), 10);
    }
    played.push(of(2, 0), 10);
    let served: Vec<Share> = (0..20).map(|_| played.serve(|_| MS).expect("a call")).collect();
    let (one, other) = served.iter().partition::<Vec<Share>, _>(|share| share.tenant == 1);
    assert_eq!((one.len(), other.len()), (10, 10));
    assert_eq!(one.iter().map(|share| share.caller).collect::<std::collections::HashSet<_>>().len(), 10);
}

#[test]
fn slow_calls_get_fewer_turns() {
    let mut played = Played::new(bounds(2, 2));
    played.push(of(0, 1), 100);
    played.push(of(0, 2), 100);
    let cost = |share: Share| if share.caller == 1 { 20 * MS } else { MS };
    let served: Vec<u64> = (0..105).map(|_| played.serve(cost).expect("a call").caller).collect();
    let slow = served.iter().filter(|caller| **caller == 1).count();
    assert!((5..=7).contains(&slow), "{slow} slow calls for {} quick ones", served.len() - slow);
}

#[test]
fn a_debt_is_remembered_by_who_comes_back_and_ends() {
    let mut played = Played::new(bounds(2, 2));
    played.push(of(0, 2), 100);
    for _ in 0..2 {
        // Its one call at a time costs as much as twenty of the other's.
        played.push(of(0, 1), 1);
        let cost = |share: Share| if share.caller == 1 { 20 * MS } else { MS };
        let turns = std::iter::from_fn(|| played.serve(cost)).position(|share| share.caller == 1).expect("its turn");
        assert!(turns <= 21, "{turns}");
    }
    let long = |share: Share| if share.caller == 1 { 600 * LAG_MAX } else { LAG_MAX / 10 };
    played.push(of(0, 1), 2);
    let turns: Vec<usize> = (0..2)
        .map(|_| std::iter::from_fn(|| played.serve(long)).position(|share| share.caller == 1).expect("its turn"))
        .collect();
    assert!(turns[1] <= 12, "ten minutes are no debt for ten minutes: {turns:?}");
    while played.serve(long).is_some() {}
    assert_eq!((played.queue.lines.len(), played.queue.callers.len(), played.queue.tenants.len()), (0, 0, 0));
}

#[test]
fn one_holds_half_of_the_seats_and_the_next_still_finds_some() {
    let mut played = Played::new(bounds(8, 8));
    for (caller, seats) in [(1, 4), (2, 2), (3, 1), (4, 1), (5, 0)] {
        played.push(of(0, caller), 10);
        let held = std::iter::from_fn(|| played.take()).filter(|(share, _)| share.caller == caller).count();
        assert_eq!(held, seats, "caller {caller}");
    }
}

#[test]
fn seats_beyond_the_cores_are_for_when_calls_turn_out_to_be_slow() {
    let mut played = Played::new(bounds(4, 2));
    played.push(of(0, 1), 5);
    let first = [played.take(), played.take()];
    assert!(first.iter().all(Option::is_some));
    assert!(played.take().is_none());
    assert!(!played.queue.is_paced(played.now), "its caller holds half of the seats");
    played.push(of(0, 2), 5);
    assert!(played.take().is_none() && played.queue.is_paced(played.now));
    played.now += SLOW;
    assert!(played.queue.is_due(played.now));
    assert_eq!(played.take().map(|(share, _)| share), Some(of(0, 2)));
}

#[test]
fn a_full_queue_says_when_to_come_back() {
    let mut played = Played::new(bounds(2, 2));
    played.push(of(0, 0), 100);
    let full = |played: &mut Played, caller| {
        let now = played.now;
        played.queue.push(of(0, caller), of(0, caller), now).expect_err("it is full").retry_after
    };
    assert_eq!(full(&mut played, 0), GAP_UNKNOWN * 50, "of its own line");
    for caller in 1..10 {
        played.push(of(0, caller), 100);
    }
    assert_eq!(full(&mut played, 10), GAP_UNKNOWN * 500, "of the whole queue");
    for _ in 0..200 {
        played.serve(|_| 2 * MS);
        let share = of(0, 0);
        let _ = played.queue.push(share, share, played.now);
    }
    let missing = 1_000 - played.queue.waiting();
    played.push(of(0, 11), missing.min(100));
    played.push(of(0, 12), 1_000 - played.queue.waiting());
    let retry = full(&mut played, 10).as_millis();
    assert!((900..=1_100).contains(&retry), "{retry} ms for 500 calls of 2 ms");
    played.now += Duration::from_secs(3_600);
    assert_eq!(full(&mut played, 10), RETRY_MAX);
}

#[test]
fn who_has_waited_for_too_long_is_refused_when_its_turn_comes() {
    let mut played = Played::new(Bounds { wait_max: 100 * MS, ..bounds(2, 2) });
    played.push(of(0, 1), 3);
    let (first, turn) = played.take().expect("a call");
    played.now += 101 * MS;
    played.queue.end(turn, played.now);
    let next = played.queue.next(played.now);
    let late: Vec<Share> = next.late.iter().map(|full| full.call).collect();
    assert!(next.late.iter().all(|full| (RETRY_MIN..=RETRY_MAX).contains(&full.retry_after)));
    assert_eq!((first, late, next.taken.is_none()), (of(0, 1), vec![of(0, 1); 2], true));
    assert_eq!((played.queue.waiting(), played.queue.lines_waiting, played.queue.lines.len()), (0, 0, 0));
    played.push(of(0, 1), 1);
    assert!(played.take().is_some());
}

/// What came of one share under load.
#[derive(Debug, Default)]
struct Came {
    served: u32,
    refused: u32,
    late: u32,
    longest_wait: Duration,
}

/// Offers so many calls in each millisecond, of each share, where one can be served; gives what came of each.
fn offered(wait_max: Duration, milliseconds: u32, each: impl Fn(u32) -> Vec<Share>) -> HashMap<Share, Came> {
    let mut queue: Queue<(Share, Instant)> = Queue::new(Bounds { wait_max, ..bounds(1, 1) }, |_| true);
    let mut now = Instant::now();
    let (mut came, mut turn): (HashMap<Share, Came>, Option<Turn>) = Default::default();
    for millisecond in 0..milliseconds {
        for share in each(millisecond) {
            let refused = queue.push(share, (share, now), now).is_err();
            came.entry(share).or_default().refused += u32::from(refused);
        }
        if let Some(turn) = turn.take() {
            queue.end(turn, now);
        }
        let Next { taken, late, .. } = queue.next(now);
        for Full { call: (share, _), .. } in late {
            came.entry(share).or_default().late += 1;
        }
        if let Some(((share, since), next)) = taken {
            let came = came.entry(share).or_default();
            came.served += 1;
            came.longest_wait = came.longest_wait.max(now - since);
            turn = Some(next);
        }
        now += MS;
    }
    came
}

#[test]
fn under_three_times_the_load_as_many_are_served_as_can_be_and_each_in_its_time() {
    const MILLISECONDS: u32 = 20_000;
    let (noisy, light) = (of(0, 1), of(0, 2));
    let came = offered(50 * MS, MILLISECONDS, |millisecond| {
        let mut calls = vec![noisy; if millisecond.is_multiple_of(10) { 2 } else { 3 }];
        if millisecond.is_multiple_of(10) {
            calls.push(light);
        }
        calls
    });
    let (noisy, light) = (&came[&noisy], &came[&light]);
    assert!(noisy.served + light.served >= MILLISECONDS * 99 / 100, "{came:?}");
    assert_eq!((light.served, light.refused, light.late), (MILLISECONDS / 10, 0, 0));
    assert!(light.longest_wait <= 5 * MS && noisy.longest_wait <= 50 * MS, "{came:?}");
    // Next to all that is too much is refused when it comes, and not after a wait.
    assert!(noisy.late <= noisy.refused / 100, "{came:?}");
}

#[test]
fn under_three_times_the_load_of_many_equals_all_are_served_alike() {
    const MILLISECONDS: u32 = 20_000;
    const SHARES: u64 = 30;
    let came = offered(50 * MS, MILLISECONDS, |millisecond| {
        (0..3).map(|call| of(0, (u64::from(millisecond) * 3 + call) % SHARES)).collect()
    });
    let served: u32 = came.values().map(|came| came.served).sum();
    assert!(served >= MILLISECONDS * 99 / 100, "{came:?}");
    for (share, came) in &came {
        assert!(came.longest_wait <= 50 * MS, "{share:?}: {came:?}");
        let fair = MILLISECONDS / SHARES as u32;
        assert!((fair * 8 / 10..=fair * 12 / 10).contains(&came.served), "{share:?}: {came:?}");
    }
}

#[test]
fn a_burst_is_no_overload() {
    let came = offered(100 * MS, 400, |millisecond| if millisecond == 0 { vec![of(0, 1); 90] } else { Vec::new() });
    let came = &came[&of(0, 1)];
    assert_eq!((came.served, came.refused, came.late), (90, 0, 0));
}

#[test]
fn who_went_away_is_not_served_and_makes_room() {
    let mut queue: Queue<bool> = Queue::new(bounds(2, 2), |is_awaited| *is_awaited);
    let now = Instant::now();
    for is_awaited in [false, false, true] {
        queue.push(of(0, 1), is_awaited, now).expect("there is room");
    }
    let next = queue.next(now);
    assert_eq!((next.taken.map(|(call, _)| call), next.unawaited), (Some(true), vec![false, false]));
    for _ in 0..100 {
        queue.push(of(0, 2), false, now).expect("there is room");
    }
    assert!(queue.push(of(0, 2), true, now).is_err());
    assert_eq!(queue.sweep(now).len(), 100);
    assert_eq!(queue.waiting(), 0);
    queue.push(of(0, 2), true, now).expect("there is room again");
    assert!(queue.sweep(now).is_empty(), "not again at once");
}

#[test]
fn a_certain_call_goes_first_whatever_its_share_holds() {
    let mut played = Played::new(bounds(4, 4));
    played.push(of(0, 1), 10);
    played.push(of(0, 2), 1);
    let held: Vec<_> = std::iter::from_fn(|| played.take()).collect();
    assert_eq!(held.len(), 3);
    let certain = |played: &mut Played| played.queue.push_certain(of(0, 1), of(9, 9), played.now).is_ok();
    assert!(certain(&mut played));
    assert!(!certain(&mut played), "the last seat is promised");
    assert_eq!(played.take().map(|(call, _)| call), Some(of(9, 9)));
}

#[derive(Debug, Clone)]
enum Step {
    Push {
        share: Share,
        calls: usize,
    },
    Take,
    /// Ends one of those that run, after so many milliseconds.
    End {
        which: usize,
        after: u32,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..3u64, 0..4u64, 1..6usize)
            .prop_map(|(tenant, caller, calls)| Step::Push { share: of(tenant, caller), calls }),
        Just(Step::Take),
        (0..8usize, 0..50u32).prop_map(|(which, after)| Step::End { which, after }),
    ];
    prop::collection::vec(step, 1..400)
}

proptest! {
    /// Nothing is lost or counted twice, no bound is broken, and whatever seats are held and calls wait, all are served.
    #[test]
    fn every_call_is_served_once(steps in steps(), seats in 1..9usize, quick in 1..9usize) {
        let mut played = Played::new(bounds(seats, quick.min(seats)));
        let (mut pushed, mut served, mut held) = (0, 0, Vec::new());
        let mut end = |played: &mut Played, held: &mut Vec<(Share, Turn)>, which: usize, after| {
            if held.is_empty() {
                return;
            }
            let (_, turn) = held.remove(which % held.len());
            played.now += MS * after;
            played.queue.end(turn, played.now);
            served += 1;
        };
        for step in steps {
            match step {
                Step::Push { share, calls } => {
                    for _ in 0..calls {
                        pushed += usize::from(played.queue.push(share, share, played.now).is_ok());
                    }
                }
                Step::Take => held.extend(played.take()),
                Step::End { which, after } => end(&mut played, &mut held, which, after),
            }
            prop_assert!(held.len() <= seats);
            prop_assert_eq!(held.len(), played.queue.held());
            for (share, _) in &held {
                let of_share = held.iter().filter(|(other, _)| other == share).count();
                prop_assert!(of_share <= seats.div_ceil(2), "{} of {} seats", of_share, seats);
            }
        }
        while played.queue.waiting() > 0 || !held.is_empty() {
            while let Some(taken) = played.take() {
                held.push(taken);
            }
            prop_assert!(!held.is_empty(), "calls wait and no seat is held");
            end(&mut played, &mut held, 0, 1);
        }
        prop_assert_eq!(pushed, served);
        prop_assert!(played.queue.lines.is_empty() && played.queue.callers.is_empty());
    }

    /// Between two turns of a caller that waits, no other has more than its fair number of them: those that cost as much as
    /// its own did, and one.
    #[test]
    fn nobody_waits_for_more_than_a_fair_number_of_turns(
        costs in prop::collection::vec(1..40u32, 2..7),
        arrivals in prop::collection::vec((0..7usize, 1..8usize), 1..60),
    ) {
        let callers = costs.len();
        let cost = |share: Share| MS * costs[share.caller as usize];
        let longest = costs.iter().copied().max().unwrap_or(0);
        let mut played = Played::new(bounds(2, 2));
        let mut waits_since: Vec<Option<Vec<u32>>> = vec![None; callers];
        let mut arrivals = arrivals.into_iter();
        loop {
            let arrived = arrivals.next();
            if let Some((caller, calls)) = arrived {
                let share = of(0, (caller % callers) as u64);
                for _ in 0..calls {
                    let _ = played.queue.push(share, share, played.now);
                }
                waits_since[caller % callers].get_or_insert_with(|| vec![0; callers]);
            }
            let Some(served) = played.serve(cost) else {
                if arrived.is_none() {
                    break;
                }
                continue;
            };
            let caller = served.caller as usize;
            for (waiting, had) in waits_since.iter_mut().enumerate().filter(|(waiting, _)| *waiting != caller) {
                if let Some(had) = had {
                    had[caller] += costs[caller];
                    // In debt by one call of its own at most, while each of the others is owed no more than the longest call.
                    let fair = costs[waiting] + longest + costs[caller];
                    prop_assert!(had[caller] <= fair, "{} waits, {} had {} ms", waiting, caller, had[caller]);
                }
            }
            let still = played.queue.lines.get(&served).is_some_and(|line| !line.calls.is_empty());
            waits_since[caller] = still.then(|| vec![0; callers]);
        }
    }
}
