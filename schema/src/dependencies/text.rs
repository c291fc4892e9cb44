//! The graph as text: functions with what they do, then collections with who does it to them.

use std::fmt::Write;

use super::{Certainty, CollectionNode, DependencyGraph, FunctionNode, Relation};

/// How wide the names of relations are: that of the longest, and what sets it off.
const LABEL_WIDTH: usize = 12;

/// Prints the graph. Equal graphs print equal bytes.
pub fn text(graph: &DependencyGraph) -> String {
    let functions = graph.functions.iter().map(function);
    let collections = graph.collections.iter().map(|node| collection(graph, node));
    functions.chain(collections).collect::<Vec<_>>().join("\n")
}

fn function(node: &FunctionNode) -> String {
    let FunctionNode { name, kind, place, answers, crons, .. } = node;
    let mut text = format!("{} {name} ({place})\n", kind.as_str());
    line(&mut text, "answers", answers.iter().cloned());
    line(&mut text, "runs at", crons.iter().cloned());
    for relation in Relation::ALL {
        let targets = node.used(relation).map(|used| named(&used.target, used.certainty));
        line(&mut text, relation.as_str(), targets);
    }
    text
}

fn collection(graph: &DependencyGraph, CollectionNode { name, place }: &CollectionNode) -> String {
    let mut text = format!("collection {name} ({place})\n");
    for (label, relation) in
        [("viewed by", Relation::Over), ("read by", Relation::Reads), ("written by", Relation::Writes)]
    {
        let users = graph.users(relation, name).map(|(function, certainty)| named(&function.name, certainty));
        line(&mut text, label, users);
    }
    text
}

fn line(text: &mut String, label: &str, names: impl Iterator<Item = String>) {
    let names = names.collect::<Vec<_>>().join(", ");
    if !names.is_empty() {
        let _ = writeln!(text, "  {label:LABEL_WIDTH$}{names}");
    }
}

fn named(name: &str, certainty: Certainty) -> String {
    match certainty {
        Certainty::Shown => name.to_owned(),
        Certainty::Possible => format!("{name} (possibly)"),
    }
}
