//! `view.groupBy(source, keyOf, aggregates)`: the type of its rows.

use oxc::ast::ast::{ArrowFunctionBody, BindingPattern, Expression, Statement};
use oxc::span::{GetSpan, Span};
use weir_schema::name::is_graphql_name;
use weir_schema::shape::{Member, ObjectDefinition, Shape, Slot};

use super::collections::has_order;
use super::exports::{Made, weir_name};
use super::functions::Reader;
use super::graph::Meaning;
use super::literal;
use super::report::{File, Reported};
use super::typing::Place;

/// Reads the type of the rows: a list of `{ key, …aggregates }`.
pub(super) fn read<'a, 'g>(reader: &mut Reader<'_, 'a, 'g>, made: &Made<'a, 'g>) -> Result<Slot, Reported> {
    let file = made.home.file;
    let report = reader.report;
    let [source, key_of, aggregates] = made.call.arguments.as_slice() else {
        let help = "write view.groupBy(orders, (o) => o.status, { orders: count() })";
        let message = "view.groupBy takes a collection, the key of a document, and aggregates";
        return Err(report.error_with_help(file, made.call.span, message, help));
    };
    let source_span = source.span();
    let (Some(source), Some(key_of), Some(aggregates)) =
        (literal::argument(source), literal::argument(key_of), literal::argument(aggregates))
    else {
        return Err(report.error(file, made.call.span, "the arguments must be written out here"));
    };
    let document = source_document(reader, made, source, source_span)?;
    let rows = Rows { reader, made, document: &document };
    let key = rows.key(key_of)?;
    let mut members = vec![Member { name: "key".to_owned(), description: None, slot: key, literal: None }];
    for property in literal::properties(file, aggregates, "the aggregates", report)? {
        if members.iter().any(|member| member.name == property.name) || !is_graphql_name(property.name) {
            let message = format!("an aggregate cannot be named `{}` here", property.name);
            let help = "choose a name of letters and digits that is not taken; `key` is the key of the row";
            return Err(report.error_with_help(file, property.span, message, help));
        }
        let slot = rows.aggregate(property.value)?;
        members.push(Member { name: property.name.to_owned(), description: None, slot, literal: None });
    }
    let place = Place { file, span: made.span };
    let row = reader.types.define_rows(made.name, place, members);
    Ok(Slot::required(Shape::List(Box::new(Slot::required(row)))))
}

fn source_document<'a, 'g>(
    reader: &Reader<'_, 'a, 'g>,
    made: &Made<'a, 'g>,
    source: &Expression,
    span: Span,
) -> Result<ObjectDefinition, Reported> {
    let report = reader.report;
    if let Expression::Identifier(identifier) = source {
        match reader.graph.lookup(made.home, identifier.name.as_str()) {
            Some(Meaning::Declared(module, name)) => {
                let known = reader.collections.iter().find(|known| (known.0, known.1) == (module.file.path, name));
                if let Some((_, _, document)) = known {
                    return reader.types.object_definition(document).ok_or_else(|| report.follows());
                }
            }
            Some(Meaning::Broken) => return Err(report.follows()),
            _ => {}
        }
    }
    let message = "view.groupBy reads a collection, and this is none";
    Err(report.error_with_help(made.home.file, span, message, "name an exported collection"))
}

struct Rows<'x, 'r, 'a, 'g> {
    reader: &'x Reader<'r, 'a, 'g>,
    made: &'x Made<'a, 'g>,
    document: &'x ObjectDefinition,
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

    fn aggregate(&self, value: &'a Expression<'a>) -> Result<Slot, Reported> {
        let report = self.reader.report;
        let help = "write count(), sum((o) => o.total), avg(…), min(…) or max(…), imported from \"weir\"";
        let Expression::CallExpression(call) = value else {
            return Err(report.error_with_help(self.file(), value.span(), "this is not an aggregate", help));
        };
        let name = weir_name(self.reader.graph, self.made.home, &call.callee);
        let selected = match call.arguments.as_slice() {
            [] => None,
            [one] => literal::argument(one),
            [_, more, ..] => return Err(report.error(self.file(), more.span(), "an aggregate takes one function")),
        };
        match (name, selected) {
            (Some("count"), None) => Ok(Slot::required(Shape::Int)),
            (Some("count"), Some(extra)) => {
                Err(report.error(self.file(), extra.span(), "count takes no argument: it counts every document"))
            }
            (Some("sum" | "avg"), Some(of)) => {
                self.selected(of)?;
                Ok(Slot::required(Shape::Float))
            }
            (Some("min" | "max"), Some(of)) => match self.selected(of)? {
                Some(member) if has_order(&member.slot.shape) => Ok(always_there(member)),
                Some(member) => {
                    let message = format!("`{}` has no least or greatest value", member.name);
                    let help = "take a string, a number, a boolean, an enum, an ID, a Ref or a DateTime";
                    Err(report.error_with_help(self.file(), of.span(), message, help))
                }
                None => Ok(Slot::required(Shape::Float)),
            },
            _ => Err(report.error_with_help(self.file(), value.span(), "this is not an aggregate", help)),
        }
    }

    /// The member that `(o) => o.member` selects; `None` for any other function.
    fn selected(&self, function: &'a Expression<'a>) -> Result<Option<&Member>, Reported> {
        let report = self.reader.report;
        let (parameters, body) = match function {
            Expression::ArrowFunctionExpression(arrow) if !arrow.r#async => (&arrow.params, returned(&arrow.body)),
            Expression::FunctionExpression(function) if !function.r#async && !function.generator => {
                (&function.params, None)
            }
            other => {
                let help = "write (o) => o.member, or an expression of o";
                return Err(report.error_with_help(self.file(), other.span(), "a function must be written here", help));
            }
        };
        let parameter = match parameters.items.first().map(|parameter| &parameter.pattern) {
            Some(BindingPattern::BindingIdentifier(parameter)) => parameter.name.as_str(),
            _ => return Ok(None),
        };
        let Some(Expression::StaticMemberExpression(access)) = body.map(Expression::get_inner_expression) else {
            return Ok(None);
        };
        match &access.object {
            Expression::Identifier(object) if object.name == parameter => {
                let name = access.property.name.as_str();
                self.document.member(name).map(Some).ok_or_else(|| {
                    let names: Vec<&str> = self.document.members.iter().map(|member| member.name.as_str()).collect();
                    let message = format!("`{}` has no member `{name}`", self.document.name);
                    let help = format!("it has {}", names.join(", "));
                    report.error_with_help(self.file(), access.property.span, message, help)
                })
            }
            _ => Ok(None),
        }
    }
}

/// The expression that an arrow function returns, if that is all that it does.
fn returned<'a>(body: &'a ArrowFunctionBody<'a>) -> Option<&'a Expression<'a>> {
    match body {
        ArrowFunctionBody::FunctionBody(block) => match block.statements.as_slice() {
            [Statement::ReturnStatement(statement)] => statement.argument.as_ref(),
            _ => None,
        },
        expression => expression.as_expression(),
    }
}

/// A member as a value of a row: null where the member is absent.
fn always_there(member: &Member) -> Slot {
    Slot { shape: member.slot.shape.clone(), nullable: member.slot.may_be_null(), optional: false }
}
