//! The state machine by hand, and held against a plainer model of it at random.

use super::*;

fn canary(steps: &[(&str, Option<u64>)]) -> Strategy {
    let step = |(share, for_ms): &(&str, Option<u64>)| Step { share: Share::parse(share).unwrap(), for_ms: *for_ms };
    Strategy::Canary { steps: steps.iter().map(step).collect() }
}

fn blue_green(hold: bool) -> Strategy {
    Strategy::BlueGreen { hold }
}

fn shadow(share: &str) -> Strategy {
    Strategy::Shadow { share: Share::parse(share).unwrap() }
}

/// The candidate for 30% of the callers, and others for so many.
fn experiment(others: &[(u64, &str)]) -> Strategy {
    let variant = |(release, share): &(u64, &str)| Variant { release: *release, share: Share::parse(share).unwrap() };
    let others = others.iter().map(variant).collect();
    Strategy::Experiment { share: Share(3_000), others, compared: Compared::default() }
}

/// Traffic of a release that was deployed before.
fn served(sequence: u64) -> Traffic {
    Traffic { promoted: vec![sequence], ..Traffic::default() }
}

fn run(traffic: &Traffic, events: &[(u64, Event)]) -> Traffic {
    events.iter().fold(traffic.clone(), |traffic, (now_ms, event)| traffic.after(event, *now_ms).unwrap().traffic)
}

