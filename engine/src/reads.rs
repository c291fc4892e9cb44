//! What a script reads of documents: of all that there are, those that its caller may read.
//!
//! Rule: what rules hide is as if it were not there, in rows, pages, counts and what lies beyond them. It counts for the limits
//! that bound the work, since it is looked at.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use weir_sandbox::protocol::{HostError, Plan};
use weir_schema::declarations::FunctionKind;
use weir_schema::limits::Limit;
use weir_store::{End, Position, Rows, Scan, ScanError};

use crate::access::hidden::{self, Unshown};
use crate::access::rows::{Entity, RowRules, Verdict};
use crate::documents;
use crate::host::{RunHost, scan_of, text};

/// How many documents are looked at in one go, at least and at most, where some of them may be hidden.
const LOOKED_AT: (usize, usize) = (16, 1_000);
/// No more are looked at in one go once they have more bytes than this.
const LOOKED_AT_BYTES: usize = 512 << 10;

/// Rows as a script gets them.
pub(crate) struct Shown {
    /// JSON texts with where each stands.
    pub(crate) rows: Vec<(String, Position)>,
    /// As in [`Rows`].
    more: bool,
    others: bool,
}

impl RunHost {
    /// The rules of a collection for what runs at the moment; `None` where everything is allowed. Views are computed with all
    /// documents, whoever asks: who may see what they give is decided where they are called.
    pub(crate) fn rules(&mut self, collection: &str) -> Option<Arc<RowRules>> {
        let guard = self.guard.as_ref()?;
        if self.running() == FunctionKind::View {
            return None;
        }
        if self.kind == FunctionKind::Query {
            for observed in guard.observed(collection) {
                self.looked.at(*observed);
            }
        }
        guard.rules(collection)
    }

    pub(crate) fn get(&mut self, collection: &str, id: String) -> Result<String, HostError> {
        self.count_read(1)?;
        let id = documents::id(collection, id).map_err(|error| self.refuse(error))?;
        let rules = self.rules(collection);
        let found = match &mut self.pinned {
            Some(pinned) => pinned.get(collection, &id),
            None => self.transaction()?.get(collection, &id),
        };
        let Some(document) = found.map_err(|error| self.refuse(error.into()))? else { return Ok("null".to_owned()) };
        let Some(rules) = rules else {
            self.count_read_bytes(document.len())?;
            return text(&document);
        };
        match self.shown(collection, &rules, &[], &document)? {
            Some(text) => {
                self.count_read_bytes(document.len())?;
                Ok(text)
            }
            None => Ok("null".to_owned()),
        }
    }

    /// Rows that a scan asks for, those that the caller may read, within the limit on documents.
    pub(crate) fn shown_rows(&mut self, collection: &str, scan: Scan) -> Result<Shown, HostError> {
        let rules = self.rules(collection).filter(|rules| !rules.hides_nothing());
        let Some(rules) = rules else {
            let Rows { rows, more, others } = self.scan(collection, scan)?;
            let rows: Result<_, HostError> =
                rows.into_iter().map(|row| Ok((text(&row.document)?, row.position))).collect();
            return Ok(Shown { rows: rows?, more, others });
        };
        let (scan, by) = self.narrowed(collection, &rules, scan)?;
        if rules.visibility(&by) == Verdict::Nothing {
            return Ok(Shown { rows: Vec::new(), more: false, others: false });
        }
        let wanted = scan.limit.unwrap_or(usize::MAX);
        let until = self.looks_until();
        let mut shown = Shown { rows: Vec::new(), more: false, others: false };
        let mut batch = wanted.saturating_add(1).clamp(LOOKED_AT.0, LOOKED_AT.1);
        let mut part = Scan { limit: Some(batch), ..scan.clone() };
        let mut is_first = true;
        loop {
            self.look_on(until)?;
            let Rows { mut rows, more, others } = self.scan(collection, part.clone())?;
            if std::mem::take(&mut is_first) && others {
                shown.others = self.has_others(collection, &rules, &by, &scan)?;
            }
            if scan.from == End::Last {
                rows.reverse();
            }
            let last = rows.last().map(|row| row.position.clone());
            for row in rows {
                // One that is hidden in the place of the first that is too many would say that there are more.
                let Some(text) = self.shown(collection, &rules, &by, &row.document)? else { continue };
                if shown.rows.len() == wanted {
                    shown.more = true;
                    break;
                }
                shown.rows.push((text, row.position));
            }
            match last {
                Some(position) if more && !shown.more => match scan.from {
                    End::First => part.after = Some(position),
                    End::Last => part.before = Some(position),
                },
                _ => break,
            }
            batch = (batch * 2).min(LOOKED_AT.1);
            part.limit = Some(batch);
        }
        if scan.from == End::Last {
            shown.rows.reverse();
        }
        Ok(shown)
    }

