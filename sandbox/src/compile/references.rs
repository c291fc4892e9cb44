//! What the documents of a collection refer to, and `onDelete`: what becomes of them when that is deleted.
//!
//! Rule: a `Ref<T>` in a document leads to one collection, the one that holds `T`.

use oxc::ast::ast::Expression;
use oxc::span::{GetSpan, Span};
use weir_schema::references::{self, OnDelete, Places, Reference};
use weir_schema::shape::{Member, ObjectDefinition};

use super::literal;
use super::report::{File, Report, Reported};
use super::typing::{DeclaredType, Types};

/// One property of `onDelete`.
pub(super) struct Policy<'a> {
    member: &'a str,
    span: Span,
    on_delete: OnDelete,
    /// The value in the text.
    chosen: Span,
}

/// Reads the object at `onDelete`.
pub(super) fn policies<'a>(
    file: &File,
    on_delete: &'a Expression<'a>,
    report: &Report,
) -> Result<Vec<Policy<'a>>, Reported> {
    let mut policies: Vec<Policy> = Vec::new();
    for property in literal::properties(file, on_delete, "the members in onDelete", report)? {
        let (member, span, chosen) = (property.name, property.span, property.value.span());
        let known = literal::string(property.value);
        let Some(on_delete) = OnDelete::ALL.into_iter().find(|policy| known == Some(policy.as_str())) else {
            let message = format!("`{}` is no choice of onDelete", chosen.source_text(file.text));
            let help = "write \"restrict\", \"cascade\" or \"setNull\"";
            return Err(report.error_with_help(file, chosen, message, help));
        };
        if policies.iter().any(|policy| policy.member == member) {
            let message = format!("`{member}` is twice in onDelete");
            return Err(report.error_with_help(file, span, message, "leave one of them out"));
        }
        policies.push(Policy { member, span, on_delete, chosen });
    }
    Ok(policies)
}

/// Reads the references of one collection.
pub(super) struct Reader<'r, 'a, 'g> {
    pub(super) file: &'r File<'r>,
    pub(super) declared: DeclaredType<'a, 'g>,
    pub(super) document: &'r ObjectDefinition,
    /// All collections, each with the name of its documents' type.
    pub(super) held: &'r [(&'r str, &'r str)],
    pub(super) report: &'r Report,
}

impl<'a, 'g> Reader<'_, 'a, 'g> {
    pub(super) fn read(&self, policies: Vec<Policy>, types: &mut Types<'a, 'g>) -> Result<Vec<Reference>, Reported> {
        let mut references = Vec::new();
        for member in &self.document.members {
            let policy = policies.iter().find(|policy| policy.member == member.name);
            for (document, places) in references::of(&|name| types.definition(name), member) {
                let target = self.target(member, &document, types)?;
                if let Some(policy) = policy.filter(|policy| policy.on_delete == OnDelete::SetNull) {
                    self.check_clearable(policy, member, &document, &places)?;
                }
                let on_delete = policy.map(|policy| policy.on_delete).unwrap_or_default();
                references.push(Reference { member: member.name.clone(), places, target, on_delete });
            }
        }
        policies.iter().try_for_each(|policy| self.check_reference(policy, &references))?;
        Ok(references)
    }

    /// The one collection that holds documents of a type.
    fn target(&self, member: &Member, document: &str, types: &mut Types<'a, 'g>) -> Result<String, Reported> {
        let holding = self.held.iter().filter(|(_, held)| *held == document).map(|(collection, _)| *collection);
        let holding: Vec<&str> = holding.collect();
        match holding.as_slice() {
            [target] => Ok((*target).to_owned()),
            // A type that no collection holds was refused where it is written.
            [] => Err(self.report.follows()),
            _ => {
                let place = types.member_place(self.declared, &member.name)?;
                let message = format!(
                    "`{}` refers to `{document}`, which more than one collection holds: {}",
                    member.name,
                    holding.join(", ")
                );
                let help = "a reference leads to one collection: give each a type of its own, or write ID";
                Err(self.report.error_with_help(place.file, place.span, message, help))
            }
        }
    }

    /// What is set to null has to allow it.
    fn check_clearable(
        &self,
        policy: &Policy,
        member: &Member,
        document: &str,
        places: &Places,
    ) -> Result<(), Reported> {
        if places.may_be_cleared() {
            return Ok(());
        }
        let name = &member.name;
        let (what, allow) = if places.is_whole_member() {
            (format!("`{name}`"), format!("{name}: Ref<{document}> | null"))
        } else if places.is_list() {
            (format!("an element of `{name}`"), format!("{name}: (Ref<{document}> | null)[]"))
        } else {
            (format!("a Ref<{document}> in `{name}`"), format!("Ref<{document}> | null"))
        };
        let message = format!("{what} cannot be set to null: its type does not allow it");
        let help = format!("declare {allow}, or choose \"restrict\" or \"cascade\"");
        Err(self.report.error_with_help(self.file, policy.chosen, message, help))
    }

    /// What is named in `onDelete` has to be a reference, or to hold one.
    fn check_reference(&self, policy: &Policy, references: &[Reference]) -> Result<(), Reported> {
        if references.iter().any(|reference| reference.member == policy.member) {
            return Ok(());
        }
        let message = match self.document.member(policy.member) {
            None => format!("`{}` has no member `{}`", self.document.name, policy.member),
            Some(_) => format!("`{}` is no reference", policy.member),
        };
        let mut names: Vec<&str> = references.iter().map(|reference| reference.member.as_str()).collect();
        names.dedup();
        let help = match names.as_slice() {
            [] => format!("onDelete is for members of a type Ref<T>, of which `{}` has none", self.document.name),
            names => format!("onDelete is for members of a type Ref<T>: {}", names.join(", ")),
        };
        Err(self.report.error_with_help(self.file, policy.span, message, help))
    }
}
