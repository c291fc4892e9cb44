//! A bundle: all that an app consists of in one file, and who says that it may run.
//!
//! ```text
//! weir bundle 1
//! {"payloadType":"application/vnd.weir.bundle+json","payload":"…","signatures":[{"keyid":"…","sig":"…"}]}
//! {"files":{"app.toml":"…","collections.ts":"…"}}
//! ```
//!
//! The last line is the content: the texts of the app, in the order of their paths. The line before is the envelope of who has
//! signed it ([`envelope`]), and empty where nobody has. What is signed is a statement: which version of which app the content
//! is, by its digest, for which tenant, and until when it may be deployed.
//!
//! Rule: equal apps have equal contents, byte for byte, whoever packs them and where. What runs is what the server's own compiler
//! makes of the texts that were signed, so that nobody has to trust a compiled form. Declarations, policies, schedules, limits and
//! source maps are all made of these texts, and so none of them is in the file a second time: what is there once cannot disagree.

pub mod envelope;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::digest::Digest;
use crate::limits::SOURCES_MAX;
use crate::tenant::TenantName;
use envelope::{BadEnvelope, Envelope, PAYLOAD_TYPE};

/// The first line of a bundle: what it is, and of which format.
pub const MAGIC: &str = "weir bundle 1\n";
/// The largest bundle, in bytes.
pub const BUNDLE_BYTES_MAX: usize = 24 << 20;
/// The longest path in a bundle, in bytes.
const PATH_BYTES_MAX: usize = 1_024;

/// A bundle taken apart, and not verified in any way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle<'a> {
    /// Who has signed what of it; `None`: nobody.
    pub envelope: Option<Envelope>,
    /// The bytes of the content.
    pub content: &'a [u8],
}

/// The texts of an app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// By path, relative to the app folder and with `/` between folders.
    #[serde(deserialize_with = "files")]
    pub files: BTreeMap<String, String>,
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Statement {
    /// The name of the app.
    pub app: String,
    /// The tenant whom it is for; `None`: the server's own app, as every statement says that is older than tenants in statements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantName>,
    /// Its version.
    pub version: String,
    /// Of two bundles of an app the one with the higher number is the newer.
    pub sequence: u64,
    /// Until when it may be deployed, in milliseconds since 1970.
    pub expires_ms: u64,
    /// That of the content.
    pub digest: Digest,
}

/// Why something is no bundle, or its content none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBundle {
    /// It begins otherwise.
    #[error("this is no bundle of this format: `weir build` makes one")]
    Magic,
    /// It is too large.
    #[error("a bundle has at most {BUNDLE_BYTES_MAX} bytes: keep only the app in its folder")]
    TooLarge,
    /// It ends too early.
    #[error("the bundle is cut off: copy it again")]
    Cut,
    /// The envelope is none.
    #[error(transparent)]
    Envelope(#[from] BadEnvelope),
    /// The content is none.
    #[error("the content of the bundle cannot be read: {0}")]
    Content(String),
    /// The statement is none.
    #[error("the statement of the bundle cannot be read: {0}")]
    Statement(String),
}

impl<'a> Bundle<'a> {
    /// Takes a bundle apart.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BadBundle> {
        if bytes.len() > BUNDLE_BYTES_MAX {
            return Err(BadBundle::TooLarge);
        }
        let rest = bytes.strip_prefix(MAGIC.as_bytes()).ok_or(BadBundle::Magic)?;
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or(BadBundle::Cut)?;
        let (line, content) = rest.split_at_checked(end).ok_or(BadBundle::Cut)?;
        let envelope = if line.is_empty() { None } else { Some(Envelope::parse(line, PAYLOAD_TYPE)?) };
        let content = content.strip_prefix(b"\n").and_then(|content| content.strip_suffix(b"\n"));
        Ok(Self { envelope, content: content.ok_or(BadBundle::Cut)? })
    }

    /// The bytes of the bundle.
    pub fn to_bytes(&self) -> Vec<u8> {
        let line = self.envelope.as_ref().map(Envelope::to_json).unwrap_or_default();
        [MAGIC.as_bytes(), &line, b"\n", self.content, b"\n"].concat()
    }
}