    /// Whether a position cuts off anything that the caller may read.
    fn has_others(
        &mut self,
        collection: &str,
        rules: &RowRules,
        by: &[String],
        scan: &Scan,
    ) -> Result<bool, HostError> {
        let mut limit = LOOKED_AT.0;
        let until = self.looks_until();
        loop {
            self.look_on(until)?;
            let limits = self.release.limits();
            let documents = limits.documents_read.saturating_sub(self.used.documents_read) as usize;
            let bytes = limits.read_bytes.saturating_sub(self.used.read_bytes).min(limits.heap_bytes);
            let bound = limit.min(documents.saturating_add(1));
            let part = Scan { limit: Some(bound), bytes: Some(bytes), ..scan.clone() };
            let found = match &mut self.pinned {
                Some(pinned) => pinned.scan_others(collection, &part),
                None => self.transaction()?.scan_others(collection, &part),
            };
            let Rows { rows, more, .. } = found.map_err(|error| self.refuse_scan(error))?;
            self.count_read(rows.len())?;
            self.count_read_bytes(rows.iter().map(|row| row.document.len()).sum())?;
            for row in &rows {
                let entity = rules.entity(&row.document).ok_or_else(damaged)?;
                if rules.shows(&entity, by) {
                    return Ok(true);
                }
            }
            if !more {
                return Ok(false);
            }
            limit = limit.saturating_mul(8);
        }
    }

    /// The text of a document as the caller may see it; `None` where it is hidden.
    fn shown(
        &mut self,
        collection: &str,
        rules: &RowRules,
        by: &[String],
        document: &[u8],
    ) -> Result<Option<String>, HostError> {
        let entity = rules.entity(document).ok_or_else(damaged)?;
        if !rules.shows(&entity, by) {
            return Ok(None);
        }
        self.without_hidden(collection, rules, &entity, document).map(Some)
    }

    /// The text of a document that the function has written, as the caller may see it.
    pub(crate) fn masked(&mut self, collection: &str, rules: &RowRules, document: &[u8]) -> Result<String, HostError> {
        let entity = rules.entity(document).ok_or_else(damaged)?;
        self.without_hidden(collection, rules, &entity, document)
    }

    fn without_hidden(
        &mut self,
        collection: &str,
        rules: &RowRules,
        entity: &Entity,
        document: &[u8],
    ) -> Result<String, HostError> {
        let shown = hidden::mask(collection, rules, entity, document, &mut self.hidden);
        shown.map_err(|unshown| match unshown {
            Unshown::Damaged => damaged(),
            Unshown::TooMany => HostError::Limit(Limit::DocumentsRead),
        })
    }

    fn narrowed(&mut self, collection: &str, rules: &RowRules, scan: Scan) -> Result<(Scan, Vec<String>), HostError> {
        let found = narrowed(rules, scan, |scan| self.fields_of(collection, scan));
        found.map_err(|error| self.refuse_scan(error))
    }

