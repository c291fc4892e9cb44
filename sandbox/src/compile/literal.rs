//! Options that must stand in the text: object literals, lists of strings, strings.

use oxc::ast::ast::{Argument, ArrayExpression, Expression, ObjectExpression, ObjectPropertyKind, PropertyKey};
use oxc::span::{GetSpan, Span};

use super::report::{File, Report, Reported};

/// A property of an object literal.
pub(super) struct Property<'a> {
    pub name: &'a str,
    pub span: Span,
    pub value: &'a Expression<'a>,
}

/// The expression of an argument, past `as const` and the like.
pub(super) fn argument<'a>(argument: &'a Argument<'a>) -> Option<&'a Expression<'a>> {
    argument.as_expression().map(Expression::get_inner_expression)
}

/// The properties of an object literal, each with a name that stands in the text.
pub(super) fn properties<'a>(
    file: &File,
    expression: &'a Expression<'a>,
    what: &str,
    report: &Report,
) -> Result<Vec<Property<'a>>, Reported> {
    let Expression::ObjectExpression(object) = expression.get_inner_expression() else {
        return Err(not_literal(file, expression.span(), what, report));
    };
    let ObjectExpression { properties, .. } = &**object;
    let mut found = Vec::with_capacity(properties.len());
    for property in properties {
        let (ObjectPropertyKind::ObjectProperty(property), span) = (property, property.span()) else {
            return Err(not_literal(file, property.span(), what, report));
        };
        let name = match &property.key {
            PropertyKey::StaticIdentifier(identifier) if !property.computed => identifier.name.as_str(),
            PropertyKey::StringLiteral(text) if !property.computed => text.value.as_str(),
            _ => return Err(not_literal(file, span, what, report)),
        };
        if property.method || property.shorthand {
            return Err(not_literal(file, span, what, report));
        }
        found.push(Property { name, span: property.key.span(), value: property.value.get_inner_expression() });
    }
    Ok(found)
}

/// The elements of an array literal.
pub(super) fn elements<'a>(
    file: &File,
    expression: &'a Expression<'a>,
    what: &str,
    report: &Report,
) -> Result<Vec<&'a Expression<'a>>, Reported> {
    let Expression::ArrayExpression(array) = expression.get_inner_expression() else {
        return Err(not_literal(file, expression.span(), what, report));
    };
    let ArrayExpression { elements, .. } = &**array;
    let elements = elements.iter().map(|element| match element.as_expression() {
        Some(element) => Ok(element.get_inner_expression()),
        None => Err(not_literal(file, element.span(), what, report)),
    });
    elements.collect()
}

/// A string literal.
pub(super) fn string<'a>(expression: &'a Expression<'a>) -> Option<&'a str> {
    match expression.get_inner_expression() {
        Expression::StringLiteral(text) => Some(text.value.as_str()),
        _ => None,
    }
}

fn not_literal(file: &File, span: Span, what: &str, report: &Report) -> Reported {
    let message = format!("{what} must be written out here, so that they are known before any code runs");
    report.error_with_help(file, span, message, "write a literal in place of the variable or expression")
}
