//! What of a caller policies look at, so that a result which rested on them is kept for those alone who agree on it.

use std::collections::BTreeSet;

use weir_sandbox::protocol::Observed;
use weir_schema::caller::CallerSettings;

use super::expr::{Expr, Var};
use super::policies::Scope;
use super::value::Val;

/// The member of callers that holds the declared claims.
pub(super) const CLAIMS: &str = "claims";

/// Attributes of a caller. Its kind and its issuer count as looked at whatever these are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    subject: bool,
    roles: bool,
    scopes: bool,
    all_claims: bool,
    claims: BTreeSet<String>,
}

impl Attributes {
    pub(super) fn of(condition: &Expr) -> Self {
        let mut attributes = Self::default();
        attributes.look(condition);
        attributes
    }

    pub(super) fn of_scope(principal: &Scope) -> Self {
        Self { subject: matches!(principal, Scope::Is(_)), ..Self::default() }
    }

    pub(super) fn and(mut self, other: Self) -> Self {
        self.subject |= other.subject;
        self.roles |= other.roles;
        self.scopes |= other.scopes;
        self.all_claims |= other.all_claims;
        self.claims.extend(other.claims);
        self
    }

    fn look(&mut self, expr: &Expr) {
        match expr {
            // The whole of a caller is who it is.
            Expr::Var(Var::Principal) => self.subject = true,
            Expr::Is(of, _) if **of == Expr::Var(Var::Principal) => {}
            Expr::Attribute(of, name) if is_claims(of) => self.claim(name),
            Expr::Attribute(of, name) if **of == Expr::Var(Var::Principal) => self.name(name),
            Expr::Has(of, names) => match (&**of, names.first(), names.get(1)) {
                (of, Some(claim), _) if is_claims(of) => self.claim(claim),
                (Expr::Var(Var::Principal), Some(name), Some(claim)) if **name == *CLAIMS => self.claim(claim),
                (Expr::Var(Var::Principal), Some(name), _) => self.name(name),
                (of, ..) => self.reach(of),
            },
            Expr::Attribute(of, _) => self.reach(of),
            other => other.parts().into_iter().for_each(|part| self.look(part)),
        }
    }

    /// Something whose attribute is asked for. Where it may be the caller, by a way that is not followed here or by name, all of the
    /// caller counts.
    fn reach(&mut self, of: &Expr) {
        if may_be_caller(of) {
            (self.subject, self.roles, self.scopes, self.all_claims) = (true, true, true, true);
        }
        self.look(of);
    }

    fn claim(&mut self, name: &str) {
        self.claims.insert(name.to_owned());
    }

    fn name(&mut self, name: &str) {
        match name {
            "subject" => self.subject = true,
            "roles" => self.roles = true,
            "scopes" => self.scopes = true,
            CLAIMS => self.all_claims = true,
            // The issuer counts whatever is looked at, and others are not there.
            _ => {}
        }
    }

    /// What a run has looked at that was decided by them.
    pub(super) fn observed(&self, settings: &CallerSettings) -> Vec<Observed> {
        let mut observed = vec![Observed::Kind, Observed::Issuer];
        observed.extend(self.subject.then_some(Observed::Subject));
        observed.extend(self.roles.then_some(Observed::Roles));
        observed.extend(self.scopes.then_some(Observed::Scopes));
        for (place, name) in settings.claims.keys().enumerate() {
            if self.all_claims || self.claims.contains(name) {
                observed.extend(u8::try_from(place).ok().map(Observed::Claim));
            }
        }
        observed
    }
}

fn may_be_caller(expr: &Expr) -> bool {
    match expr {
        Expr::Var(Var::Principal) | Expr::Value(Val::Entity(_) | Val::Set(_) | Val::Record(_)) => true,
        other => other.parts().into_iter().any(may_be_caller),
    }
}

fn is_claims(expr: &Expr) -> bool {
    matches!(expr, Expr::Attribute(of, name) if **of == Expr::Var(Var::Principal) && **name == *CLAIMS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_who_is_reached_in_another_way_is_looked_at_whole() {
        let principal = || Expr::Var(Var::Principal);
        let plain = Attributes::of(&Expr::Attribute(Box::new(principal()), "roles".into()));
        assert_eq!(plain, Attributes { roles: true, ..Attributes::default() });
        let either = Expr::If(Box::new([Expr::TRUE, principal(), principal()]));
        let reached = Attributes::of(&Expr::Attribute(Box::new(either), "roles".into()));
        assert!(reached.subject && reached.roles && reached.scopes && reached.all_claims);
    }
}
