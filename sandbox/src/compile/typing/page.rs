//! `Page<T>`, `Edge<T>` and `PageInfo`: ordinary objects, after the GraphQL cursor connections specification.

use weir_schema::shape::{Member, Shape, Slot};

use super::reference::Use;
use super::registry::{Origin, Place};
use super::{Name, Ty, Typed, Types};
use crate::compile::report::Reported;

impl<'a, 'g> Types<'a, 'g> {
    /// `Page<T>`: a connection, with its edges and its place.
    pub(super) fn page(&mut self, used: Use<'a, 'g>, node: Ty<'a, 'g>, name: &Name) -> Result<Typed, Reported> {
        let node = self.node(used, node, name)?;
        let (Shape::Object(base) | Shape::Union(base)) = &node else {
            return Err(self.report.follows());
        };
        let base = base.clone();
        let edge = Shape::List(Box::new(Slot::required(self.edge(used.place(), node))));
        let page_info = self.page_info(used.place());
        let members = vec![member("edges", Slot::required(edge)), member("pageInfo", Slot::required(page_info))];
        let connection = format!("{base}Connection");
        Ok(Typed::required(self.synthesize(Origin::Page(base), used.place(), &connection, members)))
    }

    /// What a page holds. The pages of a collection hold its documents, so `Page<Order>` means `Page<Doc<Order>>`.
    pub(super) fn node(&mut self, used: Use<'a, 'g>, node: Ty<'a, 'g>, name: &Name) -> Result<Shape, Reported> {
        let typed = match self.final_declaration(node)? {
            Some(declared) if self.documents.contains(&declared.key()) => {
                return Ok(Shape::Object(self.document(declared)?));
            }
            _ => self.typed(node, name)?,
        };
        match typed.slot {
            Slot { shape: shape @ (Shape::Object(_) | Shape::Union(_)), nullable: false, .. } => Ok(shape),
            _ => Err(self.error(node, format!("`{}` holds objects", used.text()), "write Page<Doc<T>>")),
        }
    }

    /// `Edge<T>`: a node with its cursor.
    pub(super) fn edge(&mut self, place: Place<'a, 'g>, node: Shape) -> Shape {
        let base = match &node {
            Shape::Object(name) | Shape::Union(name) => name.clone(),
            _ => String::new(),
        };
        let edge = format!("{base}Edge");
        let members = vec![member("node", Slot::required(node)), member("cursor", Slot::required(Shape::String))];
        self.synthesize(Origin::Edge(base), place, &edge, members)
    }

    /// `PageInfo`: one for all connections.
    pub(in crate::compile) fn page_info(&mut self, place: Place<'a, 'g>) -> Shape {
        let members = vec![
            member("hasNextPage", Slot::required(Shape::Boolean)),
            member("hasPreviousPage", Slot::required(Shape::Boolean)),
            member("startCursor", Slot::nullable(Shape::String)),
            member("endCursor", Slot::nullable(Shape::String)),
        ];
        self.synthesize(Origin::PageInfo, place, "PageInfo", members)
    }
}

fn member(name: &str, slot: Slot) -> Member {
    Member { name: name.to_owned(), description: None, slot, literal: None }
}