impl Content {
    /// Its bytes in a bundle.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Texts by text always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the bytes of a bundle.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadBundle> {
        serde_json::from_slice(bytes).map_err(|error| BadBundle::Content(error.to_string()))
    }
}

impl Statement {
    /// What is signed of it.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Numbers and text always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what was signed.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadBundle> {
        serde_json::from_slice(bytes).map_err(|error| BadBundle::Statement(error.to_string()))
    }
}

/// Reads texts by path: none twice, and none that leads out of a folder.
fn files<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct Files;

    impl<'de> Visitor<'de> for Files {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("texts by path")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut files = BTreeMap::new();
            while let Some((path, text)) = map.next_entry::<String, String>()? {
                if !is_path(&path) {
                    return Err(M::Error::custom(format!("{path:?} is no path in an app folder")));
                }
                if files.len() == SOURCES_MAX {
                    return Err(M::Error::custom(format!("it has more than {SOURCES_MAX} files")));
                }
                if files.contains_key(&path) {
                    return Err(M::Error::custom(format!("duplicate file `{path}`")));
                }
                files.insert(path, text);
            }
            Ok(files)
        }
    }

    deserializer.deserialize_map(Files)
}

fn is_path(path: &str) -> bool {
    path.len() <= PATH_BYTES_MAX
        && path.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<T>(parsed: Result<T, BadBundle>) -> String {
        parsed.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_bundle_is_read_as_it_was_written() -> Result<(), BadBundle> {
        let files = [("functions/a.ts", "export const a = 1;\n"), ("app.toml", "name = \"ä\"\n")];
        let content = Content { files: files.map(|(path, text)| (path.to_owned(), text.to_owned())).into() };
        let bytes = content.to_bytes();
        assert!(bytes.starts_with(b"{\"files\":{\"app.toml\":"), "in the order of paths");
        assert_eq!(Content::parse(&bytes)?, content);
        let bundle = Bundle { envelope: None, content: &bytes };
        let file = bundle.to_bytes();
        assert_eq!(Bundle::parse(&file)?, bundle);
        for cut in 0..file.len() {
            assert!(Bundle::parse(file.get(..cut).unwrap_or_default()).is_err(), "{cut}");
        }
        Ok(())
    }

    #[test]
    fn what_has_two_meanings_is_refused() {
        let digest = Digest::of(b"");
        let table = [
            r#"{"files":{"a.ts":"1","a.ts":"2"}}"#,
            r#"{"files":{"a.ts":"1","\u0061.ts":"2"}}"#,
            r#"{"files":{},"files":{}}"#,
            r#"{"files":{},"more":1}"#,
            r#"{"files":{"../a.ts":"1"}}"#,
            r#"{"files":{"/etc/a.ts":"1"}}"#,
            r#"{"files":{"a//b.ts":"1"}}"#,
            r#"{"files":{"a\\..\\b.ts":"1"}}"#,
            r#"{"files":{}} {}"#,
        ];
        for text in table {
            assert!(Content::parse(text.as_bytes()).is_err(), "{text}");
        }
        let statement = format!(
            r#"{{"app":"shop","version":"1.0.0","sequence":1,"expiresMs":2,"digest":"{digest}","app":"bank"}}"#
        );
        assert_eq!(
            refusal(Statement::parse(statement.as_bytes())),
            "the statement of the bundle cannot be read: duplicate field `app` at line 1 column 140"
        );
        assert!(refusal(Content::parse(br#"{"files":{"a.ts":"1","a.ts":"2"}}"#)).contains("duplicate file `a.ts`"));
    }

    #[test]
    fn what_is_no_bundle_is_told_from_one_that_is_cut() {
        let table: [(&[u8], &str); 4] = [
            (b"", "this is no bundle of this format: `weir build` makes one"),
            (b"weir bundle 2\n\n{}\n", "this is no bundle of this format: `weir build` makes one"),
            (b"weir bundle 1\n", "the bundle is cut off: copy it again"),
            (b"weir bundle 1\n\n{}", "the bundle is cut off: copy it again"),
        ];
        for (bytes, expected) in table {
            assert_eq!(refusal(Bundle::parse(bytes)), expected);
        }
        assert!(refusal(Bundle::parse(&vec![b'w'; BUNDLE_BYTES_MAX + 1])).starts_with("a bundle has at most "));
    }
}
