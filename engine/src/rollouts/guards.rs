//! Whether what the calls of a release come to is bad enough to take its rollout back: a function of numbers alone.
//!
//! A guard is violated where the difference is larger than what is allowed, and larger than what chance makes of two equal releases
//! once in a million looks. One looks once a second, and at much the same calls from one look to the next: the test below has the
//! rate of false alarms over simulated days.

use weir_schema::guards::{Guards, Latency, MIN_CALLS};
use weir_schema::metrics::MetricKind;
use weir_schema::rollout::Health;
use weir_schema::rollout::watch::MetricTotal;

use super::exact::{fewer_by_chance, more_by_chance, more_than, more_than_by_chance};
use crate::experiments::statistics::comparison::CARRIERS_MIN;
use crate::experiments::statistics::functions::normal;

/// How often chance may seem to be a difference, of all looks.
const BY_CHANCE: f64 = 1e-6;
/// Latencies that are as close as that are equal, in microseconds.
const NO_LATENCY_US: u64 = 1_000;
/// How many of its calls are taken to have failed of a release that had too few for anybody to know.
const UNKNOWN: f64 = 0.05;
/// The part of the calls that may take longer than a 95th percentile.
const SLOW: f64 = 0.05;

/// What is compared: the release that is watched, and the one that it takes the place of.
pub struct Compared<'a> {
    /// The calls of the one.
    pub new: &'a Health,
    /// Those of the other.
    pub old: &'a Health,
    /// The other's name.
    pub old_name: &'a str,
}

/// The guard that is violated, if one is, and by what.
pub fn violated(
    guards: &Guards,
    kind_of: impl Fn(&str) -> Option<MetricKind>,
    compared: &Compared<'_>,
) -> Option<String> {
    verdicts(guards, kind_of, compared).into_iter().find_map(|(_, violated)| violated)
}

/// All guards that there are, by name, and by what each is violated, if it is.
pub fn verdicts(
    guards: &Guards,
    kind_of: impl Fn(&str) -> Option<MetricKind>,
    compared: &Compared<'_>,
) -> Vec<(String, Option<String>)> {
    let mut verdicts = vec![("crashes".to_owned(), crashes(compared))];
    if guards.error_rate.0.is_some() {
        verdicts.push(("error_rate".to_owned(), errors(guards, compared)));
    }
    if guards.latency_p95.is_some() {
        verdicts.push(("latency_p95".to_owned(), latency(guards, compared)));
    }
    verdicts.extend(guards.metrics.keys().map(|name| {
        let violated = kind_of(name).and_then(|kind| metric(guards, name, kind, compared));
        (name.clone(), violated)
    }));
    verdicts
}

/// Most calls crash. There is no time to lose, and no need for many of them.
fn crashes(Compared { new, old, old_name }: &Compared<'_>) -> Option<String> {
    let (calls, crashed) = (new.calls(), new.crashed);
    let is_crashing = calls >= MIN_CALLS && crashed > calls / 2;
    // Where the other crashes as well, something else is broken.
    let is_alone = share(crashed, calls) > 2.0 * share(old.crashed, old.calls());
    (is_crashing && is_alone).then(|| {
        let (new, old) = (percent(crashed, calls), percent(old.crashed, old.calls()));
        format!("guard crashes: {new} of {calls} calls crashed, {old} on {old_name}")
    })
}

fn errors(guards: &Guards, Compared { new, old, old_name }: &Compared<'_>) -> Option<String> {
    let allowed = f64::from(guards.error_rate.0?.hundredths()) / 10_000.0;
    let [(errors, calls), (old_errors, old_calls)] = [(new.errors(), new.calls()), (old.errors(), old.calls())];
    let is_more = share(errors, calls) > share(old_errors, old_calls) + allowed;
    // Of few calls nobody can tell how many fail as a rule, and what is broken is to be taken back all the same.
    let chance = if old_calls < guards.min_calls {
        more_than(UNKNOWN + allowed, (errors, calls))
    } else {
        more_than_by_chance((errors, calls), (old_errors, old_calls))
    };
    let is_violated = calls >= guards.min_calls && is_more && chance < BY_CHANCE;
    is_violated.then(|| {
        let (new, old) = (percent(errors, calls), percent(old_errors, old_calls));
        format!("guard error_rate: {new} of {calls} calls failed, {old} of {old_calls} on {old_name}")
    })
}

