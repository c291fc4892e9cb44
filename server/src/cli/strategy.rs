//! The arguments that say how a release comes to take the place of another.

use clap::Args;
use weir_engine::rollouts::conduct::Guarded;
use weir_engine::rollouts::status::NamedVariant;
use weir_schema::duration::parse_ms;
use weir_schema::rollout::{Compared, Share, Step, Strategy};

/// To be flattened into the arguments of a command that begins a rollout. Without any all callers move at once.
#[derive(Debug, Args)]
pub struct StrategyArguments {
    /// Move callers step by step, such as 5%:10m,25%:1h,50%: a step without a time lasts until weir rollout advance or promote.
    #[arg(long, value_name = "STEPS", value_parser = steps, conflicts_with = "hold")]
    canary: Option<Steps>,
    /// Make it ready and wait for weir rollout promote.
    #[arg(long)]
    hold: bool,
    /// Move nobody: make a share of the calls, such as 10%, on it too, and compare, until weir rollout promote.
    #[arg(long, value_name = "SHARE", value_parser = shadow, conflicts_with_all = ["canary", "hold"])]
    shadow: Option<Share>,
    /// Compare it with the active release: so many callers see it, such as 50%, until weir rollout promote or rollback.
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with_all = ["canary", "hold", "shadow"])]
    experiment: Option<Share>,
    /// A metric of app.toml that the experiment is decided by, several times for several. Without any, by all that there are.
    #[arg(long = "metric", value_name = "NAME", requires = "experiment")]
    metrics: Vec<String>,
    /// How often an experiment in which nothing differs may be taken for one in which something does.
    #[arg(long, value_name = "LEVEL", value_parser = share, requires = "experiment", default_value = "5%")]
    alpha: Share,
    /// How many callers are expected to take part, of all variants together. What is said is most exact with so many.
    #[arg(long = "callers", value_name = "NUMBER", requires = "experiment", default_value_t = Compared::default().callers_planned)]
    callers_planned: u64,
    /// Let no guard take it back, also once all callers have moved: it is taken back by hand alone.
    #[arg(long)]
    unguarded: bool,
}

/// The steps of a canary. One argument, though there are many: a list of clap's own would be split before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Steps(Vec<Step>);

impl StrategyArguments {
    /// What may take the rollout back.
    pub fn guarded(&self) -> Guarded {
        if self.unguarded { Guarded::ByHand } else { Guarded::ByGuards }
    }

    /// What they say.
    pub fn strategy(&self) -> Strategy {
        let compared = || {
            let (metrics, alpha, callers_planned) = (self.metrics.clone(), self.alpha, self.callers_planned);
            Compared { metrics, alpha, callers_planned }
        };
        match (&self.canary, self.experiment, self.shadow) {
            (Some(Steps(steps)), ..) => Strategy::Canary { steps: steps.clone() },
            (None, Some(share), _) => Strategy::Experiment { share, others: Vec::new(), compared: compared() },
            (None, None, Some(share)) => Strategy::Shadow { share },
            (None, None, None) => Strategy::BlueGreen { hold: self.hold },
        }
    }
}

/// Reads `2.1.0=25%`.
pub fn variant(text: &str) -> Result<NamedVariant, String> {
    let (release, text) = text.split_once('=').unwrap_or((text, ""));
    if release.is_empty() || text.is_empty() {
        return Err("write a version or a sequence and a share, such as 2.1.0=25%".to_owned());
    }
    Ok(NamedVariant { release: release.to_owned(), share: share(text)? })
}

fn share(text: &str) -> Result<Share, String> {
    Share::parse(text).ok_or_else(|| format!("{text:?} is no share of callers: write one such as 5%"))
}

fn steps(text: &str) -> Result<Steps, String> {
    let steps = text.split(',').map(|step| {
        let (share, time) = step.split_once(':').map_or((step, None), |(share, time)| (share, Some(time)));
        let share = self::share(share)?;
        let for_ms = time.map(|time| {
            parse_ms(time).ok_or_else(|| format!("{time:?} is no time: write a number and a unit, such as 10m"))
        });
        Ok::<_, String>(Step { share, for_ms: for_ms.transpose()? })
    });
    let steps = steps.collect::<Result<Vec<_>, _>>()?;
    Strategy::Canary { steps: steps.clone() }.check().map_err(|error| error.to_string())?;
    Ok(Steps(steps))
}

fn shadow(text: &str) -> Result<Share, String> {
    let share =
        Share::parse(text).ok_or_else(|| format!("{text:?} is no share of the calls: write one such as 10%"))?;
    Strategy::Shadow { share }.check().map_err(|error| error.to_string())?;
    Ok(share)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn variants_are_read() {
        let read = variant("2.1.0=25%").unwrap();
        assert_eq!((read.release.as_str(), read.share), ("2.1.0", Share::of(2_500).unwrap()));
        for (text, why) in [
            ("2.1.0", "write a version or a sequence and a share, such as 2.1.0=25%"),
            ("=25%", "write a version or a sequence and a share, such as 2.1.0=25%"),
            ("2.1.0=25", "\"25\" is no share of callers: write one such as 5%"),
        ] {
            assert_eq!(variant(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn steps_are_read() {
        let step = |share: &str, for_ms| Step { share: Share::parse(share).unwrap(), for_ms };
        let expected = vec![step("5%", Some(600_000)), step("25%", Some(3_600_000)), step("50%", None)];
        assert_eq!(steps("5%:10m,25%:1h,50%"), Ok(Steps(expected)));
        for (text, why) in [
            ("5", "\"5\" is no share of callers: write one such as 5%"),
            ("5%:soon", "\"soon\" is no time: write a number and a unit, such as 10m"),
            ("", "\"\" is no share of callers: write one such as 5%"),
            ("25%,5%", "the steps of a canary rise, from above 0% to below 100%: after the last all callers move"),
        ] {
            assert_eq!(steps(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn the_share_of_a_shadow_is_read() {
        assert_eq!(shadow("10%"), Ok(Share::of(1_000).unwrap()));
        assert_eq!(shadow("10"), Err("\"10\" is no share of the calls: write one such as 10%".to_owned()));
        assert_eq!(shadow("0%"), Err("a shadow rollout has a share of the calls above 0%".to_owned()));
    }
}