#[test]
fn shares_are_read_and_written() {
    for (text, hundredths) in
        [("0%", 0), ("5%", 500), ("0.25%", 25), ("12.5%", 1_250), ("100%", 10_000), (" 1 % ", 100)]
    {
        assert_eq!(Share::parse(text).map(Share::hundredths), Some(hundredths), "{text}");
    }
    for text in ["", "%", "5", "-1%", "100.01%", "0.001%", "1.%", ".5%", "1e1%", "１%", "99999999999%"] {
        assert_eq!(Share::parse(text), None, "{text}");
    }
    for text in ["0%", "5%", "0.25%", "12.5%", "0.05%", "100%"] {
        assert_eq!(Share::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn who_is_among_few_is_among_more_and_shares_are_as_large_as_they_say() {
    let buckets: Vec<Bucket> = (0..100_000_u32).map(|caller| Bucket::of(7, &[&caller.to_be_bytes()])).collect();
    let [few, more] = ["5%", "30%"].map(|share| Share::parse(share).unwrap());
    assert!(buckets.iter().all(|bucket| !few.has(*bucket) || more.has(*bucket)));
    let among = |share: Share| buckets.iter().filter(|bucket| share.has(**bucket)).count();
    // Digests are what they are: the same in each run.
    assert!((4_800..5_200).contains(&among(few)), "{}", among(few));
    assert!((29_500..30_500).contains(&among(more)), "{}", among(more));
    assert_eq!((among(Share::ALL), among(Share::NONE)), (100_000, 0));
    // Those of another rollout are others.
    let both = (0..100_000_u32).filter(|caller| few.has(Bucket::of(8, &[&caller.to_be_bytes()])));
    let both = both.filter(|caller| few.has(Bucket::of(7, &[&caller.to_be_bytes()]))).count();
    assert!((150..350).contains(&both), "{both}");
}

#[test]
fn blue_green_moves_all_at_once() {
    let started = Traffic::default().start(1, blue_green(true), "ada", 10).unwrap();
    let first = started.after(&Event::Prepared, 20).unwrap();
    assert_eq!((first.traffic.active(), first.traffic.rollout), (Some(1), None), "there is nobody to wait for");
    assert_eq!(
        first.ended.map(|ended| (ended.phase, ended.since_ms, ended.started_ms)),
        Some((Phase::Promoted, 20, 10))
    );
    let held = served(1).start(2, blue_green(true), "ada", 30).unwrap().after(&Event::Prepared, 40).unwrap().traffic;
    assert_eq!((held.active(), held.candidate(), held.due_ms()), (Some(1), None, None));
    let promoted = held.after(&Event::Promote, 50).unwrap().traffic;
    assert_eq!((promoted.active(), promoted.previous()), (Some(2), Some(1)));
    let back = promoted.after(&Event::RollBack { why: "slow".into() }, 60).unwrap().traffic;
    assert_eq!((back.active(), back.previous()), (Some(1), None));
    assert_eq!(back.after(&Event::RollBack { why: "slow".into() }, 70), Err(Refused::First));
}

#[test]
fn a_canary_goes_step_by_step() {
    let strategy = canary(&[("5%", Some(100)), ("25%", None), ("50%", Some(10))]);
    let started = served(1).start(2, strategy, "ada", 0).unwrap();
    assert_eq!(started.candidate(), None);
    let first = run(&started, &[(1_000, Event::Prepared)]);
    assert_eq!((first.candidate(), first.due_ms()), (Some((2, Share::of(500).unwrap())), Some(1_100)));
    assert_eq!(first.after(&Event::Due, 1_099), Err(Refused::Early(1)));
    let second = run(&first, &[(1_100, Event::Due)]);
    assert_eq!((second.candidate(), second.due_ms()), (Some((2, Share::of(2_500).unwrap())), None));
    assert_eq!(second.after(&Event::Due, u64::MAX), Err(Refused::Early(1)));
    let third = run(&second, &[(2_000, Event::Advance)]);
    assert_eq!(third.due_ms(), Some(2_010));
    let paused = run(&third, &[(2_004, Event::Pause)]);
    assert_eq!((paused.candidate(), paused.due_ms()), (Some((2, Share::of(5_000).unwrap())), None));
    let resumed = run(&paused, &[(3_000, Event::Resume)]);
    assert_eq!(resumed.due_ms(), Some(3_006));
    let over = resumed.after(&Event::Due, 3_006).unwrap();
    assert_eq!((over.traffic.active(), over.traffic.previous(), over.traffic.rollout), (Some(2), Some(1), None));
    let back = paused.after(&Event::RollBack { why: "errors".into() }, 2_005).unwrap();
    assert_eq!((back.traffic.active(), back.traffic.candidate()), (Some(1), None));
    assert_eq!(back.ended.unwrap().phase, Phase::RolledBack { why: "errors".into() });
}

fn watch(rollout: u64, since_ms: u64, until_ms: u64) -> Watch {
    Watch { rollout, since_ms, until_ms, before: Health::default() }
}

#[test]
fn a_rollout_that_is_watched_is_taken_back_by_what_its_calls_come_to() {
    let violated = |rollout| Event::Violated { rollout, why: "errors".into() };
    let started = served(1).start(2, canary(&[("5%", None)]), "ada", 0).unwrap();
    assert_eq!(started.after(&violated(1), 0), Err(Refused::Unwatched(1)), "it has no calls yet");
    let step = run(&started, &[(10, Event::Prepared)]);
    assert_eq!(step.after(&violated(2), 20), Err(Refused::Unwatched(2)));
    for state in [step.clone(), run(&step, &[(15, Event::Pause)])] {
        let ended = state.after(&violated(1), 20).unwrap().ended.unwrap();
        assert_eq!((ended.phase, ended.since_ms), (Phase::RolledBack { why: "errors".into() }, 20));
    }
    let alone = run(&step, &[(20, Event::Unguard)]);
    assert_eq!(alone.after(&violated(1), 30), Err(Refused::Unwatched(1)));
    let rollout = alone.rollout.unwrap();
    assert_eq!((rollout.since_ms, rollout.phase), (10, Phase::Step { number: 0, due_ms: None }));
    // All callers have moved, and it is watched for a while.
    let mut promoted = run(&step, &[(30, Event::Promote)]);
    assert_eq!(promoted.after(&violated(1), 31), Err(Refused::Unwatched(1)));
    promoted.watch = Some(watch(1, 30, 100));
    assert_eq!(promoted.after(&violated(1), 100), Err(Refused::Unwatched(1)), "it is over");
    let back = run(&promoted, &[(99, violated(1))]);
    assert_eq!((back.active(), back.watch), (Some(1), None));
    let alone = run(&promoted, &[(40, Event::Unguard)]);
    assert_eq!((alone.active(), alone.watch.clone()), (Some(2), None));
    assert_eq!(alone.after(&Event::Unguard, 41), Err(Refused::None));
    // The next rollout ends the watch, so that nobody takes back another than was meant.
    let next = promoted.start(3, blue_green(true), "ada", 50).unwrap();
    assert_eq!((next.after(&violated(1), 60), next.watch), (Err(Refused::Unwatched(1)), None));
}

#[test]
fn a_shadow_moves_nobody_before_it_is_promoted() {
    let first = Traffic::default().start(1, shadow("10%"), "ada", 0).unwrap().after(&Event::Prepared, 1).unwrap();
    assert_eq!(
        (first.traffic.active(), first.traffic.shadow()),
        (Some(1), None),
        "there is nothing to compare it with"
    );
    let started = served(1).start(2, shadow("10%"), "ada", 0).unwrap();
    assert_eq!(started.shadow(), None);
    let shadowing = run(&started, &[(10, Event::Prepared)]);
    assert_eq!(shadowing.shadow(), Some((2, Share::of(1_000).unwrap())));
    assert_eq!((shadowing.active(), shadowing.candidate(), shadowing.due_ms()), (Some(1), None, None));
    for (event, asked) in [(Event::Advance, "advanced"), (Event::Pause, "paused"), (Event::Resume, "resumed")] {
        let refused = shadowing.after(&event, 20).unwrap_err().to_string();
        assert_eq!(refused, format!("rollout 1 is shadowing: it cannot be {asked}"));
    }
    assert_eq!(
        shadowing.rollout.as_ref().unwrap().in_words(),
        "shadow, 10% of the calls are made on it too: weir rollout promote moves all callers"
    );
    let promoted = shadowing.after(&Event::Promote, 20).unwrap().traffic;
    assert_eq!((promoted.active(), promoted.previous(), promoted.shadow()), (Some(2), Some(1), None));
    let back = shadowing.after(&Event::RollBack { why: "it differs".into() }, 20).unwrap();
    assert_eq!((back.traffic.active(), back.traffic.shadow()), (Some(1), None));
    assert_eq!(back.ended.unwrap().phase, Phase::RolledBack { why: "it differs".into() });
    assert_eq!(served(1).start(2, shadow("0%"), "ada", 0), Err(Refused::Strategy(BadStrategy::NoCalls)));
}

#[test]
fn what_was_active_before_is_so_again_after_a_rollback() {
    let back = |release| Event::TakeBack { release, why: "slow".into() };
    let two = Traffic { promoted: vec![1, 2], ..Traffic::default() };
    let again = run(&two.start(1, blue_green(false), "ada", 0).unwrap(), &[(10, Event::Prepared)]);
    assert_eq!((again.active(), again.previous()), (Some(1), Some(2)));
    let before = run(&again, &[(20, back(1))]);
    assert_eq!(before.promoted, two.promoted);
    assert_eq!(run(&before, &[(30, back(2))]).promoted, [1]);
    // It is remembered of no more promotions than there is room for.
    let full = Traffic { promoted: (1..=PROMOTED_MAX as u64).collect(), ..Traffic::default() };
    let next = run(&full.start(1, blue_green(false), "ada", 0).unwrap(), &[(10, Event::Prepared)]);
    assert_eq!((next.promoted.len(), next.promoted[0], next.active()), (PROMOTED_MAX, 2, Some(1)));
}

#[test]
fn who_says_what_is_to_be_taken_back_takes_back_that_or_nothing() {
    let named = |release| Event::TakeBack { release, why: "slow".into() };
    let any = || Event::RollBack { why: "slow".into() };
    let two = Traffic { promoted: vec![1, 2], ..Traffic::default() };
    let step = run(&two.start(3, canary(&[("5%", None)]), "ada", 0).unwrap(), &[(10, Event::Prepared)]);
    assert_eq!(step.after(&named(2), 20), Err(Refused::Left(2)), "the one that is rolled out is in its way");
    for event in [named(3), any(), Event::Violated { rollout: 1, why: "errors".into() }] {
        let back = run(&step, &[(20, event)]);
        assert_eq!(back.promoted, [1, 2]);
        assert_eq!(back.after(&named(3), 20), Err(Refused::Left(3)));
        // Whoever has not seen that yet does not take back one more.
        let again = back.after(&any(), 20 + back::NAMED_FOR_MS - 1).unwrap_err();
        assert_eq!(
            again.to_string(),
            "release 3 was taken back a moment ago, and callers are on release 2: to take that one back too, name it, as in weir rollout \
             rollback 2"
        );
        assert_eq!(run(&back, &[(20, named(2))]).promoted, [1]);
        assert_eq!(run(&back, &[(20 + back::NAMED_FOR_MS, any())]).promoted, [1]);
        // What has begun since is meant.
        let next = run(&back.start(4, blue_green(false), "ada", 21).unwrap(), &[(22, Event::Prepared)]);
        assert_eq!(run(&next, &[(23, any())]).promoted, [1, 2]);
    }
    assert_eq!(served(1).after(&named(1), 0), Err(Refused::First));
}

#[test]
fn a_promoted_rollout_that_is_taken_back_says_both() {
    let started = served(1).start(2, blue_green(false), "ada", 0).unwrap();
    let ended = started.after(&Event::Prepared, 1_000).unwrap().ended.unwrap();
    let taken_back = ended.taken_back("slow", 61_000);
    assert_eq!((&taken_back.phase, taken_back.promoted_ms), (&Phase::RolledBack { why: "slow".into() }, Some(1_000)));
    assert_eq!(
        taken_back.in_words(),
        "blue-green, promoted 1970-01-01T00:00:01.000Z, rolled back 1970-01-01T00:01:01.000Z: slow"
    );
}

#[test]
fn an_experiment_divides_callers_until_somebody_chooses() {
    let started = served(1).start(2, experiment(&[(3, "20%")]), "ada", 0).unwrap();
    assert_eq!((started.beside(), started.candidate()), (Vec::new(), None));
    let running = run(&started, &[(10, Event::Prepared)]);
    assert_eq!(running.beside(), [(2, Share(3_000)), (3, Share(2_000))]);
    assert_eq!((running.due_ms(), running.active()), (None, Some(1)));
    let shares = || running.beside().into_iter().map(|(_, share)| share);
    let placed = [0, 2_999, 3_000, 4_999, 5_000, 9_999].map(|bucket| place(shares(), Bucket(bucket)));
    assert_eq!(placed, [Some(0), Some(0), Some(1), Some(1), None, None]);
    let ended = |event: Event| {
        let moved = running.after(&event, 20).unwrap();
        let rollout = moved.ended.unwrap();
        (moved.traffic.active(), rollout.candidate, rollout.variants(), rollout.phase)
    };
    let (active, candidate, variants, phase) = ended(Event::Choose { release: 3 });
    assert_eq!((active, candidate, phase), (Some(3), 3, Phase::Promoted));
    assert_eq!(variants, [(3, Share(2_000)), (2, Share(3_000))], "each has the callers that it had");
    assert_eq!(ended(Event::Choose { release: 2 }).0, Some(2));
    assert_eq!(ended(Event::RollBack { why: "x".into() }).0, Some(1));
    let refused = |traffic: &Traffic, event| traffic.after(&event, 0).unwrap_err().to_string();
    assert_eq!(
        refused(&running, Event::Promote),
        "rollout 1 has several variants: say which of them is to be promoted, as in weir rollout promote 2.0.0"
    );
    assert_eq!(
        refused(&running, Event::Choose { release: 1 }),
        "the release is active already: weir rollout rollback ends rollout 1 with it"
    );
    assert_eq!(
        refused(&running, Event::Choose { release: 9 }),
        "release 9 is not being rolled out by rollout 1: weir rollout status shows what is"
    );
    assert_eq!(refused(&running, Event::Advance), "rollout 1 is running: it cannot be advanced");
    assert_eq!(refused(&running, Event::Pause), "rollout 1 is running: it cannot be paused");
    assert_eq!(refused(&started, Event::Choose { release: 2 }), "rollout 1 is preparing: it cannot be promoted");
    // One variant alone needs no name, and where nothing is served there is nobody to be divided.
    let one = run(&served(1).start(2, experiment(&[]), "ada", 0).unwrap(), &[(10, Event::Prepared)]);
    assert_eq!(run(&one, &[(20, Event::Promote)]).active(), Some(2));
    assert_eq!(
        run(&Traffic::default().start(2, experiment(&[]), "ada", 0).unwrap(), &[(10, Event::Prepared)]).active(),
        Some(2)
    );
    // Of a canary the candidate can be named, so that nothing else is promoted.
    let canary = run(&served(1).start(2, canary(&[("5%", None)]), "ada", 0).unwrap(), &[(0, Event::Prepared)]);
    assert_eq!(run(&canary, &[(0, Event::Choose { release: 2 })]).active(), Some(2));
    assert!(matches!(canary.after(&Event::Choose { release: 3 }, 0), Err(Refused::NotPart { release: 3, number: 1 })));
}

#[test]
fn what_is_no_experiment_says_why() {
    let refused = |strategy: Strategy| served(1).start(2, strategy, "ada", 0).unwrap_err().to_string();
    let twice = |release: u64| {
        format!(
            "release {release} is in the experiment more than once: each variant is another release, and the active one is among \
             them anyway"
        )
    };
    assert_eq!(refused(experiment(&[(2, "1%")])), twice(2));
    assert_eq!(refused(experiment(&[(1, "1%")])), twice(1));
    assert_eq!(refused(experiment(&[(3, "1%"), (3, "1%")])), twice(3));
    let shares = "the shares of an experiment are above 0% each and below 100% together: the other callers stay with the active release";
    assert_eq!(refused(experiment(&[(3, "70%")])), shares);
    assert_eq!(refused(experiment(&[(3, "0%")])), shares);
    assert_eq!(refused(experiment(&[(3, "100%"), (4, "100%")])), shares);
    let many: Vec<(u64, &str)> = (3..12).map(|release| (release, "1%")).collect();
    assert_eq!(refused(experiment(&many)), "an experiment has 1 to 9 releases beside the active one");
    let with = |compared| Strategy::Experiment { share: Share(1), others: Vec::new(), compared };
    for alpha in [Share::NONE, Share(2_001)] {
        let words = format!("alpha is between 0.01% and 20%, such as 5%, not {alpha}");
        assert_eq!(refused(with(Compared { alpha, ..Compared::default() })), words);
    }
    let nobody = Compared { callers_planned: 0, ..Compared::default() };
    assert_eq!(refused(with(nobody)), "an experiment expects one caller or more");
    let metrics = vec!["ordered".to_owned(); 51];
    assert_eq!(refused(with(Compared { metrics, ..Compared::default() })), "an experiment names 50 metrics at most");
}

#[test]
fn what_cannot_happen_says_why() {
    let started = served(1).start(2, canary(&[("5%", None)]), "ada", 0).unwrap();
    let refused = |traffic: &Traffic, event| traffic.after(&event, 0).unwrap_err().to_string();
    assert_eq!(refused(&served(1), Event::Promote), "no rollout is under way: weir rollout start begins one");
    assert_eq!(refused(&started, Event::Promote), "rollout 1 is preparing: it cannot be promoted");
    assert_eq!(refused(&started, Event::Advance), "rollout 1 is preparing: it cannot be advanced");
    let step = run(&started, &[(0, Event::Prepared)]);
    assert_eq!(refused(&step, Event::Resume), "rollout 1 is step: it cannot be resumed");
    assert_eq!(refused(&step, Event::Failed { why: String::new() }), "rollout 1 is step: it cannot be given up");
    let another = started.start(3, blue_green(false), "ada", 0).unwrap_err();
    assert_eq!(another.to_string(), "rollout 1 is under way: promote it or roll it back first");
    assert_eq!(served(1).start(1, blue_green(false), "ada", 0), Err(Refused::Active));
    let bad = [canary(&[]), canary(&[("5%", None), ("5%", None)]), canary(&[("0%", None)]), canary(&[("100%", None)])];
    for strategy in bad {
        assert!(matches!(served(1).start(2, strategy, "ada", 0), Err(Refused::Strategy(_))));
    }
}

#[test]
fn whatever_happens_there_is_an_active_release_and_what_is_written_is_read() {
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let (mut traffic, mut now_ms, mut sequence) = (served(1), 0_u64, 1_u64);
    // Where callers go, told by what happens alone.
    let (mut active, mut history, mut beside, mut shadows) = (1, vec![1_u64], Vec::new(), None);
    for _ in 0..20_000 {
        // Clocks are set back, too.
        now_ms = if next(20) == 0 { now_ms.saturating_sub(next(500)) } else { now_ms + next(50) };
        if next(4) == 0 && traffic.rollout.is_none() {
            sequence += 1;
            let active = traffic.active().unwrap();
            // Some were rolled out before.
            let old = Some(1 + next(sequence)).filter(|old| *old != active && next(4) == 0);
            let candidate = old.unwrap_or(sequence);
            let strategy = match next(5) {
                0 => blue_green(next(2) == 0),
                1 => shadow("10%"),
                2 if old.is_none() => experiment(&[(sequence + 1, "20%")][..next(2) as usize]),
                _ => canary(&[("1%", Some(next(60))), ("10%", None), ("50%", Some(next(60)))]),
            };
            traffic = traffic.start(candidate, strategy, "ada", now_ms).unwrap();
            // The other variant's.
            sequence += 1;
        } else {
            let event = match next(13) {
                0 | 1 => Event::Prepared,
                2 => Event::Failed { why: "x".into() },
                3 | 4 => Event::Due,
                5 => Event::Promote,
                6 => Event::Advance,
                7 => [Event::Pause, Event::Resume][next(2) as usize].clone(),
                8 => Event::Unguard,
                9 => Event::Violated { rollout: traffic.rollouts.saturating_sub(next(2)), why: "x".into() },
                10 => Event::Choose { release: sequence.saturating_sub(next(3)) },
                11 => Event::TakeBack { release: sequence.saturating_sub(next(3)), why: "x".into() },
                _ => Event::RollBack { why: "x".into() },
            };
            let before = traffic.clone();
            let Ok(moved) = traffic.after(&event, now_ms) else {
                continue;
            };
            traffic = moved.traffic;
            if moved.ended.as_ref().is_some_and(|ended| ended.phase == Phase::Promoted && !ended.unguarded) {
                traffic.watch = Some(watch(traffic.rollouts, now_ms, now_ms + next(100)));
            }
            if let Event::Violated { rollout, .. } = &event {
                let watched = before.watch.as_ref().filter(|watch| now_ms < watch.until_ms).map(|watch| watch.rollout);
                let under_way = before.rollout.as_ref().filter(|of| !of.unguarded).map(|of| of.number);
                assert_eq!(under_way.or(watched), Some(*rollout), "nobody else's rollout is taken back");
            }
            if let Event::TakeBack { release, .. } = &event {
                let meant = before.rollout.as_ref().map_or(vec![active], |rollout| {
                    rollout.variants().into_iter().map(|(variant, _)| variant).collect()
                });
                assert!(meant.contains(release), "nothing else is taken back");
            }
            match (&moved.ended, &event) {
                (Some(ended), Event::Choose { release }) => {
                    assert_eq!((ended.candidate, &ended.phase), (*release, &Phase::Promoted));
                    history.push(*release);
                }
                (Some(ended), _) if ended.phase == Phase::Promoted => history.push(before.rollout.unwrap().candidate),
                (None, event) if event.why_back().is_some() => drop(history.pop()),
                (None, Event::Unguard) => {}
                (Some(_), _) => {}
                (None, _) => {
                    assert_eq!(before.rollout.as_ref().unwrap().number, traffic.rollout.as_ref().unwrap().number)
                }
            }
            active = *history.last().unwrap();
            let rollout = traffic.rollout.as_ref();
            beside = match rollout.map(|rollout| (&rollout.phase, &rollout.strategy)) {
                Some((Phase::Step { number, .. } | Phase::Paused { number, .. }, _)) => {
                    vec![(rollout.unwrap().candidate, [100, 1_000, 5_000][*number])]
                }
                Some((Phase::Running, Strategy::Experiment { others, .. })) => {
                    let candidate = rollout.unwrap().candidate;
                    vec![(candidate, 3_000), (candidate + 1, 2_000)][..=others.len()].to_vec()
                }
                _ => Vec::new(),
            };
            shadows = match (rollout.map(|rollout| &rollout.strategy), rollout.map(|rollout| &rollout.phase)) {
                (Some(Strategy::Shadow { .. }), Some(Phase::Preparing)) | (None, _) => None,
                (Some(Strategy::Shadow { .. }), _) => rollout.map(|rollout| rollout.candidate),
                _ => None,
            };
        }
        assert_eq!(
            traffic.shadow().map(|(candidate, share)| (candidate, share.hundredths())),
            shadows.map(|s| (s, 1_000))
        );
        assert_eq!(traffic.active(), Some(active));
        let told: Vec<(u64, u16)> =
            traffic.beside().into_iter().map(|(release, share)| (release, share.hundredths())).collect();
        assert_eq!(told, beside);
        let text = serde_json::to_string(&traffic).unwrap();
        assert_eq!(serde_json::from_str::<Traffic>(&text).unwrap(), traffic);
        // The oldest are forgotten.
        if history.len() > PROMOTED_MAX {
            history.remove(0);
        }
        assert_eq!(traffic.promoted, history);
    }
    assert!(sequence > 1_000, "{sequence}");
}

#[test]
fn releases_that_were_taken_back_after_calls_went_to_them_are_remembered_until_another_is_promoted() {
    let back = Event::RollBack { why: "slow".into() };
    let step = Step { share: Share::of(500).unwrap(), for_ms: None };
    let canary = Strategy::Canary { steps: vec![step] };
    let traffic = Traffic { promoted: vec![1, 2], ..Traffic::default() };
    let after = |traffic: &Traffic, events: &[&Event]| {
        events.iter().fold(traffic.clone(), |traffic, event| traffic.after(event, 1).unwrap().traffic)
    };
    // No call goes to what is being prepared.
    let begun = traffic.start(3, canary.clone(), "me", 1).unwrap();
    assert!(after(&begun, &[&back]).strays.is_empty());
    let once = after(&begun, &[&Event::Prepared, &back]);
    assert_eq!(once.strays, vec![3]);
    // Whoever goes back twice says what is left.
    let further = Event::TakeBack { release: 2, why: "slow".into() };
    let twice = after(&once.start(3, canary.clone(), "me", 1).unwrap(), &[&Event::Prepared, &back, &further]);
    assert_eq!((twice.active(), twice.strays.as_slice()), (Some(1), &[3, 2][..]));
    let promoted = after(&twice.start(4, canary, "me", 1).unwrap(), &[&Event::Prepared, &Event::Promote]);
    assert_eq!((promoted.active(), promoted.strays.is_empty()), (Some(4), true));
}