fn latency(guards: &Guards, Compared { new, old, old_name }: &Compared<'_>) -> Option<String> {
    let calls = new.timed();
    if calls < guards.min_calls {
        return None;
    }
    let slowest = new.percentile_us(95)?;
    match guards.latency_p95? {
        Latency::Ms(ms) => {
            let slow = new.slower_than_us(ms.saturating_mul(1_000));
            (more_than(SLOW, (slow, calls)) < BY_CHANCE).then(|| {
                format!("guard latency_p95: {} over {calls} calls, {ms} ms are allowed", milliseconds(slowest))
            })
        }
        Latency::Times(hundredths) => {
            let old_calls = old.timed();
            let old_slowest = old.percentile_us(95).filter(|_| old_calls >= guards.min_calls)?;
            let allowed = (old_slowest.saturating_mul(hundredths) / 100).max(old_slowest.saturating_add(NO_LATENCY_US));
            let [slow, old_slow] = [new, old].map(|health| health.slower_than_us(allowed));
            let is_violated =
                share(slow, calls) > SLOW && more_than_by_chance((slow, calls), (old_slow, old_calls)) < BY_CHANCE;
            is_violated.then(|| {
                let [new, old] = [slowest, old_slowest].map(milliseconds);
                format!("guard latency_p95: {new} over {calls} calls, {old} over {old_calls} on {old_name}")
            })
        }
    }
}

fn metric(guards: &Guards, name: &str, kind: MetricKind, compared: &Compared<'_>) -> Option<String> {
    let guard = guards.metrics.get(name)?;
    let of = |health: &Health| health.metrics.get(name).copied().unwrap_or_default();
    let (new, old) = (of(compared.new), of(compared.old));
    let bounds = [(guard.min_change, -1.0, "no less than"), (guard.max_change, 1.0, "no more than")];
    let mut bounds = bounds.into_iter().filter_map(|(change, sign, how)| Some((change?, sign, how)));
    let calls = [compared.new, compared.old].map(Health::calls);
    let (change, _, how) = match kind {
        _ if old.calls == 0 => None,
        MetricKind::Mean if new.calls < guards.min_calls || old.calls < guards.min_calls => None,
        MetricKind::Mean => bounds.find(|(change, sign, _)| is_mean_beyond(&new, &old, change.part(), *sign)),
        MetricKind::Conversion if calls.iter().any(|calls| *calls < guards.min_calls) => None,
        MetricKind::Conversion => {
            let [new_calls, old_calls] = calls;
            let (new, old) = ((new.values, new_calls), (old.values, old_calls));
            bounds.find(|(change, sign, _)| is_rate_beyond(new, old, 1.0 + change.part(), *sign))
        }
    }?;
    let of = |total: &MetricTotal, calls: u64| match kind {
        MetricKind::Mean => (total.mean(), total.values),
        MetricKind::Conversion => (share(total.values, calls), calls),
    };
    let [new_calls, old_calls] = calls;
    let ((mean, over), (old_mean, old_over)) = (of(&new, new_calls), of(&old, old_calls));
    Some(format!(
        "guard {name}: {mean:.4} over {over}, {old_mean:.4} over {old_over} on {}: {how} {change} is allowed",
        compared.old_name
    ))
}

/// Whether something surely happens in more of the calls than so many times as often as in those of the other; with the sign turned, in
/// fewer.
fn is_rate_beyond(new: (u64, u64), old: (u64, u64), ratio: f64, sign: f64) -> bool {
    let chance = if sign > 0.0 { more_by_chance(ratio, new, old) } else { fewer_by_chance(ratio, new, old) };
    chance < BY_CHANCE
}

