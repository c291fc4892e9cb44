//! What actions may know and nobody may read: keys of other services, by name.
//!
//! The values come from the server's configuration. A release has those that its `app.toml` names and no others; a worker
//! gets one only when an action asks for it. They are wiped when they are dropped, are never shown, and are taken out of
//! the function log and of the errors that callers see. What an action does with one of its own will, as returning it, is
//! the author's to answer for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use weir_schema::limits::{SECRET_BYTES_MAX, SECRET_BYTES_MIN};
use weir_schema::outside::SecretName;
use zeroize::Zeroizing;

/// The beginning of a secret that is taken out where a text was cut in the middle of it, in bytes.
const BEGINNING_BYTES_MIN: usize = 4;

/// Secrets by name. Cheap to clone.
#[derive(Clone, Default)]
pub struct Secrets {
    values: Arc<BTreeMap<SecretName, Secret>>,
}

/// One secret.
struct Secret {
    value: Zeroizing<String>,
    /// How it may stand in text: as it is, inside of JSON, and each of its lines. The longest first.
    forms: Vec<Zeroizing<String>>,
}

/// Why a value is no secret. No message repeats anything of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// It would be found in text that has nothing to do with it.
    #[error("{0} is shorter than {SECRET_BYTES_MIN} bytes, so it cannot be kept out of logs")]
    Short(SecretName),
    /// Not a key of anything.
    #[error("{0} is longer than {SECRET_BYTES_MAX} bytes")]
    Long(SecretName),
}

/// An app names secrets that the configuration lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the app needs the secret{} {}: start the server with --secrets FILE that has {} {}=…, or with {} in its environment",
    plural(.0), list(.0, ""), if .0.len() == 1 { "a line" } else { "lines" }, list(.0, "") , list(.0, VARIABLE_PREFIX)
)]
pub struct Missing(pub Vec<SecretName>);

/// What the name of a variable of the environment begins with that holds a secret.
pub const VARIABLE_PREFIX: &str = "WEIR_SECRET_";

fn plural(names: &[SecretName]) -> &'static str {
    if names.len() == 1 { "" } else { "s" }
}

fn list(names: &[SecretName], prefix: &str) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{prefix}{name}")).collect();
    names.join(", ")
}

impl Secrets {
    /// Secrets from a configuration: the last value of a name stands.
    pub fn new(given: impl IntoIterator<Item = (SecretName, Zeroizing<String>)>) -> Result<Self, BadSecret> {
        let mut values = BTreeMap::new();
        for (name, value) in given {
            if value.len() < SECRET_BYTES_MIN {
                return Err(BadSecret::Short(name));
            }
            if value.len() > SECRET_BYTES_MAX {
                return Err(BadSecret::Long(name));
            }
            let forms = forms(&value);
            values.insert(name, Secret { value, forms });
        }
        Ok(Self { values: Arc::new(values) })
    }

    /// Those of these names.
    pub(crate) fn only(&self, names: &[SecretName]) -> Result<Self, Missing> {
        let missing: Vec<SecretName> = names.iter().filter(|name| !self.values.contains_key(*name)).cloned().collect();
        if !missing.is_empty() {
            return Err(Missing(missing));
        }
        let found = names.iter().filter_map(|name| Some((name.clone(), self.values.get(name)?.copy())));
        Ok(Self { values: Arc::new(found.collect()) })
    }

    /// The names of all that there are.
    pub fn names(&self) -> impl Iterator<Item = &SecretName> {
        self.values.keys()
    }

    /// The value of a secret.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let secret = self.values.iter().find(|(known, _)| known.as_str() == name)?.1;
        Some(secret.value.as_str())
    }

    /// A text in which the name of each secret stands for it.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        let forms = self.values.iter().flat_map(|(name, secret)| secret.forms.iter().map(move |form| (name, form)));
        let mut found: Vec<_> = forms.filter(|(_, form)| text.contains(form.as_str())).collect();
        // One secret may be a part of another.
        found.sort_by_key(|(_, form)| std::cmp::Reverse(form.len()));
        for (name, form) in found {
            text = Cow::Owned(text.replace(form.as_str(), &format!("[secret {name}]")));
        }
        text
    }

    /// The same for a text that may have been cut in places, as `…` there says: what stands before one may end with the
    /// beginning of a secret.
    pub(crate) fn redact_cut(&self, text: &str) -> String {
        let text = self.redact(text);
        let mut parts = text.split('…').peekable();
        let mut hidden = String::with_capacity(text.len());
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                hidden.push_str(part);
                break;
            }
            match self.values.iter().find_map(|(name, secret)| Some((name, secret.beginning_at_end_of(part)?))) {
                Some((name, before)) => hidden.push_str(&format!("{before}[secret {name}]…")),
                None => hidden.push_str(&format!("{part}…")),
            }
        }
        hidden
    }
}

impl Secret {
    fn copy(&self) -> Self {
        Self { value: self.value.clone(), forms: self.forms.clone() }
    }

