//! `view.groupBy(source, keyOf, aggregates)`: what it is over, and the type of its rows.

use oxc::ast::ast::Expression;
use oxc::span::GetSpan;
use weir_schema::declarations::{Aggregate, Groups};
use weir_schema::limits::TOP_MAX;
use weir_schema::name::is_graphql_name;
use weir_schema::shape::{Member, Shape, Slot};

use super::collections::has_order;
use super::elements::{self, Elements, always_there};
use super::exports::{Made, weir_name};
use super::functions::Reader;
use super::literal;
use super::report::{File, Reported};
use super::typing::Place;

/// Reads what a view of groups is over, and the type of its rows: a list of `{ key, …aggregates }`.
pub(super) fn read<'a, 'g>(reader: &mut Reader<'_, 'a, 'g>, made: &Made<'a, 'g>) -> Result<(Slot, Groups), Reported> {
    let file = made.home.file;
    let report = reader.report;
    let [source, key_of, aggregates] = made.call.arguments.as_slice() else {
        let help = "write view.groupBy(orders, (o) => o.status, { orders: count() })";
        let message = "view.groupBy takes a collection, the key of a document, and aggregates";
        return Err(report.error_with_help(file, made.call.span, message, help));
    };
    let (Some(source), Some(key_of), Some(aggregates)) =
        (literal::argument(source), literal::argument(key_of), literal::argument(aggregates))
    else {
        return Err(report.error(file, made.call.span, "the arguments must be written out here"));
    };
    let elements = elements::read(reader, made, source)?;
    let rows = Rows { reader, made, elements: &elements };
    let key = rows.key(key_of)?;
    let mut members = vec![Member { name: "key".to_owned(), description: None, slot: key, literal: None }];
    let mut computed = Vec::new();
    for property in literal::properties(file, aggregates, "the aggregates", report)? {
        if members.iter().any(|member| member.name == property.name) || !is_graphql_name(property.name) {
            let message = format!("an aggregate cannot be named `{}` here", property.name);
            let help = "choose a name of letters and digits that is not taken; `key` is the key of the row";
            return Err(report.error_with_help(file, property.span, message, help));
        }
        let (aggregate, slot) = rows.aggregate(property.value)?;
        members.push(Member { name: property.name.to_owned(), description: None, slot, literal: None });
        computed.push((property.name.to_owned(), aggregate));
    }
    let place = Place { file, span: made.span };
    let row = reader.types.define_rows(made.name, place, members);
    let Elements { collection, lists, .. } = elements;
    let groups = Groups { collection, lists, aggregates: computed };
    Ok((Slot::required(Shape::List(Box::new(Slot::required(row)))), groups))
}

struct Rows<'x, 'r, 'a, 'g> {
    reader: &'x Reader<'r, 'a, 'g>,
    made: &'x Made<'a, 'g>,
    elements: &'x Elements,
}

impl<'a> Rows<'_, '_, 'a, '_> {
    fn file(&self) -> &File<'a> {
        self.made.home.file
    }

    /// The type of the key: that of the member for `(o) => o.member`, else a string.
    fn key(&self, key_of: &'a Expression<'a>) -> Result<Slot, Reported> {
        match self.selected(key_of)? {
            Some(member) if has_order(&member.slot.shape) => Ok(always_there(member)),
            Some(member) => {
                let message = format!("`{}` cannot be a key: its values have no order", member.name);
                let help = "take a string, a number, a boolean, an enum, an ID, a Ref or a DateTime";
                Err(self.reader.report.error_with_help(self.file(), key_of.span(), message, help))
            }
            None => Ok(Slot::required(Shape::String)),
        }
    }

    fn aggregate(&self, value: &'a Expression<'a>) -> Result<(Aggregate, Slot), Reported> {
        let report = self.reader.report;
        let help = "write count(), sum((o) => o.total), avg(…), min(…), max(…) or top(3, (o) => o.total), imported from \"weir\"";
        let Expression::CallExpression(call) = value else {
            return Err(report.error_with_help(self.file(), value.span(), "this is not an aggregate", help));
        };
        let name = weir_name(self.reader.graph, self.made.home, &call.callee);
        if name == Some("top") {
            return match call.arguments.as_slice() {
                [n, of] => self.top(literal::argument(n), literal::argument(of), value),
                _ => self.top(None, None, value),
            };
        }
        let selected = match call.arguments.as_slice() {
            [] => None,
            [one] => literal::argument(one),
            [_, more, ..] => return Err(report.error(self.file(), more.span(), "an aggregate takes one function")),
        };
        match (name, selected) {
            (Some("count"), None) => Ok((Aggregate::Count, Slot::required(Shape::Int))),
            (Some("count"), Some(extra)) => {
                Err(report.error(self.file(), extra.span(), "count takes no argument: it counts every document"))
            }
            (Some("sum"), Some(of)) => self.selected(of).map(|_| (Aggregate::Sum, Slot::required(Shape::Float))),
            (Some("avg"), Some(of)) => self.selected(of).map(|_| (Aggregate::Avg, Slot::required(Shape::Float))),
            (Some("min"), Some(of)) => Ok((Aggregate::Min, self.extreme(of)?)),
            (Some("max"), Some(of)) => Ok((Aggregate::Max, self.extreme(of)?)),
            _ => Err(report.error_with_help(self.file(), value.span(), "this is not an aggregate", help)),
        }
    }

    fn extreme(&self, of: &'a Expression<'a>) -> Result<Slot, Reported> {
        Ok(self.ordered(of)?.map_or_else(|| Slot::required(Shape::Float), always_there))
    }

    /// `top(n, of)`: a list of elements.
    fn top(
        &self,
        n: Option<&Expression<'a>>,
        of: Option<&'a Expression<'a>>,
        value: &Expression<'a>,
    ) -> Result<(Aggregate, Slot), Reported> {
        let report = self.reader.report;
        let help = "write top(3, (o) => o.total)";
        let (Some(n), Some(of)) = (n, of) else {
            let message = "top takes how many, and a function of a document";
            return Err(report.error_with_help(self.file(), value.span(), message, help));
        };
        let count = match n {
            Expression::NumericLiteral(number) => (1..=TOP_MAX).find(|count| f64::from(*count) == number.value),
            _ => None,
        };
        let Some(count) = count else {
            let message = format!("top takes a whole number from 1 to {TOP_MAX} that is written out here");
            return Err(report.error_with_help(self.file(), n.span(), message, help));
        };
        self.ordered(of)?;
        let element = Slot::required(Shape::Object(self.elements.definition.name.clone()));
        Ok((Aggregate::Top { n: count }, Slot::required(Shape::List(Box::new(element)))))
    }

    /// The selected member, if it is one, whose values must have an order.
    fn ordered(&self, of: &'a Expression<'a>) -> Result<Option<&Member>, Reported> {
        match self.selected(of)? {
            Some(member) if !has_order(&member.slot.shape) => {
                let message = format!("`{}` has no least or greatest value", member.name);
                let help = "take a string, a number, a boolean, an enum, an ID, a Ref or a DateTime";
                Err(self.reader.report.error_with_help(self.file(), of.span(), message, help))
            }
            selected => Ok(selected),
        }
    }

    fn selected(&self, function: &'a Expression<'a>) -> Result<Option<&Member>, Reported> {
        elements::selected(self.file(), self.reader.report, &self.elements.definition, function)
    }
}
