//! What is stated of each change of a rollout, and signed by the store that it happened in: from which release to which, why, by whom,
//! and after which end of the audit log. The payload of a DSSE envelope.
//!
//! Rule: the audit record of the change has the digest of the statement, and the statement names the end of the log that the record
//! comes after. So neither can be another without the other, and a statement that is kept elsewhere holds the log to its past.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Event, Moved, Phase};
use crate::codec::audit::AuditHead;
use crate::codec::control::ReleaseRecord;
use crate::datetime;
use crate::digest::Digest;
use crate::tenant::TenantName;

/// The type of the payload of statements.
pub const PAYLOAD_TYPE: &str = "application/vnd.weir.rollout+json";
/// Of the reason the first letters are stated. All of it is in the audit record.
const WHY_LETTERS_MAX: usize = 500;

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Statement {
    /// The name of the app.
    pub app: String,
    /// The tenant whose app it is; absent: the server's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantName>,
    /// The environment of that app; absent: none, what its callers see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The number of the rollout. What happens after it is over and before the next belongs to it.
    pub rollout: u64,
    /// The rollout whose release is taken back, where there was another since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_back: Option<u64>,
    /// Which of the statements about it this is, from 1.
    pub number: u64,
    /// What has happened.
    pub event: Stated,
    /// The release that was active before; absent: none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<StatedRelease>,
    /// The release that is active from then on; absent: none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<StatedRelease>,
    /// The release that is rolled out; absent: no rollout was under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<StatedRelease>,
    /// Whose calls go to that one from then on, such as `5%`; absent: nobody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// Why, where somebody or a guard has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// By whom.
    pub actor: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// An end of the audit log before the record of this.
    pub audit: AuditHead,
}

/// What has happened to a rollout, as it is stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stated {
    /// It was begun.
    Started,
    /// Its candidate is ready.
    Prepared,
    /// Its candidate could not be made ready.
    Failed,
    /// More callers have moved.
    Advanced,
    /// It waits.
    Paused,
    /// It goes on.
    Resumed,
    /// It is taken back by hand alone.
    Unguarded,
    /// All callers have moved.
    Promoted,
    /// All callers are back where they were, since somebody has said so.
    RolledBack,
    /// The same, since a guard has.
    RolledBackByGuard,
}

/// A release, as a statement names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatedRelease {
    /// Its version.
    pub version: String,
    /// Its sequence.
    pub sequence: u64,
    /// That of its content.
    pub digest: Digest,
}

impl Stated {
    /// What an event came to.
    pub fn of(event: &Event, moved: &Moved) -> Self {
        match (event, moved.ended.as_ref().map(|ended| &ended.phase)) {
            (_, Some(Phase::Promoted)) | (Event::Promote | Event::Choose { .. }, _) => Self::Promoted,
            (Event::Prepared, _) => Self::Prepared,
            (Event::Failed { .. }, _) => Self::Failed,
            (Event::Due | Event::Advance, _) => Self::Advanced,
            (Event::Pause, _) => Self::Paused,
            (Event::Resume, _) => Self::Resumed,
            (Event::Unguard, _) => Self::Unguarded,
            (Event::RollBack { .. } | Event::TakeBack { .. }, _) => Self::RolledBack,
            (Event::Violated { .. }, _) => Self::RolledBackByGuard,
        }
    }

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Prepared => "prepared",
            Self::Failed => "failed",
            Self::Advanced => "advanced",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Unguarded => "unguarded",
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled back",
            Self::RolledBackByGuard => "rolled back by a guard",
        }
    }
}

impl From<&ReleaseRecord> for StatedRelease {
    fn from(record: &ReleaseRecord) -> Self {
        Self { version: record.version.clone(), sequence: record.sequence, digest: record.digest }
    }
}

impl Statement {
    /// What is signed of it.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Numbers and text always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// As much of a reason as is stated.
    pub fn why(event: &Event) -> Option<String> {
        let why = match event {
            Event::Failed { why } => why.as_str(),
            event => event.why_back()?,
        };
        let mut stated: String = why.chars().take(WHY_LETTERS_MAX).collect();
        if stated.len() < why.len() {
            stated.push('…');
        }
        Some(stated)
    }
}

impl fmt::Display for Statement {
    /// In words, a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { app, number, event, from, to, candidate, share, why, actor, at_ms, .. } = self;
        write!(f, "{number}  {}  {actor}  {}", datetime::of_ms(*at_ms), event.as_str())?;
        if let Some(candidate) = candidate {
            write!(f, " {app} {}", candidate.version)?;
        }
        if let Some(share) = share {
            write!(f, " for {share} of the callers")?;
        }
        match (from, to) {
            (Some(from), Some(to)) if from != to => write!(f, ", from {app} {} to {app} {}", from.version, to.version)?,
            (None, Some(to)) => write!(f, ", to {app} {}", to.version)?,
            _ => {}
        }
        match why {
            Some(why) => write!(f, ": {why}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::{Strategy, Traffic};

    #[test]
    fn what_an_event_came_to_is_stated() -> Result<(), Box<dyn std::error::Error>> {
        let begun = |strategy| Traffic { promoted: vec![1], ..Traffic::default() }.start(2, strategy, "ada", 0);
        let at_once = begun(Strategy::BlueGreen { hold: false })?;
        let moved = at_once.after(&Event::Prepared, 1)?;
        assert_eq!(Stated::of(&Event::Prepared, &moved), Stated::Promoted, "both at once");
        let held = begun(Strategy::BlueGreen { hold: true })?.after(&Event::Prepared, 1)?;
        assert_eq!(Stated::of(&Event::Prepared, &held), Stated::Prepared);
        let (back, guard) =
            (Event::RollBack { why: "x".into() }, Event::Violated { rollout: 1, why: "é".repeat(WHY_LETTERS_MAX + 1) });
        let moved = held.traffic.after(&back, 2)?;
        assert_eq!(Stated::of(&back, &moved), Stated::RolledBack);
        assert_eq!(Stated::of(&guard, &moved), Stated::RolledBackByGuard);
        assert_eq!(Statement::why(&back).as_deref(), Some("x"));
        assert_eq!(Statement::why(&guard), Some("é".repeat(WHY_LETTERS_MAX) + "…"));
        assert_eq!(Statement::why(&Event::Pause), None);
        Ok(())
    }

    #[test]
    fn each_rollout_counts_its_statements_anew() -> Result<(), Box<dyn std::error::Error>> {
        let before = Traffic { promoted: vec![1], rollouts: 4, statements: 9, ..Traffic::default() };
        let started = before.start(2, Strategy::BlueGreen { hold: false }, "ada", 0)?;
        assert_eq!((started.rollouts, started.statements), (5, 0));
        let counted = Traffic { statements: 3, ..started };
        let promoted = counted.after(&Event::Prepared, 1)?.traffic;
        assert_eq!(promoted.after(&Event::RollBack { why: String::new() }, 2)?.traffic.statements, 3);
        Ok(())
    }
}