    /// Until when documents are looked at for one question. A script that waits for its host is stopped by no clock.
    fn looks_until(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.release.limits().wall_ms)
    }

    fn look_on(&self, until: Instant) -> Result<(), HostError> {
        if Instant::now() > until { Err(HostError::Limit(Limit::Wall)) } else { Ok(()) }
    }

    fn fields_of(&mut self, collection: &str, scan: &Scan) -> Result<Vec<String>, ScanError> {
        match (&mut self.pinned, &mut self.transaction) {
            (Some(pinned), _) => pinned.fields_of(collection, scan),
            (None, Some(transaction)) => transaction.fields_of(collection, scan),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// Reads rows, all of those that the scan asks for, within the limit on documents.
    fn scan(&mut self, collection: &str, mut scan: Scan) -> Result<Rows, HostError> {
        let left = self.release.limits().documents_read.saturating_sub(self.used.documents_read) as usize;
        let bound = left.saturating_add(1);
        scan.limit = Some(scan.limit.map_or(bound, |limit| limit.min(bound)));
        let heap = self.release.limits().heap_bytes;
        scan.bytes = Some(self.release.limits().read_bytes.saturating_sub(self.used.read_bytes).min(heap));
        let rows = match &mut self.pinned {
            Some(pinned) => pinned.scan(collection, &scan),
            None => self.transaction()?.scan(collection, &scan),
        };
        let rows = rows.map_err(|error| self.refuse_scan(error))?;
        self.count_read(rows.rows.len())?;
        let bytes = rows.rows.iter().map(|row| row.document.len()).sum();
        self.count_read_bytes(bytes)?;
        // The script could not hold them: better to know before they are copied.
        if bytes > heap { Err(HostError::Limit(Limit::Heap)) } else { Ok(rows) }
    }

    /// That a scan can be answered, without reading.
    pub(crate) fn check_scan(&mut self, collection: &str, scan: Scan) -> Result<(), HostError> {
        self.scan(collection, Scan { limit: Some(0), ..scan }).map(drop)
    }

    pub(crate) fn page(&mut self, collection: &str, scan: Scan) -> Result<String, HostError> {
        let from = scan.from;
        let shown = self.shown_rows(collection, scan)?;
        let mut edges = String::from("[");
        let mut ends: Option<(String, String)> = None;
        for (node, position) in &shown.rows {
            let cursor = position.to_cursor();
            if edges.len() > 1 {
                edges.push(',');
            }
            edges.push_str(&format!("{{\"cursor\":\"{cursor}\",\"node\":{node}}}"));
            let start = ends.take().map_or_else(|| cursor.clone(), |(start, _)| start);
            ends = Some((start, cursor));
        }
        edges.push(']');
        let (start, end) = ends.unzip();
        let (next, previous) = match from {
            End::First => (shown.more, shown.others),
            End::Last => (shown.others, shown.more),
        };
        let info = json!({ "hasNextPage": next, "hasPreviousPage": previous, "startCursor": start, "endCursor": end });
        Ok(format!("{{\"edges\":{edges},\"pageInfo\":{info}}}"))
    }

    pub(crate) fn count(&mut self, plan: Plan) -> Result<String, HostError> {
        let (collection, scan) = scan_of(plan);
        match self.rules(&collection).filter(|rules| !rules.hides_nothing()) {
            Some(rules) => self.count_shown(&collection, &rules, scan),
            None => self.count_all(&collection, scan),
        }
    }

    fn count_all(&mut self, collection: &str, mut scan: Scan) -> Result<String, HostError> {
        let limit = self.release.limits().documents_counted;
        let left = limit.saturating_sub(self.used.documents_counted) as usize;
        scan.limit = Some(left.saturating_add(1));
        let count = match &mut self.pinned {
            Some(pinned) => pinned.count(collection, &scan),
            None => self.transaction()?.count(collection, &scan),
        };
        let count = count.map_err(|error| self.refuse_scan(error))?;
        self.count_counted(usize::try_from(count).unwrap_or(usize::MAX))?;
        Ok(count.to_string())
    }

    /// Counts what the caller may read. All that is looked at counts for the limits.
    fn count_shown(&mut self, collection: &str, rules: &RowRules, scan: Scan) -> Result<String, HostError> {
        let (scan, by) = self.narrowed(collection, rules, scan)?;
        match rules.visibility(&by) {
            Verdict::Nothing => return Ok("0".to_owned()),
            Verdict::All => return self.count_all(collection, scan),
            Verdict::Some => {}
        }
        let mut part = Scan { limit: Some(LOOKED_AT.1), bytes: Some(LOOKED_AT_BYTES), ..scan };
        let until = self.looks_until();
        let mut count = 0_u64;
        loop {
            self.look_on(until)?;
            let found = match &mut self.pinned {
                Some(pinned) => pinned.scan(collection, &part),
                None => self.transaction()?.scan(collection, &part),
            };
            let Rows { rows, more, .. } = found.map_err(|error| self.refuse_scan(error))?;
            self.count_counted(rows.len())?;
            // Other than where all may be read, they are read to be counted.
            self.count_read_bytes(rows.iter().map(|row| row.document.len()).sum())?;
            for row in &rows {
                let entity = rules.entity(&row.document).ok_or_else(damaged)?;
                count += u64::from(rules.shows(&entity, &by));
            }
            match rows.into_iter().next_back() {
                Some(last) if more => part.after = Some(last.position),
                _ => return Ok(count.to_string()),
            }
        }
    }
}

/// A scan of no more than what a caller may read, where an index has that; and the members by which it finds documents, which
/// `fields_of` tells.
pub(crate) fn narrowed(
    rules: &RowRules,
    scan: Scan,
    mut fields_of: impl FnMut(&Scan) -> Result<Vec<String>, ScanError>,
) -> Result<(Scan, Vec<String>), ScanError> {
    let by = fields_of(&scan)?;
    let named = |field: &str| {
        scan.equal.iter().any(|(name, _)| name == field)
            || scan.range.as_ref().is_some_and(|range| range.field == field)
            || scan.order.as_ref().is_some_and(|(name, _)| name == field)
    };
    for (field, value) in rules.equal().into_iter().filter(|(field, _)| !named(field)) {
        let mut narrow = scan.clone();
        narrow.equal.push((field.clone(), value));
        // A cursor of a list that was narrowed fits no other.
        let Ok(fields) = fields_of(&narrow) else { continue };
        let has_same_order = fields.iter().filter(|name| **name != field).eq(&by);
        if has_same_order {
            return Ok((narrow, fields));
        }
    }
    Ok((scan, by))
}

fn damaged() -> HostError {
    HostError::Refused("a stored document is damaged".to_owned())
}
