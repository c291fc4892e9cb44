//! Whether all documents have the types of a release that takes over, and that they go on having them.
//!
//! The types alone say of most collections that they do. Of the others the documents are looked through twice: first beside all that
//! goes on, so that a release that does not fit is refused and nobody has noticed; then with the writers of all other releases held to
//! the types. What was found to fit then stays so, until the store is told that the release or those beside it are gone.

use std::fmt;

use weir_schema::declarations::Declarations;
use weir_schema::narrowing::{DocumentType, Narrowing};
use weir_store::{Poisoned, Unfit};

use crate::control::{ControlError, releases};
use crate::engine::Engine;
use crate::release::Release;

/// Why a release cannot take over the documents.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// There are documents that it does not know.
    #[error(
        "the data does not fit {release}: {found}; migrate these documents first, or have the release keep what they have"
    )]
    Unfit {
        /// The release.
        release: String,
        /// What does not fit.
        found: AllUnfit,
    },
    /// The store cannot.
    #[error(transparent)]
    Unavailable(#[from] Poisoned),
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// Documents that do not fit, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllUnfit(pub Vec<Unfit>);

impl fmt::Display for AllUnfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Unfit { collection, violation, count, ids }) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{count} of {collection}: ")?;
            match violation {
                Some(violation) => write!(f, "{violation}")?,
                None => f.write_str("for further reasons")?,
            }
            let named: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
            write!(f, " ({}", named.join(", "))?;
            match count.saturating_sub(named.len() as u64) {
                0 => f.write_str(")")?,
                more => write!(f, " and {more} more)")?,
            }
        }
        Ok(())
    }
}

impl Engine {
    /// Looks whether all documents have the types of a release that is to take the place of another, and holds all writers to them.
    /// Collections whose types do not narrow cost nothing. Where no release came before it all documents are looked through, if there
    /// are any.
    ///
    /// Both releases are loaded and the store has been told of them, by the names that they have ([`Release::name`]).
    pub async fn check_data(&self, candidate: &Release, base: Option<&Release>) -> Result<(), CheckError> {
        let (release, strays) = (candidate.name(), self.strays().await?);
        let narrowings = narrowings(candidate, base, &strays);
        self.find_unfit(&release, &narrowings).await?;
        let Some(base) = base else { return Ok(()) };
        self.hold_for(candidate, base).await?;
        let checked = self.find_unfit(&release, &narrowings).await;
        if checked.is_err() {
            self.evolving().holds_for_none();
            self.store().let_go(candidate.key()).await?;
        }
        checked
    }

    /// Only looks whether they have, as they are now: nobody is held to anything.
    pub(crate) async fn look_at_data(&self, candidate: &Release, base: &Release) -> Result<(), CheckError> {
        let narrowings = narrowings(candidate, Some(base), &self.strays().await?);
        self.find_unfit(&candidate.name(), &narrowings).await
    }

    /// What the releases declare that were taken back after they had written; `None` for one whose bundle is gone or cannot be read.
    async fn strays(&self) -> Result<Vec<Option<Declarations>>, ControlError> {
        let (state, known) = (releases::traffic(self.store())?, releases::list(self.store())?);
        let mut strays = Vec::with_capacity(state.strays.len());
        for sequence in state.strays {
            let loaded = self.loaded_as(sequence).map(|release| release.declarations().clone());
            let record = known.iter().find(|release| release.sequence == sequence);
            strays.push(match (loaded, record) {
                (None, Some(record)) => self.kept_app(record).await.ok().map(|app| app.declarations),
                (loaded, _) => loaded,
            });
        }
        Ok(strays)
    }

    async fn find_unfit(&self, release: &str, narrowings: &[Narrowing]) -> Result<(), CheckError> {
        if narrowings.is_empty() {
            return Ok(());
        }
        let unfit = self.store().find_unfit(release, narrowings).await?;
        let found = AllUnfit(unfit);
        if found.0.is_empty() { Ok(()) } else { Err(CheckError::Unfit { release: release.to_owned(), found }) }
    }
}

/// What a release asks of the documents of another, and of those that releases have written which were taken back. A collection that
/// the other does not declare may have documents all the same, of a release before.
fn narrowings(candidate: &Release, base: Option<&Release>, strays: &[Option<Declarations>]) -> Vec<Narrowing> {
    let collections = candidate.declarations().collections.keys();
    let narrowings = collections.filter_map(|collection| {
        let new = DocumentType::of(candidate.declarations(), collection)?;
        let old = base.and_then(|base| DocumentType::of(base.declarations(), collection));
        let strays = strays.iter().filter_map(|stray| match stray {
            Some(stray) => Narrowing::reading(&DocumentType::of(stray, collection)?, new.clone()),
            None => Narrowing::between(None, new.clone()),
        });
        strays.chain(Narrowing::between(old.as_ref(), new.clone())).reduce(Narrowing::and)
    });
    narrowings.collect()
}
