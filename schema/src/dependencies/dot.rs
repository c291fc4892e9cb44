//! The graph in the language of Graphviz (<https://graphviz.org/doc/info/lang.html>).
//!
//! Every identifier is quoted, and functions and collections of one name are told apart by a prefix that nobody sees.

use std::fmt::Write;

use super::{Certainty, DependencyGraph, FunctionNode, Relation, Use};
use crate::declarations::FunctionKind;

/// Prints the graph of an app. Equal graphs print equal bytes.
pub fn dot(app: &str, graph: &DependencyGraph) -> String {
    let mut text = format!("digraph {} {{\n  rankdir = \"LR\";\n", quoted(app));
    for node in &graph.functions {
        let label = [&node.name].into_iter().chain(&node.answers).chain(&node.crons);
        let label = label.map(String::as_str).collect::<Vec<_>>().join("\n");
        let _ = writeln!(text, "  {} [label = {}, shape = {:?}];", id(node), quoted(&label), shape(node));
    }
    for node in &graph.collections {
        let _ = writeln!(
            text,
            "  {} [label = {}, shape = \"cylinder\"];",
            quoted(&format!("collection {}", node.name)),
            quoted(&node.name)
        );
    }
    for node in &graph.functions {
        for used in &node.uses {
            let _ = writeln!(text, "  {} -> {} [{}];", id(node), target(used), attributes(used));
        }
    }
    text.push_str("}\n");
    text
}

fn id(node: &FunctionNode) -> String {
    quoted(&format!("function {}", node.name))
}

fn target(used: &Use) -> String {
    let noun = if used.relation.is_of_collections() { "collection" } else { "function" };
    quoted(&format!("{noun} {}", used.target))
}

fn shape(node: &FunctionNode) -> &'static str {
    match node.kind {
        _ if node.answers.is_some() => "house",
        FunctionKind::Query => "ellipse",
        FunctionKind::View => "hexagon",
        FunctionKind::Procedure => "box",
        FunctionKind::Action => "component",
        FunctionKind::Stream => "cds",
    }
}

fn attributes(used: &Use) -> String {
    let style = match used.relation {
        Relation::Over | Relation::Reads => "solid",
        Relation::Writes => "bold",
        Relation::Calls => "dashed",
        Relation::Schedules => "dotted",
    };
    let relation = used.relation.as_str();
    match used.certainty {
        Certainty::Shown => format!("label = {relation:?}, style = {style:?}"),
        Certainty::Possible => format!("label = \"possibly {relation}\", style = {style:?}, color = \"gray\""),
    }
}

/// A string that is an identifier or a label, whatever it holds.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn whatever_a_name_holds_it_stays_one_string() {
        let table = [("orders", r#""orders""#), ("a \"b\" \\", r#""a \"b\" \\""#), ("a\nb", r#""a\nb""#)];
        for (text, expected) in table {
            assert_eq!(quoted(text), expected);
        }
    }
}
