//! The graph of dependencies: strongly connected components and shortest paths.

use std::collections::{BTreeSet, HashSet, VecDeque};

use crate::verdict::Dependency;

/// What leads from one node to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edge<'h> {
    pub(crate) to: usize,
    pub(crate) dependency: Dependency,
    /// The list or item that it is about.
    pub(crate) key: &'h str,
}

/// Nodes are the transactions, and after them the instants that edges of real time go through.
#[derive(Debug, Clone)]
pub(crate) struct Graph<'h> {
    edges: Vec<Vec<Edge<'h>>>,
    known: HashSet<(usize, usize, Dependency)>,
}

impl<'h> Graph<'h> {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { edges: vec![Vec::new(); nodes], known: HashSet::new() }
    }

    pub(crate) fn nodes(&self) -> usize {
        self.edges.len()
    }

    pub(crate) fn add_node(&mut self) -> usize {
        self.edges.push(Vec::new());
        self.edges.len() - 1
    }

    /// Adds an edge and says whether it is new. A transaction does not depend on itself.
    pub(crate) fn add(&mut self, from: usize, to: usize, dependency: Dependency, key: &'h str) -> bool {
        let is_new = from != to && self.known.insert((from, to, dependency));
        if is_new {
            self.edges[from].push(Edge { to, dependency, key });
        }
        is_new
    }

    pub(crate) fn edges(&self) -> impl Iterator<Item = (usize, Edge<'h>)> {
        self.edges.iter().enumerate().flat_map(|(from, edges)| edges.iter().map(move |edge| (from, *edge)))
    }

    pub(crate) fn edges_of(&self, from: usize) -> &[Edge<'h>] {
        &self.edges[from]
    }

    /// The component of each node along some kinds of edges, by Tarjan's algorithm. Components are numbered so that
    /// edges between them lead to smaller numbers.
    pub(crate) fn components(&self, kinds: &[Dependency]) -> Components {
        Tarjan::new(self, kinds).run()
    }

    /// A shortest path along some kinds of edges, inside of one component.
    pub(crate) fn path(
        &self,
        from: usize,
        to: usize,
        kinds: &[Dependency],
        components: &Components,
    ) -> Option<Vec<(usize, Edge<'h>)>> {
        let inside = components.of[from];
        let mut came_by: Vec<Option<(usize, Edge<'h>)>> = vec![None; self.nodes()];
        let mut waiting = VecDeque::from([from]);
        while let Some(node) = waiting.pop_front() {
            if node == to {
                break;
            }
            for edge in self.edges[node].iter().filter(|edge| kinds.contains(&edge.dependency)) {
                if edge.to != from && components.of[edge.to] == inside && came_by[edge.to].is_none() {
                    came_by[edge.to] = Some((node, *edge));
                    waiting.push_back(edge.to);
                }
            }
        }
        let mut path = Vec::new();
        let mut node = to;
        while node != from {
            let (before, edge) = came_by[node]?;
            path.push((before, edge));
            node = before;
        }
        path.reverse();
        Some(path)
    }
}

/// Which nodes reach each other.
#[derive(Debug)]
pub(crate) struct Components {
    /// The component of each node.
    pub(crate) of: Vec<usize>,
    /// The nodes of each component.
    pub(crate) members: Vec<Vec<usize>>,
}

impl Components {
    /// Whether a node lies on a cycle.
    pub(crate) fn is_cyclic(&self, node: usize) -> bool {
        self.members[self.of[node]].len() > 1
    }
}

const UNSEEN: usize = usize::MAX;

/// Tarjan's algorithm with a stack of its own in place of recursion.
struct Tarjan<'a, 'h> {
    graph: &'a Graph<'h>,
    kinds: &'a [Dependency],
    /// The order in which nodes are met.
    met: Vec<usize>,
    /// The first met node that a node reaches.
    low: Vec<usize>,
    count: usize,
    /// Nodes whose component is open.
    open: Vec<usize>,
    components: Components,
}

