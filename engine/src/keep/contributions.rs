//! What documents contribute to a view of groups, on its way to the store.
//!
//! The keeper of the view notes what it learns of documents and, when its view is as of another commit, that it is. Only then
//! does it go to the store, with that commit. What the guest gave is not looked into.

use std::collections::BTreeMap;
use std::mem;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use weir_schema::digest::Digest;
use weir_schema::id::DocumentId;
use weir_store::{Head, KeptKey, KeptRecord, Poisoned, Store};

/// What waits takes at most about so many bytes before the keeper waits for it to be written.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// What is written together, in bytes.
const WRITE_BYTES: usize = 1 << 20;
/// What an entry takes besides its text, in bytes.
const ENTRY_BYTES: usize = 128;
/// Bytes of records that are removed together.
const REMOVED_BYTES: usize = 256 << 10;
/// Bytes of records that are read together.
const PAGE_BYTES: usize = 4 << 20;

/// As of when a view of groups is kept: JSON text under the digest of its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AsOf {
    /// The view.
    pub(crate) function: String,
    /// The commit.
    pub(crate) head: Head,
    /// How many records there are. `None` while more are being written, which are of later commits.
    pub(crate) records: Option<u64>,
}

impl AsOf {
    fn text(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

/// What of one view of groups is to be written.
pub(crate) struct Contributions {
    view: Digest,
    function: String,
    /// The release whose view it is.
    release: u64,
    waiting: Mutex<Waiting>,
    /// Wakes the keeper when its release writes and nothing of the view is in the store.
    turn: Notify,
}

#[derive(Default)]
struct Waiting {
    /// Known, but as of no commit yet.
    noted: BTreeMap<DocumentId, Option<Bytes>>,
    /// To be written; `None` to be removed.
    records: BTreeMap<DocumentId, Option<Bytes>>,
    bytes: usize,
    as_of: Option<AsOf>,
    gap: Gap,
}

/// Whether something was passed over because another release wrote. What is in the store lacks that, and is of no use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Gap {
    #[default]
    None,
    Passed,
    /// Nothing is in the store any more.
    Removed,
}

impl Waiting {
    fn take_noted(&mut self) {
        for (id, text) in mem::take(&mut self.noted) {
            self.bytes += ENTRY_BYTES + text.as_ref().map_or(0, Bytes::len);
            self.records.insert(id, text);
        }
    }
}

impl Contributions {
    /// Nothing is known yet.
    pub(crate) fn new(view: Digest, function: String, release: u64) -> Self {
        Self { view, function, release, waiting: Mutex::default(), turn: Notify::new() }
    }

    /// The release whose view it is.
    pub(crate) fn release(&self) -> u64 {
        self.release
    }

    /// The digest of the view's code.
    pub(crate) fn view(&self) -> &Digest {
        &self.view
    }

    /// Notes what a document contributes, as the guest's text: nothing is kept of one that contributes nothing.
    pub(crate) fn note(&self, document: &DocumentId, text: Option<Bytes>) {
        self.waiting.lock().noted.insert(document.clone(), text);
    }

    /// What was noted may be written: the view is being built.
    pub(crate) fn build(&self) {
        self.waiting.lock().take_noted();
    }

    /// The view is as of a commit, with so many documents of which something is kept.
    pub(crate) fn advance(&self, head: Head, documents: usize) {
        let mut waiting = self.waiting.lock();
        waiting.take_noted();
        waiting.as_of = Some(AsOf { function: self.function.clone(), head, records: Some(documents as u64) });
    }

    /// Whether so much waits that the keeper has to.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.lock().bytes >= WAITING_BYTES_MAX
    }

    /// Forgets what waits: the view is built anew.
    pub(crate) fn clear(&self) {
        *self.waiting.lock() = Waiting::default();
    }

    /// Waits until the release writes and all that the view knows is to be noted again.
    pub(crate) async fn is_turn(&self) {
        self.turn.notified().await;
    }

    /// All that the view knows is about to be noted; false if there is no need.
    pub(crate) fn begin_again(&self) -> bool {
        let mut waiting = self.waiting.lock();
        let is_needed = waiting.gap == Gap::Removed;
        if is_needed {
            *waiting = Waiting::default();
        }
        is_needed
    }

