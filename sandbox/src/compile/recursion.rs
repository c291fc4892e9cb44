//! Views that read themselves through others.
//!
//! Refused where it shows: where functions call each other by name, also from plain functions that they call. What a
//! function does with another that it was given is not followed; that ends at the limit of how deep calls nest.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};

use oxc::span::Span;
use weir_schema::declarations::FunctionKind;

use super::exports::{Made, Maker};
use super::graph::Graph;
use super::report::Report;
use super::uses::{Form, How, Items, Key};

/// A call of a query or view: its place among them, and where the call stands.
struct Call<'a> {
    target: usize,
    path: &'a str,
    span: Span,
}

/// Checks the functions of an app.
pub(super) fn check<'a>(graph: &Graph<'a>, items: &Items<'a>, functions: &[Made<'a, '_>], report: &Report) {
    let reading: Vec<&Made> = functions.iter().filter(|made| reads(made.maker)).collect();
    let places: HashMap<Key, usize> =
        reading.iter().enumerate().map(|(place, made)| ((made.home.file.path, made.local), place)).collect();
    let calls: Vec<Vec<Call>> =
        reading.iter().map(|made| calls(items, &places, (made.home.file.path, made.local))).collect();
    let mut told = HashSet::new();
    for (view, made) in reading.iter().enumerate().filter(|(_, made)| is_view(made.maker)) {
        if told.contains(&view) {
            continue;
        }
        let Some(circle) = circle(&calls, view) else { continue };
        told.extend(circle.iter().map(|call| call.target));
        let names = circle.iter().filter_map(|call| reading.get(call.target)).map(|made| made.name);
        let way = std::iter::once(made.name).chain(names).collect::<Vec<_>>().join(" → ");
        if let Some(first) = circle.first()
            && let Some(module) = graph.module(first.path)
        {
            let message = format!("the view `{}` reads itself: {way}", made.name);
            let help = "put what calls itself into a plain function, or make these views queries";
            report.error_with_help(module.file, first.span, message, help);
        }
    }
}

fn is_view(maker: Maker) -> bool {
    matches!(maker, Maker::GroupBy | Maker::Index | Maker::Function(FunctionKind::View))
}

/// Whether it may be part of a circle with views: these call nothing that writes.
fn reads(maker: Maker) -> bool {
    is_view(maker) || maker == Maker::Function(FunctionKind::Query)
}

/// What a function calls, from its own code and from plain functions that this calls or hands on.
fn calls<'a>(items: &Items<'a>, places: &HashMap<Key<'a>, usize>, start: Key<'a>) -> Vec<Call<'a>> {
    let mut found = Vec::new();
    let mut queue = VecDeque::from([start]);
    let mut seen = HashSet::new();
    while let Some(key) = queue.pop_front() {
        for (index, item) in items.of(key) {
            let runs = match item.form {
                Form::Function => true,
                Form::Value => key == start,
                Form::Statement => false,
            };
            if !runs || !seen.insert(index) {
                continue;
            }
            for used in &item.uses {
                match places.get(&used.of) {
                    Some(target) if used.how == How::Called => {
                        found.push(Call { target: *target, path: item.path, span: used.span });
                    }
                    Some(_) => {}
                    None => queue.push_back(used.of),
                }
            }
        }
    }
    found
}

/// The shortest way from a function back to itself.
fn circle<'c, 'a>(calls: &'c [Vec<Call<'a>>], start: usize) -> Option<Vec<&'c Call<'a>>> {
    let mut came_by: HashMap<usize, (usize, &Call)> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(here) = queue.pop_front() {
        for call in calls.get(here).into_iter().flatten() {
            if let Entry::Vacant(free) = came_by.entry(call.target) {
                free.insert((here, call));
                queue.push_back(call.target);
            }
            if call.target == start {
                return way(&came_by, start);
            }
        }
    }
    None
}

/// The calls that lead from a function back to it.
fn way<'c, 'a>(came_by: &HashMap<usize, (usize, &'c Call<'a>)>, start: usize) -> Option<Vec<&'c Call<'a>>> {
    let mut way = Vec::new();
    let mut here = start;
    while way.is_empty() || here != start {
        let (from, call) = came_by.get(&here)?;
        way.push(*call);
        here = *from;
    }
    way.reverse();
    Some(way)
}