impl<'a, 'h> Tarjan<'a, 'h> {
    fn new(graph: &'a Graph<'h>, kinds: &'a [Dependency]) -> Self {
        let unseen = vec![UNSEEN; graph.nodes()];
        let components = Components { of: unseen.clone(), members: Vec::new() };
        Self { graph, kinds, met: unseen.clone(), low: unseen, count: 0, open: Vec::new(), components }
    }

    fn run(mut self) -> Components {
        for root in 0..self.graph.nodes() {
            if self.met[root] == UNSEEN {
                self.visit(root);
            }
        }
        self.components
    }

    fn visit(&mut self, root: usize) {
        self.meet(root);
        let mut stack = vec![(root, 0)];
        while let Some((node, next)) = stack.last_mut() {
            let node = *node;
            let Some(edge) = self.graph.edges_of(node).get(*next) else {
                stack.pop();
                self.leave(node);
                if let Some((parent, _)) = stack.last() {
                    self.low[*parent] = self.low[*parent].min(self.low[node]);
                }
                continue;
            };
            *next += 1;
            if !self.kinds.contains(&edge.dependency) {
                continue;
            }
            if self.met[edge.to] == UNSEEN {
                self.meet(edge.to);
                stack.push((edge.to, 0));
            } else if self.components.of[edge.to] == UNSEEN {
                self.low[node] = self.low[node].min(self.met[edge.to]);
            }
        }
    }

    fn meet(&mut self, node: usize) {
        (self.met[node], self.low[node]) = (self.count, self.count);
        self.count += 1;
        self.open.push(node);
    }

    /// Closes the component that began with the node, if one did.
    fn leave(&mut self, node: usize) {
        if self.low[node] != self.met[node] {
            return;
        }
        let number = self.components.members.len();
        let begin = self.open.iter().rposition(|open| *open == node).unwrap_or(0);
        let members = self.open.split_off(begin);
        for member in &members {
            self.components.of[*member] = number;
        }
        self.components.members.push(members);
    }
}

/// Which of some chosen nodes each node reaches: a bit for each pair.
pub(crate) struct Reach {
    components: Components,
    /// The place of each chosen node in the rows of bits.
    columns: Vec<Option<usize>>,
    /// One row for each component.
    rows: Vec<Vec<u64>>,
}

impl Reach {
    pub(crate) fn new(graph: &Graph<'_>, kinds: &[Dependency], chosen: &BTreeSet<usize>) -> Self {
        let components = graph.components(kinds);
        let mut columns = vec![None; graph.nodes()];
        for (column, node) in chosen.iter().enumerate() {
            columns[*node] = Some(column);
        }
        let mut rows: Vec<Vec<u64>> = Vec::with_capacity(components.members.len());
        for (number, members) in components.members.iter().enumerate() {
            let mut row = vec![0; chosen.len().div_ceil(64)];
            for member in members {
                if let Some(column) = columns[*member] {
                    row[column / 64] |= 1 << (column % 64);
                }
                for edge in graph.edges_of(*member).iter().filter(|edge| kinds.contains(&edge.dependency)) {
                    // Edges lead to components that are done, or stay inside.
                    let next = components.of[edge.to];
                    if next != number {
                        row.iter_mut().zip(&rows[next]).for_each(|(bits, more)| *bits |= more);
                    }
                }
            }
            rows.push(row);
        }
        Self { components, columns, rows }
    }

    /// Whether there is a way from a node to a chosen one; there is one from each to itself.
    pub(crate) fn reaches(&self, from: usize, to: usize) -> bool {
        let row = &self.rows[self.components.of[from]];
        self.columns[to].is_some_and(|column| row[column / 64] & (1 << (column % 64)) != 0)
    }

    pub(crate) fn is_cyclic(&self, node: usize) -> bool {
        self.components.is_cyclic(node)
    }
}
