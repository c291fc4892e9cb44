//! The value of a result, which many may have at once, and what has been made of it for them.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use weir_schema::commit::Timestamp;
use weir_schema::size::json_bytes;
use weir_schema::validate::{Place, PlaceStep};

pub use crate::access::hidden::Places;

/// Forms of one value that are kept: as many selections of it as are likely to be asked for at the same time.
const FORMS_MAX: usize = 4;

/// Changes to one value that are kept: from as many values before it as clients are likely to have at the same time.
const CHANGES_MAX: usize = 4;

/// What a function gave: a value of its declared type, but for what its caller may not view.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// The value.
    pub value: Value,
    /// Where members of documents are null because the caller may not view them.
    pub hidden: Places,
}

impl From<Value> for Given {
    fn from(value: Value) -> Self {
        Self { value, hidden: Places::default() }
    }
}

/// The value of a result. Shared by all who have it, with the forms in which it was sent.
pub struct Content {
    value: Value,
    hidden: Places,
    digest: OnceLock<ValueDigest>,
    bytes: OnceLock<usize>,
    forms: Mutex<Vec<(FormId, Bytes)>>,
    changes: Mutex<Vec<((ValueDigest, FormId), Change)>>,
}

/// Names what a value was made into, such as one selection of one document. No two forms of a process have the same.
pub type FormId = u64;

/// What changed from another value to this one in some form, made once for all who have the other. None if it is not worth it.
pub type Change = Arc<OnceCell<Option<Bytes>>>;

impl Content {
    /// The value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Where in the value members of documents are null because the caller may not view them. Sorted.
    pub fn hidden(&self) -> &Places {
        &self.hidden
    }

    /// What stands for the value when two are compared.
    pub fn digest(&self) -> ValueDigest {
        *self.digest.get_or_init(|| ValueDigest::of(&self.value, &self.hidden))
    }

    /// The length of its JSON text.
    pub(crate) fn bytes(&self) -> usize {
        *self.bytes.get_or_init(|| json_bytes(&self.value))
    }

    /// What it takes besides the value to know where something is hidden in it.
    pub(crate) fn hidden_bytes(&self) -> usize {
        let step = |step: &PlaceStep| match step {
            PlaceStep::Member(name) => size_of::<PlaceStep>() + name.len(),
            PlaceStep::Element(_) => size_of::<PlaceStep>(),
        };
        self.hidden.iter().map(|place| size_of::<Place>() + place.iter().map(step).sum::<usize>()).sum()
    }

    /// What was made of it before.
    pub fn form(&self, id: FormId) -> Option<Bytes> {
        self.forms.lock().iter().find(|(known, _)| *known == id).map(|(_, form)| form.clone())
    }

    /// Keeps what was made of it for the next who asks, in the place of the oldest if there are too many. A form that is much
    /// longer than the value is not kept: nobody counts its bytes.
    pub fn keep_form(&self, id: FormId, form: &[u8]) {
        if form.len() > 2 * self.bytes() + 1_024 {
            return;
        }
        let mut forms = self.forms.lock();
        if forms.iter().any(|(known, _)| *known == id) {
            return;
        }
        if forms.len() == FORMS_MAX {
            forms.remove(0);
        }
        forms.push((id, Bytes::copy_from_slice(form)));
    }

    /// What changed from a value to this one in a form, for who comes first to make. Kept while the form is, in the place of
    /// the oldest if there are too many.
    pub fn change(&self, from: ValueDigest, form: FormId) -> Change {
        if self.form(form).is_none() {
            return Change::default();
        }
        let mut changes = self.changes.lock();
        if let Some((_, change)) = changes.iter().find(|(known, _)| *known == (from, form)) {
            return change.clone();
        }
        if changes.len() == CHANGES_MAX {
            changes.remove(0);
        }
        let change = Change::default();
        changes.push(((from, form), change.clone()));
        change
    }

    /// A copy, with what is hidden in it.
    pub(crate) fn given(&self) -> Given {
        Given { value: self.value.clone(), hidden: self.hidden.clone() }
    }

    /// The value, if nobody else has it; a copy otherwise.
    pub fn take(self: Arc<Self>) -> Value {
        Self::try_take(self).unwrap_or_else(|shared| shared.value.clone())
    }

    fn try_take(shared: Arc<Self>) -> Result<Value, Arc<Self>> {
        Arc::try_unwrap(shared).map(|content| content.value)
    }
}

impl From<Value> for Content {
    fn from(value: Value) -> Self {
        Self::from(Given::from(value))
    }
}

impl From<Given> for Content {
    fn from(Given { value, hidden }: Given) -> Self {
        Self {
            value,
            hidden,
            digest: OnceLock::new(),
            bytes: OnceLock::new(),
            forms: Mutex::default(),
            changes: Mutex::default(),
        }
    }
}

impl Deref for Content {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.value
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value && self.hidden == other.hidden
    }
}

impl PartialEq<Value> for Content {
    fn eq(&self, other: &Value) -> bool {
        self.value == *other
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// Stands for a value when two are compared: half of the SHA-256 of its JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueDigest([u8; 16]);

impl ValueDigest {
    fn of(value: &Value, hidden: &[Place]) -> Self {
        let mut hasher = Sha256::new_with_prefix(value.to_string().as_bytes());
        if !hidden.is_empty() {
            // No JSON text goes on like this.
            hasher.update(format!("\0{hidden:?}"));
        }
        let digest = hasher.finalize();
        Self(std::array::from_fn(|index| digest.get(index).copied().unwrap_or_default()))
    }

    /// The cursor of an emission: when, and what.
    pub(crate) fn cursor(self, commit: Timestamp) -> String {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{commit}.{hex}")
    }

    /// The digest in a cursor; `None` for what is no cursor, which then suppresses nothing.
    pub fn of_cursor(cursor: &str) -> Option<Self> {
        let (_, hex) = cursor.split_once('.')?;
        let digest = u128::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 32)?;
        Some(Self(digest.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_carries_its_digest() {
        let digest = ValueDigest::of(&Value::from(vec![1, 2]), &[]);
        assert!(ValueDigest::of_cursor(&digest.cursor(Timestamp(7))) == Some(digest));
        for odd in ["", "7", "7.", "7.zz", "7.0011"] {
            assert!(ValueDigest::of_cursor(odd).is_none(), "{odd:?}");
        }
    }

    #[test]
    fn the_newest_forms_are_kept() {
        let content = Content::from(Value::from("x"));
        for id in 0..=FORMS_MAX as u64 {
            content.keep_form(id, b"x");
            content.keep_form(id, b"of somebody who was slower");
        }
        assert_eq!(content.form(0), None);
        assert_eq!(content.form(FORMS_MAX as u64), Some(Bytes::from_static(b"x")));
        content.keep_form(99, &[b'x'; 2_000]);
        assert_eq!(content.form(99), None);
    }

    #[test]
    fn a_change_is_made_once_while_its_form_is_kept() {
        let content = Content::from(Value::from("x"));
        let from = |n: u64| ValueDigest::of(&Value::from(n), &[]);
        assert!(!Arc::ptr_eq(&content.change(from(0), 1), &content.change(from(0), 1)), "the form is not kept");
        content.keep_form(1, b"x");
        let change = content.change(from(0), 1);
        assert!(Arc::ptr_eq(&change, &content.change(from(0), 1)));
        for other in 1..=CHANGES_MAX as u64 {
            assert!(!Arc::ptr_eq(&change, &content.change(from(other), 1)));
        }
        assert!(!Arc::ptr_eq(&change, &content.change(from(0), 1)), "the oldest has gone");
    }
}
