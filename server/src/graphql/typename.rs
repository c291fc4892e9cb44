//! What the validator overlooks: it never looks at `__typename` fields, their arguments, directives and selections.
//!
//! So arguments and selections are refused here, and directives are moved to where it looks: for validation only,
//! `__typename @skip(if: $x)` becomes `... @skip(if: $x) { __typename }`.

use async_graphql::Positioned;
use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, Field, InlineFragment, Selection, SelectionSet,
};
use weir_schema::error::ErrorCode;

use super::GraphqlError;
use super::document::location;

/// Rewrites a document for the validator. Bounded by `document_depth`, which the document has been checked against.
pub fn expose(mut document: ExecutableDocument) -> Result<ExecutableDocument, GraphqlError> {
    match &mut document.operations {
        DocumentOperations::Single(operation) => expose_in(&mut operation.node.selection_set.node)?,
        DocumentOperations::Multiple(operations) => {
            for operation in operations.values_mut() {
                expose_in(&mut operation.node.selection_set.node)?;
            }
        }
    }
    for fragment in document.fragments.values_mut() {
        expose_in(&mut fragment.node.selection_set.node)?;
    }
    Ok(document)
}

fn expose_in(set: &mut SelectionSet) -> Result<(), GraphqlError> {
    for item in &mut set.items {
        match &mut item.node {
            Selection::Field(field) if field.node.name.node == "__typename" => {
                check(field)?;
                if !field.node.directives.is_empty() {
                    let directives = std::mem::take(&mut field.node.directives);
                    let bare = Positioned::new(Selection::Field(field.clone()), field.pos);
                    let selection_set = Positioned::new(SelectionSet { items: vec![bare] }, field.pos);
                    let inline = InlineFragment { type_condition: None, directives, selection_set };
                    item.node = Selection::InlineFragment(Positioned::new(inline, item.pos));
                }
            }
            Selection::Field(field) => expose_in(&mut field.node.selection_set.node)?,
            Selection::InlineFragment(inline) => expose_in(&mut inline.node.selection_set.node)?,
            Selection::FragmentSpread(_) => {}
        }
    }
    Ok(())
}

fn check(field: &Positioned<Field>) -> Result<(), GraphqlError> {
    let message = if let Some((name, _)) = field.node.arguments.first() {
        format!("Unknown argument \"{}\" on field \"__typename\".", name.node)
    } else if !field.node.selection_set.node.items.is_empty() {
        "Field \"__typename\" must not have a selection since type \"String!\" has no subfields.".to_owned()
    } else {
        return Ok(());
    };
    Err(GraphqlError::new(ErrorCode::GraphqlValidationFailed, message).at(location(field.pos)))
}
