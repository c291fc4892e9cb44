//! Which releases take calls, how far a rollout is, what its guards say and what a shadow rollout has found, in the words of Prometheus.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use weir_engine::rollouts::readings::{ReleaseRole, RolloutReadings};
use weir_engine::rollouts::report::Counts;

/// Labels with values that come and go.
type Labels<const N: usize> = [(&'static str, String); N];

/// Gauges that are set anew each time that somebody asks: what is over is not there.
#[derive(Default)]
pub(super) struct RolloutGauges {
    releases: Family<Labels<3>, Gauge>,
    rollout: Family<Labels<3>, Gauge>,
    guards: Family<Labels<1>, Gauge>,
    compared: Family<Labels<1>, Gauge>,
    different: Family<Labels<1>, Gauge>,
    skipped: Family<Labels<1>, Gauge>,
}

impl RolloutGauges {
    pub(super) fn register(&self, registry: &mut Registry) {
        let about = "1 for each release that has a part in what calls go to, by what it is";
        registry.register("release_info", about, self.releases.clone());
        registry.register("rollout_info", "1 for the rollout under way, by how far it is", self.rollout.clone());
        let about = "Whether a guard of the release that is watched is violated";
        registry.register("guard_violated", about, self.guards.clone());
        let about = "Calls of the shadow rollout that were made once more and compared";
        registry.register("shadow_compared", about, self.compared.clone());
        registry.register("shadow_different", "Those of them that came to something else", self.different.clone());
        registry.register("shadow_skipped", "Calls of it that were not compared", self.skipped.clone());
    }

    pub(super) fn set(&self, RolloutReadings { releases, rollout, guards, shadow }: &RolloutReadings) {
        self.releases.clear();
        for ReleaseRole { version, sequence, role } in releases {
            let labels =
                [("version", version.clone()), ("sequence", sequence.to_string()), ("role", (*role).to_owned())];
            self.releases.get_or_create_owned(&labels).set(1);
        }
        self.rollout.clear();
        if let Some((number, strategy, phase)) = rollout {
            let (strategy, phase) = ((*strategy).to_owned(), (*phase).to_owned());
            let labels = [("rollout", number.to_string()), ("strategy", strategy), ("phase", phase)];
            self.rollout.get_or_create_owned(&labels).set(1);
        }
        self.guards.clear();
        for (guard, is_violated) in guards {
            self.guards.get_or_create_owned(&[("guard", guard.clone())]).set(i64::from(*is_violated));
        }
        for gauge in [&self.compared, &self.different, &self.skipped] {
            gauge.clear();
        }
        if let Some((number, Counts { same, different, skipped })) = shadow {
            let all = [
                (&self.compared, same.saturating_add(*different)),
                (&self.different, *different),
                (&self.skipped, *skipped),
            ];
            for (gauge, count) in all {
                let gauge = gauge.get_or_create_owned(&[("rollout", number.to_string())]);
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Metrics, Readings};
    use super::*;

    #[test]
    fn what_there_is_of_rollouts_is_told_and_what_is_over_is_not() {
        let release = |version: &str, sequence, role| ReleaseRole { version: version.to_owned(), sequence, role };
        let metrics = Metrics::default();
        let under_way = RolloutReadings {
            releases: vec![release("1.0.0", 10, "active"), release("2.0.0", 20, "candidate")],
            rollout: Some((3, "canary", "step")),
            guards: vec![("crashes".to_owned(), false), ("error_rate".to_owned(), true)],
            shadow: Some((3, Counts { same: 5, different: 2, skipped: 1 })),
        };
        let text = metrics.text(&Readings { rollouts: under_way, ..Readings::default() });
        for line in [
            "weir_release_info{version=\"1.0.0\",sequence=\"10\",role=\"active\"} 1",
            "weir_release_info{version=\"2.0.0\",sequence=\"20\",role=\"candidate\"} 1",
            "weir_rollout_info{rollout=\"3\",strategy=\"canary\",phase=\"step\"} 1",
            "weir_guard_violated{guard=\"crashes\"} 0",
            "weir_guard_violated{guard=\"error_rate\"} 1",
            "weir_shadow_compared{rollout=\"3\"} 7",
            "weir_shadow_different{rollout=\"3\"} 2",
            "weir_shadow_skipped{rollout=\"3\"} 1",
        ] {
            assert!(text.lines().any(|there| there == line), "{line} is not in {text}");
        }
        let over = RolloutReadings { releases: vec![release("2.0.0", 20, "active")], ..RolloutReadings::default() };
        let text = metrics.text(&Readings { rollouts: over, ..Readings::default() });
        let told: Vec<&str> = text
            .lines()
            .filter(|line| {
                ["weir_release_info", "weir_rollout", "weir_guard", "weir_shadow"]
                    .iter()
                    .any(|name| line.starts_with(name))
            })
            .collect();
        assert_eq!(told, ["weir_release_info{version=\"2.0.0\",sequence=\"20\",role=\"active\"} 1"]);
    }
}
