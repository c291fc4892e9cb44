//! The values of a subscription for a client that takes patches: each whole, or as what changed since the one before.
//!
//! Which one is before is known when a value is sent: of those that come faster than the client takes them only the newest
//! is. A patch from one value to another is made once for all who go from the one to the other (`engine/src/content.rs`).

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use weir_engine::content::{Content, FormId, ValueDigest};

use super::patch;
use super::plan::Key;
use super::response::{Response, WeirExtensions, write_json};

/// Up to so many bytes of JSON text are compared where they come up; more would keep others waiting there.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// A value of a subscription.
#[derive(Debug, PartialEq)]
pub struct Version {
    /// The response key of the root field.
    key: String,
    content: Arc<Content>,
    form: FormId,
    /// The JSON text of the root field.
    value: Bytes,
    weir: WeirExtensions,
}

/// What a client has: the value to which a patch applies.
#[derive(Debug, PartialEq)]
pub struct Base {
    digest: ValueDigest,
    form: FormId,
    value: Bytes,
}

impl Version {
    /// A value that has been written without errors. `data` is the JSON text of the response's `data`.
    pub(crate) fn new(key: &Key, content: &Arc<Content>, form: FormId, data: Vec<u8>, weir: WeirExtensions) -> Self {
        // The same text for all who have it, or all between `{"key":` and `}`.
        let value = content.form(form).unwrap_or_else(|| {
            let end = data.len().saturating_sub(1);
            let start = end.min(1 + key.json.len());
            Bytes::from(data).slice(start..end)
        });
        Self { key: key.name.clone(), content: content.clone(), form, value, weir }
    }

    /// Which value it is.
    pub fn digest(&self) -> ValueDigest {
        self.content.digest()
    }

    /// The bytes of its text.
    pub fn bytes(&self) -> usize {
        self.value.len()
    }

    /// Where the watch stands with it.
    pub fn cursor(&self) -> Option<&str> {
        self.weir.cursor.as_deref()
    }

    /// What the client has when it has got this.
    pub fn base(&self) -> Base {
        Base { digest: self.content.digest(), form: self.form, value: self.value.clone() }
    }

    /// The JSON text of the response: as a patch if the client has a value of the same selection and it is shorter.
    pub async fn to_json(&self, base: Option<&Base>) -> Vec<u8> {
        let patch = match base.filter(|base| base.form == self.form) {
            Some(base) => self.patch(base).await,
            None => None,
        };
        let mut out = Vec::with_capacity(patch.as_ref().unwrap_or(&self.value).len() + 256);
        match patch {
            Some(patch) => {
                out.extend_from_slice(b"{\"extensions\":{\"weir\":");
                write_json(&mut out, &self.weir);
                // One more member of the object.
                out.pop();
                out.extend_from_slice(b",\"patch\":");
                out.extend_from_slice(&patch);
                out.extend_from_slice(b"}}}");
            }
            None => {
                let mut data = Vec::with_capacity(self.value.len() + self.key.len() + 8);
                data.push(b'{');
                write_json(&mut data, &self.key);
                data.push(b':');
                data.extend_from_slice(&self.value);
                data.push(b'}');
                Response { data: Some(data), errors: Vec::new(), weir: Some(self.weir.clone()) }.write(&mut out);
            }
        }
        out
    }

    /// The patch from what the client has; none if the value itself is shorter.
    async fn patch(&self, base: &Base) -> Option<Bytes> {
        let (old, new) = (base.value.clone(), self.value.clone());
        let path = format!("/{}", self.key);
        let made = self.content.change(base.digest, self.form);
        let make = async || {
            if old.len() + new.len() <= INLINE_BYTES_MAX {
                return compare(&path, &old, &new);
            }
            tokio::task::spawn_blocking(move || compare(&path, &old, &new)).await.ok().flatten()
        };
        made.get_or_init(make).await.clone()
    }
}

/// The JSON text of a patch, if it is shorter than the new value.
fn compare(path: &str, old: &[u8], new: &[u8]) -> Option<Bytes> {
    let mut patch = Vec::new();
    if old == new {
        patch.extend_from_slice(b"[]");
    } else {
        let (old, new): (Value, Value) = (serde_json::from_slice(old).ok()?, serde_json::from_slice(new).ok()?);
        write_json(&mut patch, &patch::diff(path, &old, &new));
    }
    (patch.len() < new.len()).then(|| patch.into())
}
