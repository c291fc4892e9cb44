//! How an app's GraphQL API answers: the `[graphql]` table of `app.toml`. Sizes are bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits::TEXT_BYTES_MAX;

/// The settings of the API and the bounds of what a request may ask. Past one of these it fails with `LIMIT_EXCEEDED` before
/// anything runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GraphqlSettings {
    /// Which documents run.
    pub documents: Documents,
    /// Whether clients may ask for the schema, and whether errors suggest names of it.
    pub introspection: bool,
    /// The text of a document.
    pub document_bytes: usize,
    /// Its tokens: names, numbers, strings, punctuation.
    pub document_tokens: usize,
    /// The longest of its names.
    pub document_name_bytes: usize,
    /// How deep its brackets nest, and how deep its selections nest with all fragments spread.
    pub document_depth: usize,
    /// Its operations and fragments together.
    pub document_definitions: usize,
    /// Its fields with an alias.
    pub document_aliases: usize,
    /// Its directives.
    pub document_directives: usize,
    /// The variables that it declares and uses, each time that it does.
    pub document_variables: usize,
    /// Its selections with all fragments spread.
    pub document_selections: usize,
    /// The fields of one operation's root with all fragments spread.
    pub root_fields: usize,
    /// The variables of a request as JSON text.
    pub variables_bytes: usize,
    /// What one operation may cost.
    pub cost: u64,
    /// How long a list counts whose length nothing tells.
    pub list_size: u64,
    /// What calls of functions cost, by name.
    pub costs: BTreeMap<String, u64>,
}

/// Which documents an app runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Documents {
    /// Any that a client sends.
    #[default]
    Any,
    /// Those alone that were pushed before (`weir documents push`).
    Trusted,
}

impl Default for GraphqlSettings {
    fn default() -> Self {
        Self {
            documents: Documents::default(),
            introspection: true,
            document_bytes: 256 << 10,
            document_tokens: 10_000,
            document_name_bytes: 255,
            document_depth: 48,
            document_definitions: 500,
            document_aliases: 1_000,
            document_directives: 500,
            document_variables: 1_000,
            document_selections: 10_000,
            root_fields: 200,
            variables_bytes: 16 << 20,
            cost: 1_000_000,
            list_size: 10,
            costs: BTreeMap::new(),
        }
    }
}

/// What a call costs of a function that only reads, unless the app says.
pub const READ_COST: u64 = 1;
/// What a call costs of a function that may write, unless the app says.
pub const WRITE_COST: u64 = 10;

/// Trusted documents of one data folder.
pub const TRUSTED_DOCUMENTS_MAX: usize = 10_000;
/// Their ids and texts together.
pub const TRUSTED_BYTES_MAX: usize = 16 << 20;
/// The longest id of one.
pub const TRUSTED_ID_BYTES_MAX: usize = 255;

/// The largest of the sizes: the parser has to hold what is let through.
pub const DOCUMENT_BYTES_MAX: usize = 16 << 20;
/// The largest of the numbers of things in a document.
pub const DOCUMENT_ITEMS_MAX: usize = 1_000_000;
/// The largest `document_depth`: what recurses on a document has a stack for more, and no client needs it.
pub const DOCUMENT_DEPTH_MAX: usize = 60;
/// The largest `cost`, `list_size` and cost of a call.
pub const COST_MAX: u64 = 1_000_000_000_000;

/// The first setting with a value that cannot be kept, and why.
pub(crate) fn out_of_range(settings: &GraphqlSettings) -> Option<(String, String)> {
    let GraphqlSettings {
        documents: _,
        introspection: _,
        document_bytes,
        document_tokens,
        document_name_bytes,
        document_depth,
        document_definitions,
        document_aliases,
        document_directives,
        document_variables,
        document_selections,
        root_fields,
        variables_bytes,
        cost,
        list_size,
        costs,
    } = settings;
    let sizes = [
        ("document_bytes", *document_bytes, 1, DOCUMENT_BYTES_MAX),
        ("document_tokens", *document_tokens, 1, DOCUMENT_ITEMS_MAX),
        ("document_name_bytes", *document_name_bytes, 1, DOCUMENT_BYTES_MAX),
        ("document_depth", *document_depth, 1, DOCUMENT_DEPTH_MAX),
        ("document_definitions", *document_definitions, 1, DOCUMENT_ITEMS_MAX),
        ("document_aliases", *document_aliases, 0, DOCUMENT_ITEMS_MAX),
        ("document_directives", *document_directives, 0, DOCUMENT_ITEMS_MAX),
        ("document_variables", *document_variables, 0, DOCUMENT_ITEMS_MAX),
        ("document_selections", *document_selections, 1, DOCUMENT_ITEMS_MAX),
        ("root_fields", *root_fields, 1, DOCUMENT_ITEMS_MAX),
        ("variables_bytes", *variables_bytes, 0, TEXT_BYTES_MAX),
    ];
    let sizes = sizes.map(|(name, value, least, most)| (name, value as u64, least, most as u64));
    let costs = costs.iter().map(|(name, cost)| (name.as_str(), *cost, 0, COST_MAX));
    let all =
        sizes.into_iter().chain([("cost", *cost, 1, COST_MAX), ("list_size", *list_size, 0, COST_MAX)]).chain(costs);
    for (name, value, least, most) in all {
        if value < least {
            return Some((name.to_owned(), format!("too small for anything to run: write {least} or more")));
        }
        if value > most {
            return Some((name.to_owned(), format!("more than can be kept: write {most} or less")));
        }
    }
    None
}