/// Whether a mean is surely more than a part of the other above it; with the sign turned, below.
fn is_mean_beyond(new: &MetricTotal, old: &MetricTotal, part: f64, sign: f64) -> bool {
    let difference = sign * (new.mean() - old.mean() - part * old.mean().abs());
    let [new_variance, old_variance] = variances_of_means(new, old);
    let scale = 1.0 + part;
    let variance = new_variance + scale * scale * old_variance;
    // A mean that few calls decide is not normal. What never varies says with certainty what it says.
    let is_carried = |total: &MetricTotal| total.scatter() <= 0.0 || total.carriers() >= CARRIERS_MIN;
    let is_sure = variance <= 0.0 || normal(-difference / variance.sqrt()) < BY_CHANCE;
    difference > 0.0 && is_carried(new) && is_carried(old) && is_sure
}

/// The variances of both means, each no less than if the calls of either release varied as those of both together: of few calls none
/// may be one of the rare ones that vary most.
fn variances_of_means(new: &MetricTotal, old: &MetricTotal) -> [f64; 2] {
    let together = (new.scatter() + old.scatter()) / new.calls.saturating_add(old.calls) as f64;
    [new, old].map(|total| {
        let values = total.values as f64;
        total.scatter().max(together * total.calls as f64) / (values * values)
    })
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.1}%", 100.0 * share(part, whole))
}

