//! What results are kept under: what was asked, and so much of who asks as the result depends on.

use std::borrow::Cow;
use std::ops::BitOr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_sandbox::protocol::{Observed, ScriptCaller, more};
use weir_schema::limits::CLAIMS_MAX;

use crate::call::CALLER_KINDS;

/// What is asked: a function of a release with arguments.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct QueryKey {
    /// The release, by its number in this process.
    pub(crate) release: u64,
    /// The function, by its place in the declarations.
    pub(crate) function: usize,
    /// Checked arguments, as JSON text.
    pub(crate) arguments: Arc<str>,
    /// The function that called it, where what it may read is decided for that one.
    pub(crate) within: Option<Arc<str>>,
}

/// What of a caller can be looked at by itself: a bit for the kind, one for the subject, then one for each place in
/// [`ScriptCaller::more`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Claims(u32);

impl Claims {
    /// Nothing of it.
    pub(crate) const NONE: Self = Self(0);
    const KIND: Self = Self(1);
    const SUBJECT: Self = Self(2);
    /// All of it.
    pub(crate) const ALL: Self = Self(u32::MAX);
    /// The bit of the first place in [`ScriptCaller::more`].
    const MORE: u32 = 2;
    /// How many places there can be.
    const PLACES: usize = more::CLAIMS + CLAIMS_MAX;

    /// What stands at a place in [`ScriptCaller::more`]; all of the caller if nothing can.
    fn more(place: usize) -> Self {
        if place < Self::PLACES { Self(1 << Self::MORE << place) } else { Self::ALL }
    }

    /// Whether these are all among others.
    pub(crate) fn are_among(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }
}

// Each place has a bit.
const _: () = assert!(Claims::MORE as usize + Claims::PLACES < u32::BITS as usize);

impl BitOr for Claims {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Callers who get the same result: they agree on some claims.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Class {
    /// On which.
    pub(crate) claims: Claims,
    kind: Option<Cow<'static, str>>,
    subject: Option<String>,
    /// What stands at their places in [`ScriptCaller::more`], in order; nothing where the callers have no token.
    more: Vec<Box<str>>,
}

impl Class {
    /// Those who agree with a caller on the claims.
    pub(crate) fn of(caller: &ScriptCaller, claims: Claims) -> Self {
        let more = caller.more.iter().enumerate();
        let more = more.filter(|(place, _)| Claims::more(*place).are_among(claims)).map(|(_, text)| text.clone());
        Self {
            claims,
            kind: Claims::KIND.are_among(claims).then_some(Cow::Borrowed(caller.kind)),
            subject: caller.subject.clone().filter(|_| Claims::SUBJECT.are_among(claims)),
            more: more.collect(),
        }
    }

    /// One of them; `None` if they are of a kind that nobody is any more.
    pub(crate) fn caller(&self) -> Option<ScriptCaller> {
        let kind = match &self.kind {
            Some(kind) => CALLER_KINDS.into_iter().find(|known| known == kind)?,
            None => "anonymous",
        };
        let (mut known, mut more) = (self.more.iter(), Vec::new());
        for place in 0..Claims::PLACES {
            if known.len() == 0 {
                break;
            }
            let is_known = Claims::more(place).are_among(self.claims);
            more.push(if is_known { known.next().cloned()? } else { "null".into() });
        }
        Some(ScriptCaller { kind, subject: self.subject.clone(), more })
    }

    /// Whether a caller is one of them.
    pub(crate) fn has(&self, caller: &ScriptCaller) -> bool {
        *self == Self::of(caller, self.claims)
    }
}

/// What a run looked at that is neither an argument nor the store's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Looked {
    /// Of the caller.
    pub(crate) claims: Claims,
    /// Whether at the time or at randomness: such a result is nobody else's, and not the same later.
    pub(crate) is_volatile: bool,
}

impl Looked {
    /// Adds what somebody else has looked at.
    pub(crate) fn and(&mut self, other: Self) {
        self.claims = self.claims | other.claims;
        self.is_volatile |= other.is_volatile;
    }

    /// Notes one look.
    pub(crate) fn at(&mut self, observed: Observed) {
        match observed {
            Observed::Kind => self.claims = self.claims | Claims::KIND,
            Observed::Subject => self.claims = self.claims | Claims::SUBJECT,
            Observed::Issuer => self.claims = self.claims | Claims::more(more::ISSUER),
            Observed::Roles => self.claims = self.claims | Claims::more(more::ROLES),
            Observed::Scopes => self.claims = self.claims | Claims::more(more::SCOPES),
            Observed::Claim(place) => self.claims = self.claims | Claims::more(more::CLAIMS + usize::from(place)),
            Observed::Time | Observed::Randomness => self.is_volatile = true,
            // How deep calls nest is the same whenever the function is called by itself.
            Observed::Depth => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(subject: &str, more: &[&str]) -> ScriptCaller {
        ScriptCaller {
            kind: "user",
            subject: Some(subject.to_owned()),
            more: more.iter().map(|text| (*text).into()).collect(),
        }
    }

    #[test]
    fn callers_are_told_apart_by_what_was_looked_at_alone() {
        let (ada, bob) = (user("ada", &[]), user("bob", &[]));
        let nobody = ScriptCaller::without_token("anonymous");
        let mut looked = Looked::default();
        assert!(Class::of(&ada, looked.claims).has(&nobody));
        looked.at(Observed::Kind);
        assert!(Class::of(&ada, looked.claims).has(&bob) && !Class::of(&ada, looked.claims).has(&nobody));
        looked.at(Observed::Subject);
        assert!(Class::of(&ada, looked.claims).has(&ada) && !Class::of(&ada, looked.claims).has(&bob));
        assert!(!looked.is_volatile);
        looked.at(Observed::Randomness);
        assert!(looked.is_volatile);
    }

    #[test]
    fn each_claim_tells_callers_apart_by_itself() {
        let texts = [r#""a""#, r#"["x"]"#, "[]", "1", "2"];
        let looks = [Observed::Issuer, Observed::Roles, Observed::Scopes, Observed::Claim(0), Observed::Claim(1)];
        let ada = user("ada", &texts);
        for (place, look) in looks.into_iter().enumerate() {
            for other in 0..texts.len() {
                let mut changed = texts;
                changed[other] = "null";
                let mut looked = Looked::default();
                looked.at(look);
                let class = Class::of(&ada, looked.claims);
                assert_eq!(class.has(&user("bob", &changed)), place != other, "{look:?} and {other}");
                assert!(class.caller().is_some_and(|one| class.has(&one)), "{class:?}");
                assert!(!class.has(&ScriptCaller::without_token("anonymous")));
            }
        }
        let mut looked = Looked::default();
        looked.at(Observed::Claim(u8::MAX));
        assert_eq!(looked.claims, Claims::ALL, "what no app declares may be anything");
    }

    #[test]
    fn an_absent_claim_is_not_one_that_was_not_looked_at() {
        let nobody = ScriptCaller::without_token("anonymous");
        assert_ne!(Class::of(&nobody, Claims::SUBJECT), Class::of(&nobody, Claims::NONE));
    }
}