    /// Forgets what waits, since another release writes. Until all is noted again nothing more of the view can be kept.
    pub(super) fn pass_over(&self) {
        let mut waiting = self.waiting.lock();
        let is_empty = waiting.noted.is_empty() && waiting.records.is_empty() && waiting.as_of.is_none();
        let gap = if is_empty || waiting.gap != Gap::None { waiting.gap } else { Gap::Passed };
        *waiting = Waiting { gap, ..Waiting::default() };
    }

    /// Whether something was passed over. Then what is in the store is removed, once, and the keeper told to note all again.
    pub(super) async fn has_gap(&self, store: &Store) -> Result<bool, Poisoned> {
        let gap = self.waiting.lock().gap;
        if gap == Gap::Passed {
            let mut after = None;
            loop {
                after = remove_some(store, &self.view, after.as_ref()).await?;
                if after.is_none() {
                    break;
                }
            }
        }
        let mut waiting = self.waiting.lock();
        // It may be built anew meanwhile.
        if waiting.gap != Gap::None {
            *waiting = Waiting { gap: Gap::Removed, ..Waiting::default() };
            self.turn.notify_one();
        }
        Ok(waiting.gap != Gap::None)
    }

    /// Adds what waits to what is to be written next, and writes all but the last of it. All records that are written before
    /// the commit that they are as of are of that commit or a later one: of those documents the journal tells who reads them.
    pub(super) async fn write(&self, store: &Store, next: &mut Vec<KeptRecord>) -> Result<u64, Poisoned> {
        let (mut records, as_of) = {
            let mut waiting = self.waiting.lock();
            waiting.bytes = 0;
            (mem::take(&mut waiting.records), waiting.as_of.take())
        };
        let (mut written, mut is_uncounted) = (0, false);
        loop {
            let mut bytes = 0;
            while bytes < WRITE_BYTES
                && let Some((id, text)) = records.pop_first()
            {
                bytes += ENTRY_BYTES + text.as_ref().map_or(0, Bytes::len);
                next.push((KeptKey::Contribution(self.view, id), text));
            }
            written += bytes as u64;
            if records.is_empty() {
                next.extend(as_of.map(|as_of| (KeptKey::Groups(self.view), Some(as_of.text()))));
                return Ok(written);
            }
            if !mem::replace(&mut is_uncounted, true) {
                next.extend(self.uncounted(store)?);
            }
            store.keep(mem::take(next)).await?;
        }
    }

    /// What is written says for now, without the number of records, which is about to change.
    fn uncounted(&self, store: &Store) -> Result<Option<KeptRecord>, Poisoned> {
        let as_of = as_of(store, &self.view)?;
        Ok(as_of.map(|as_of| (KeptKey::Groups(self.view), Some(AsOf { records: None, ..as_of }.text()))))
    }
}

/// As of when a view is kept; `None` if it is not, or that cannot be read.
pub(crate) fn as_of(store: &Store, view: &Digest) -> Result<Option<AsOf>, Poisoned> {
    let text = store.kept(&KeptKey::Groups(*view))?;
    Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
}

/// Removes some of what is kept of a view, after a key: first that it is. Where to go on, if there is more.
pub(crate) async fn remove_some(
    store: &Store,
    view: &Digest,
    after: Option<&KeptKey>,
) -> Result<Option<KeptKey>, Poisoned> {
    let page = store.kept_groups(view, after, REMOVED_BYTES)?;
    if !page.records.is_empty() {
        store.keep(page.records.into_iter().map(|(key, _)| (key, None)).collect()).await?;
    }
    Ok(page.next)
}

/// A document, and what it contributes as the guest's text.
pub(crate) type Contributed = (DocumentId, Bytes);

/// Some of what documents contribute to a view, after a key; and the key to go on after.
pub(crate) fn page(
    store: &Store,
    view: &Digest,
    after: Option<&KeptKey>,
) -> Result<(Vec<Contributed>, Option<KeptKey>), Poisoned> {
    let page = store.kept_groups(view, after, PAGE_BYTES)?;
    let contributions = page.records.into_iter().filter_map(|(key, text)| match key {
        KeptKey::Contribution(_, id) => Some((id, text)),
        _ => None,
    });
    Ok((contributions.collect(), page.next))
}
