//! What a script writes, within what its caller may do.

use weir_sandbox::protocol::{HostCall, HostError};

use crate::documents;
use crate::host::{RunHost, text};

impl RunHost {
    pub(crate) fn write(&mut self, call: HostCall) -> Result<String, HostError> {
        self.must_write()?;
        self.count_written(1)?;
        let left = self.release.limits().documents_written - self.used.documents_written;
        let release = self.release.clone();
        let declarations = release.declarations();
        let fresh = matches!(call, HostCall::Insert { .. }).then(|| self.ids.next());
        let rules = match &call {
            HostCall::Insert { collection, .. }
            | HostCall::Replace { collection, .. }
            | HostCall::Patch { collection, .. }
            | HostCall::Delete { collection, .. } => self.rules(collection),
            _ => None,
        };
        let bound = rules.as_deref();
        let transaction = self.transaction()?;
        let mut others = Vec::new();
        let written = match (call, fresh) {
            (HostCall::Insert { collection, value }, Some(id)) => {
                let document = documents::insert(transaction, declarations, bound, &collection, &id, value);
                document.map(|document| (Ok(document), collection, id))
            }
            (HostCall::Replace { collection, id, value }, _) => documents::id(&collection, id).and_then(|id| {
                let document = documents::replace(transaction, declarations, bound, &collection, &id, value)?;
                Ok((Ok(document), collection, id))
            }),
            (HostCall::Patch { collection, id, part, removed }, _) => documents::id(&collection, id).and_then(|id| {
                let document = documents::patch(transaction, declarations, bound, &collection, &id, part, &removed)?;
                Ok((Ok(document), collection, id))
            }),
            (HostCall::Delete { collection, id }, _) => documents::id(&collection, id).and_then(|id| {
                let deleted = documents::delete(transaction, bound, &collection, &id, left)?;
                let existed = deleted.existed;
                others.extend(deleted.others());
                Ok((Err(existed), collection, id))
            }),
            (other, _) => return Err(HostError::Refused(format!("{other:?} does not write"))),
        };
        let (answer, collection, id) = written.map_err(|error| self.refuse(error))?;
        self.count_written(others.len())?;
        let answer = match (answer, &rules) {
            (Err(existed), _) => existed.to_string(),
            (Ok(document), None) => text(&document)?,
            (Ok(document), Some(rules)) => self.masked(&collection, rules, &document)?,
        };
        self.written.push((collection, id));
        self.written.append(&mut others);
        self.count_written_bytes(answer.len())?;
        Ok(answer)
    }
}
