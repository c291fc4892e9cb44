//! Which functions use which collections and each other: what their code shows, and that of all helpers that it leads to.

use std::collections::{BTreeSet, HashMap, HashSet};

use weir_schema::declarations::Declarations;
use weir_schema::dependencies::{
    Certainty, CollectionNode, DependencyGraph, FunctionNode, Relation, written_by_deletion,
};

use super::exports::Made;
use super::uses::{Form, How, Items, Key};

/// The graph of an app of which everything is declared.
pub(super) fn read<'a>(
    items: &Items<'a>,
    functions: &[Made<'a, '_>],
    collections: &[Made<'a, '_>],
    declarations: &Declarations,
) -> DependencyGraph {
    let reader = Reader { items, declarations, functions: names(functions), collections: names(collections) };
    let nodes = functions.iter().filter_map(|made| Some((made, node(made, declarations)?)));
    DependencyGraph {
        functions: nodes.map(|(made, node)| reader.follow((made.home.file.path, made.local), node)).collect(),
        collections: declarations
            .collections
            .values()
            .map(|collection| CollectionNode { name: collection.name.clone(), place: collection.module.clone() })
            .collect(),
    }
}

/// Exported names by declaration.
fn names<'a>(made: &[Made<'a, '_>]) -> HashMap<Key<'a>, &'a str> {
    made.iter().map(|made| ((made.home.file.path, made.local), made.name)).collect()
}

fn node(made: &Made, declarations: &Declarations) -> Option<FunctionNode> {
    let endpoint = declarations.endpoints.iter().find(|endpoint| endpoint.function.name == made.name);
    let function = declarations.functions.get(made.name).or(endpoint.map(|endpoint| &endpoint.function))?;
    Some(FunctionNode {
        name: function.name.clone(),
        kind: function.kind,
        place: format!("{}:{}", function.module, function.line),
        answers: endpoint.map(|endpoint| format!("{} {}", endpoint.method.as_str(), endpoint.path.as_str())),
        crons: Vec::new(),
        uses: BTreeSet::new(),
    })
}

struct Reader<'r, 'a> {
    items: &'r Items<'a>,
    declarations: &'r Declarations,
    /// Exported names by declaration.
    functions: HashMap<Key<'a>, &'a str>,
    /// The same of collections.
    collections: HashMap<Key<'a>, &'a str>,
}

impl<'a> Reader<'_, 'a> {
    /// Adds what a function uses.
    fn follow(&self, start: Key<'a>, mut node: FunctionNode) -> FunctionNode {
        let mut queue = vec![start];
        let mut seen = HashSet::new();
        while let Some(key) = queue.pop() {
            for (index, item) in self.items.of(key) {
                let is_beside = key == start && item.form == Form::Statement;
                if is_beside || !seen.insert(index) {
                    continue;
                }
                for used in &item.uses {
                    if let Some(collection) = self.collections.get(&used.of) {
                        self.add_collection(&mut node, collection, used.how);
                    } else if let Some(function) = self.functions.get(&used.of) {
                        let (relation, certainty) = match used.how {
                            How::Called => (Relation::Calls, Certainty::Shown),
                            How::Scheduled => (Relation::Schedules, Certainty::Shown),
                            How::Member(_) | How::Grouped | How::Passed => (Relation::Calls, Certainty::Possible),
                        };
                        node.add(relation, function, certainty);
                    } else {
                        queue.push(used.of);
                    }
                }
            }
        }
        node
    }

    fn add_collection(&self, node: &mut FunctionNode, collection: &str, how: How) {
        match how {
            How::Grouped => node.add(Relation::Over, collection, Certainty::Shown),
            How::Member("insert" | "replace" | "patch") => node.add(Relation::Writes, collection, Certainty::Shown),
            How::Member("delete") => {
                for written in written_by_deletion(self.declarations, collection) {
                    node.add(Relation::Writes, written, Certainty::Shown);
                }
            }
            How::Member(_) => node.add(Relation::Reads, collection, Certainty::Shown),
            How::Called | How::Scheduled | How::Passed => {
                node.add(Relation::Reads, collection, Certainty::Possible);
                for written in written_by_deletion(self.declarations, collection) {
                    node.add(Relation::Writes, written, Certainty::Possible);
                }
            }
        }
    }
}
