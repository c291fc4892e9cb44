//! Threads and queue together: every call is answered, nobody is left asleep, threads are made when they are needed.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// What a call does, and who waits for it.
struct Call {
    takes: Duration,
    done: Sender<u64>,
    caller: u64,
}

const PATIENCE: Duration = Duration::from_secs(60);

fn crew(seats: usize, quick: usize) -> Crew<Call> {
    let bounds = Bounds { seats, quick, waiting_max: 10_000, waiting_share_max: 1_000, wait_max: PATIENCE };
    let plan = Plan { name: "crew-test", stack_bytes: 256 << 10, kept: quick, bounds };
    Crew::new(
        plan,
        &Arc::new(AtomicUsize::new(0)),
        |_| true,
        |_, _| {},
        |mut member: Member<Call>| {
            while let Some(Call { takes, done, caller }) = member.next() {
                if !takes.is_zero() {
                    thread::sleep(takes);
                }
                let _ = done.send(caller);
            }
        },
    )
    .expect("threads")
}

fn push(crew: &Crew<Call>, caller: u64, takes: Duration, done: &Sender<u64>) {
    let call = Call { takes, done: done.clone(), caller };
    assert!(crew.push(Share { tenant: 0, caller }, call).is_ok(), "there is room");
}

fn next(done: &Receiver<u64>) -> u64 {
    done.recv_timeout(PATIENCE).expect("an answer")
}

#[test]
fn every_call_of_many_callers_is_answered() {
    for (seats, quick) in [(1, 1), (2, 1), (4, 2), (8, 8)] {
        let crew = crew(seats, quick);
        thread::scope(|scope| {
            for caller in 0..8 {
                let crew = &crew;
                scope.spawn(move || {
                    let (done, answers) = channel();
                    // One at a time, where each push may meet threads that are just falling asleep, and in bursts.
                    for round in 0..300_u32 {
                        let calls = 1 + round % 4;
                        for _ in 0..calls {
                            let takes = if round % 50 == 0 { 2 * SLOW } else { Duration::ZERO };
                            push(crew, caller, takes, &done);
                        }
                        for _ in 0..calls {
                            assert_eq!(next(&answers), caller);
                        }
                    }
                });
            }
        });
        assert!(crew.shared.state.lock().threads <= seats);
    }
}

#[test]
fn threads_are_made_when_they_are_needed() {
    let crew = crew(4, 2);
    let threads = || crew.shared.state.lock().threads;
    let (done, answers) = channel();
    assert_eq!(threads(), 0);
    for _ in 0..50 {
        push(&crew, 1, Duration::ZERO, &done);
        next(&answers);
    }
    assert!(threads() <= 2, "one caller with one quick call at a time: {}", threads());
    for _ in 0..8 {
        push(&crew, 1, Duration::from_millis(50), &done);
    }
    for _ in 0..8 {
        next(&answers);
    }
    assert!(threads() <= 2, "one caller holds half of the seats: {}", threads());
    for caller in [1, 1, 2, 3] {
        push(&crew, caller, Duration::from_millis(200), &done);
    }
    let all: Vec<u64> = (0..4).map(|_| next(&answers)).collect();
    assert!(threads() > 2, "there are slow calls of others: {all:?}");
}

#[test]
fn a_quick_call_overtakes_a_flood_of_slow_ones() {
    let crew = crew(4, 2);
    let (done, answers) = channel();
    for _ in 0..40 {
        push(&crew, 1, Duration::from_millis(30), &done);
    }
    assert_eq!(next(&answers), 1);
    push(&crew, 2, Duration::ZERO, &done);
    let before = std::iter::repeat_with(|| next(&answers)).take_while(|caller| *caller == 1).count();
    assert!(before <= 8, "{before} of 39 slow calls went before it");
}

#[test]
fn a_thread_that_dies_leaves_its_seat_to_another() {
    let bounds = Bounds { seats: 1, quick: 1, waiting_max: 10, waiting_share_max: 10, wait_max: PATIENCE };
    let plan = Plan { name: "crew-test", stack_bytes: 256 << 10, kept: 1, bounds };
    let (done, answers) = channel();
    let crew = Crew::new(
        plan,
        &Arc::new(AtomicUsize::new(0)),
        |_| true,
        |_, _| {},
        move |mut member: Member<u64>| {
            // Each serves one call and ends with the next in hand.
            if let Some(call) = member.next() {
                let _ = done.send(call);
                member.next();
            }
        },
    )
    .expect("threads");
    for call in 0..6 {
        assert!(crew.push(Share { tenant: 0, caller: 0 }, call).is_ok());
    }
    assert_eq!([next(&answers), next(&answers), next(&answers)], [0, 2, 4]);
}