/// A time for people.
pub(crate) fn milliseconds(us: u64) -> String {
    format!("{:.1} ms", us as f64 / 1_000.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use weir_schema::rollout::watch::{LATENCY_CLASSES, latency_class};

    use super::*;

    fn health(calls: u64, failed: u64, crashed: u64) -> Health {
        Health { answered: calls - failed - crashed, failed, crashed, ..Health::default() }
    }

    fn guards(more: &str) -> Guards {
        let text = format!(
            "name = \"shop\"\nversion = \"1.0.0\"\n[metrics.value]\nkind = \"mean\"\n[metrics.ordered]\nkind = \"conversion\"\n\
             [rollout.guards]\n{more}\n"
        );
        weir_schema::manifest::parse(&text).unwrap().rollout.guards
    }

    fn told(more: &str, new: &Health, old: &Health) -> Option<String> {
        let kind = |name: &str| Some(if name == "value" { MetricKind::Mean } else { MetricKind::Conversion });
        violated(&guards(more), kind, &Compared { new, old, old_name: "1.0.0" })
    }

    #[test]
    fn errors_are_held_against_those_of_the_release_before() {
        let old = health(3_900, 8, 0);
        let why = told("", &health(410, 50, 0), &old).unwrap();
        assert_eq!(why, "guard error_rate: 12.2% of 410 calls failed, 0.2% of 3900 on 1.0.0");
        // So many that it does not matter how few calls there were before.
        let why = told("", &health(2_000, 1_000, 0), &health(10, 0, 0)).unwrap();
        assert_eq!(why, "guard error_rate: 50.0% of 2000 calls failed, 0.0% of 10 on 1.0.0");
        assert!(told("", &health(1_000, 300, 0), &health(0, 0, 0)).is_some());
        // Too few calls, too little of a difference, one that chance may make, one that was there before, and off.
        for (more, new, old) in [
            ("", health(99, 30, 0), old.clone()),
            ("", health(100_000, 1_100, 0), health(100_000, 200, 0)),
            ("", health(100, 3, 0), health(100, 0, 0)),
            ("", health(1_000, 300, 0), health(1_000, 300, 0)),
            // The one before had few calls, and may have failed as often.
            ("", health(1_000, 70, 0), health(10, 0, 0)),
            ("", health(1_000, 300, 0), health(10, 3, 0)),
            ("error_rate = \"off\"", health(410, 50, 0), old),
        ] {
            assert_eq!(told(more, &new, &old), None, "{new:?} {old:?}");
        }
    }

    #[test]
    fn crashes_need_few_calls() {
        let why = told("error_rate = \"off\"", &health(20, 0, 11), &health(0, 0, 0)).unwrap();
        assert_eq!(why, "guard crashes: 55.0% of 20 calls crashed, 0.0% on 1.0.0");
        for (new, old) in [
            (health(19, 0, 19), health(0, 0, 0)),
            (health(20, 0, 10), health(0, 0, 0)),
            (health(20, 20, 0), health(0, 0, 0)),
            (health(20, 0, 20), health(20, 0, 10)),
        ] {
            assert_eq!(told("", &new, &old), None, "{new:?} {old:?}");
        }
    }

    /// So many calls, of which some are slow.
    fn timed(calls: u64, (slow, us): (u64, u64)) -> Health {
        let mut latencies = vec![0; LATENCY_CLASSES];
        latencies[latency_class(10_000)] = calls - slow;
        latencies[latency_class(us)] += slow;
        Health { answered: calls, latencies, ..Health::default() }
    }

    #[test]
    fn latency_is_held_against_a_time_or_that_of_the_release_before() {
        let usual = timed(2_000, (60, 100_000));
        let slow = timed(500, (100, 100_000));
        let relative = told("latency_p95 = \"1.5x\"", &slow, &usual).unwrap();
        assert!(
            relative.starts_with("guard latency_p95: 114.7 ms over 500 calls, 10.2 ms over 2000 on 1.0.0"),
            "{relative}"
        );
        let absolute = told("latency_p95 = \"50ms\"", &slow, &Health::default()).unwrap();
        assert_eq!(absolute, "guard latency_p95: 114.7 ms over 500 calls, 50 ms are allowed");
        for (more, new, old) in [
            ("latency_p95 = \"200ms\"", &slow, &usual),
            ("latency_p95 = \"50ms\"", &timed(100, (9, 100_000)), &usual),
            ("latency_p95 = \"12x\"", &slow, &usual),
            // Chance decides on which side of the percentile the slow ones are.
            ("latency_p95 = \"1.5x\"", &timed(2_000, (120, 100_000)), &timed(2_000, (90, 100_000))),
            ("latency_p95 = \"1.5x\"", &slow, &timed(99, (0, 0))),
            ("", &slow, &usual),
        ] {
            assert_eq!(told(more, new, old), None, "{more}");
        }
    }

    fn measured(name: &str, calls: u64, values: u64, each: f64) -> Health {
        // Half of them a tenth more, half a tenth less.
        let all = (0..values).map(|n| MetricTotal::of_call(1, each * if n % 2 == 0 { 0.9 } else { 1.1 }));
        let total = all.fold(MetricTotal::default(), |total, call| total.and(&call));
        Health { answered: calls, metrics: [(name.to_owned(), total)].into(), ..Health::default() }
    }

    /// What calls have given: how many values each, and together.
    fn given(calls: impl IntoIterator<Item = (u64, f64)>) -> Health {
        let calls = calls.into_iter().map(|(values, sum)| MetricTotal::of_call(values, sum));
        let total = calls.fold(MetricTotal::default(), |total, call| total.and(&call));
        Health { answered: total.calls, metrics: [("value".to_owned(), total)].into(), ..Health::default() }
    }

    #[test]
    fn metrics_may_change_by_so_much() {
        let guard = |name: &str, bound: &str| format!("[rollout.guards.metrics.{name}]\n{bound}");
        let falls = guard("value", "min_change = \"-5%\"");
        let why = told(&falls, &measured("value", 500, 400, 9.0), &measured("value", 5_000, 4_000, 10.0)).unwrap();
        assert_eq!(why, "guard value: 9.0000 over 400, 10.0000 over 4000 on 1.0.0: no less than -5% is allowed");
        let rises = guard("value", "max_change = \"5%\"");
        let why = told(&rises, &measured("value", 500, 400, 11.0), &measured("value", 500, 400, 10.0)).unwrap();
        assert!(why.contains("no more than 5% is allowed"), "{why}");
        let converts = guard("ordered", "min_change = \"-10%\"");
        let why = told(&converts, &measured("ordered", 5_000, 500, 1.0), &measured("ordered", 5_000, 1_000, 1.0));
        assert!(why.unwrap().starts_with("guard ordered: 0.1000 over 5000, 0.2000 over 5000 on 1.0.0"));
        for (more, new, old) in [
            (&falls, measured("value", 500, 400, 9.6), measured("value", 500, 400, 10.0)),
            (&falls, measured("value", 500, 99, 1.0), measured("value", 500, 400, 10.0)),
            (&rises, measured("value", 500, 400, 9.0), measured("value", 500, 400, 10.0)),
            (&converts, measured("ordered", 200, 17, 1.0), measured("ordered", 200, 20, 1.0)),
            (&converts, Health::default(), measured("ordered", 200, 20, 1.0)),
            // None of so few calls has converted, and nobody can say that they do not.
            (&converts, measured("ordered", 102, 0, 1.0), measured("ordered", 1_900, 38, 1.0)),
            // One call has given them all.
            (&falls, given([(100, 300.0)]), measured("value", 500, 400, 10.0)),
            // One of many calls decides.
            (&rises, given([(1, 1e6)].into_iter().chain([(1, 10.0); 400])), measured("value", 500, 400, 10.0)),
        ] {
            assert_eq!(told(more, &new, &old), None, "{new:?}");
        }
    }

    /// Two equal releases are looked at each second over windows of a minute, for days in all.
    #[test]
    fn chance_takes_no_rollout_back() {
        let mut random = 0x2545_F491_4F6C_DD1D_u64;
        let mut is_error = |of_million: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 20) % 1_000_000 < of_million
        };
        let guards = guards("error_rate = \"0%\"\nmin_calls = 20");
        let (mut looks, mut alarms) = (0_u64, 0_u64);
        for (of_million, calls) in [(100, (2, 20)), (1_000, (1, 9)), (10_000, (2, 2)), (100_000, (1, 4))] {
            let mut seconds = std::collections::VecDeque::new();
            let [mut errors, mut old_errors] = [0_u64; 2];
            for _ in 0..86_400 {
                let mut of = |calls: u64| (0..calls).filter(|_| is_error(of_million)).count() as u64;
                let second = (of(calls.0), of(calls.1));
                (errors, old_errors) = (errors + second.0, old_errors + second.1);
                seconds.push_back(second);
                if seconds.len() > 60 {
                    let (gone, old_gone) = seconds.pop_front().unwrap();
                    (errors, old_errors) = (errors - gone, old_errors - old_gone);
                }
                let length = seconds.len() as u64;
                let [new, old] = [health(calls.0 * length, errors, 0), health(calls.1 * length, old_errors, 0)];
                let compared = Compared { new: &new, old: &old, old_name: "1.0.0" };
                looks += 1;
                alarms += u64::from(violated(&guards, |_| None, &compared).is_some());
            }
        }
        assert_eq!((looks, alarms), (345_600, 0));
    }

    /// The same for metrics: rare conversions, and means of values of which few are large.
    #[test]
    fn chance_takes_no_rollout_back_for_a_metric() {
        let mut random = 0x2545_F491_4F6C_DD1D_u64;
        let mut uniform = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 11) as f64 / (1_u64 << 53) as f64
        };
        let guards = guards(
            "[rollout.guards.metrics.ordered]\nmin_change = \"-5%\"\nmax_change = \"5%\"\n\
             [rollout.guards.metrics.value]\nmin_change = \"-5%\"\nmax_change = \"5%\"",
        );
        let kind = |name: &str| Some(if name == "value" { MetricKind::Mean } else { MetricKind::Conversion });
        let (mut looks, mut alarms) = (0_u64, 0_u64);
        for rate in [0.01, 0.02, 0.05, 0.3] {
            for _ in 0..1_500 {
                let mut of = |calls: u64| {
                    let (mut converted, mut value) = (MetricTotal::default(), MetricTotal::default());
                    for _ in 0..calls {
                        if uniform() < rate {
                            converted = converted.and(&MetricTotal::of_call(1, 1.0));
                        }
                        // Log-normal, by twelve uniform numbers.
                        let normal = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
                        value = value.and(&MetricTotal::of_call(1, (1.5 * normal).exp()));
                    }
                    let metrics = [("ordered".to_owned(), converted), ("value".to_owned(), value)].into();
                    Health { answered: calls, metrics, ..Health::default() }
                };
                let (new, old) = (of(100), of(400));
                looks += 1;
                alarms +=
                    u64::from(violated(&guards, kind, &Compared { new: &new, old: &old, old_name: "1.0.0" }).is_some());
            }
        }
        assert_eq!((looks, alarms), (6_000, 0));
    }
}