    /// What stands before the longest beginning of this secret that a text ends with.
    fn beginning_at_end_of<'a>(&self, text: &'a str) -> Option<&'a str> {
        let before = |form: &Zeroizing<String>| {
            let lengths = (BEGINNING_BYTES_MIN..form.len()).rev();
            lengths.filter_map(|bytes| text.strip_suffix(form.get(..bytes)?)).next()
        };
        self.forms.iter().filter_map(before).min_by_key(|before| before.len())
    }
}

fn forms(value: &str) -> Vec<Zeroizing<String>> {
    let quoted = Zeroizing::new(serde_json::Value::from(value).to_string());
    let inside = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    let mut forms: Vec<Zeroizing<String>> = Vec::new();
    for form in [value, inside].into_iter().chain(value.lines()) {
        let is_new = forms.iter().all(|known| known.as_str() != form);
        if form.len() >= SECRET_BYTES_MIN && is_new {
            forms.push(Zeroizing::new(form.to_owned()));
        }
    }
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys().map(SecretName::as_str)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    fn secrets(given: &[(&str, &str)]) -> Result<Secrets, BadSecret> {
        Secrets::new(given.iter().map(|(key, value)| (name(key), Zeroizing::new((*value).to_owned()))))
    }

    #[test]
    fn secrets_are_taken_out_of_text() {
        let pem = "-----BEGIN KEY-----\nMIIBVgIBADANBg\nshort\n-----END KEY-----";
        let given = [("STRIPE_KEY", "sk_test_4eC39Hq"), ("QUOTED", "a\"b\\c\"d\\e"), ("PEM", pem)];
        let secrets = secrets(&given).unwrap_or_else(|error| panic!("{error}"));
        let table = [
            ("nothing here", "nothing here"),
            ("sk_test_4eC39Hq", "[secret STRIPE_KEY]"),
            ("a=sk_test_4eC39Hq&b=sk_test_4eC39Hq;", "a=[secret STRIPE_KEY]&b=[secret STRIPE_KEY];"),
            (r#"{"key":"a\"b\\c\"d\\e"}"#, r#"{"key":"[secret QUOTED]"}"#),
            (r#"a"b\c"d\e"#, "[secret QUOTED]"),
            (pem, "[secret PEM]"),
            ("the line MIIBVgIBADANBg of it", "the line [secret PEM] of it"),
            ("sk_test_4eC39H", "sk_test_4eC39H"),
        ];
        for (text, expected) in table {
            assert_eq!(secrets.redact(text), expected);
            assert_eq!(secrets.redact_cut(text), expected);
        }
        let nested = [("A_USER", "acct12345"), ("B_AUTH", "acct12345:hunter22")];
        let nested = self::secrets(&nested).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(nested.redact("acct12345 acct12345:hunter22"), "[secret A_USER] [secret B_AUTH]");
        assert_eq!(secrets.redact_cut("it was sk_test_4eC…"), "it was [secret STRIPE_KEY]…");
        assert_eq!(secrets.redact_cut("it was sk_…"), "it was sk_…");
        assert_eq!(secrets.redact_cut("it was sk_test_4eC39Hq…"), "it was [secret STRIPE_KEY]…");
        let twice = secrets.redact_cut("\"sk_test_4e…, not \"a\\\"b\\\\…, but sk_test_4…");
        assert_eq!(twice, "\"[secret STRIPE_KEY]…, not \"[secret QUOTED]…, but [secret STRIPE_KEY]…");
        assert_eq!(secrets.redact_cut("… and …"), "… and …");
    }

    #[test]
    fn an_app_has_the_secrets_that_it_names() {
        let all = secrets(&[("A_KEY", "12345678"), ("B_KEY", "abcdefgh")]).unwrap_or_else(|error| panic!("{error}"));
        let some = all.only(&[name("A_KEY")]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((some.get("A_KEY"), some.get("B_KEY"), some.get("a_key")), (Some("12345678"), None, None));
        // Another's is not this app's to hide.
        assert_eq!(some.redact("abcdefgh"), "abcdefgh");
        assert_eq!(format!("{all:?}"), r#"{"A_KEY", "B_KEY"}"#);
        let missing = all.only(&[name("C_KEY"), name("A_KEY")]).err().map(|error| error.to_string());
        assert_eq!(
            missing.as_deref(),
            Some(
                "the app needs the secret C_KEY: start the server with --secrets FILE that has a line C_KEY=…, or with \
                 WEIR_SECRET_C_KEY in its environment"
            )
        );
    }

    #[test]
    fn what_cannot_be_hidden_is_no_secret() {
        assert_eq!(secrets(&[("A", "1234567")]).err(), Some(BadSecret::Short(name("A"))));
        assert_eq!(secrets(&[("A", &"x".repeat(SECRET_BYTES_MAX + 1))]).err(), Some(BadSecret::Long(name("A"))));
    }
}
