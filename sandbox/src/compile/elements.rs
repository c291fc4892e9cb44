//! What a view of groups is over: `orders`, `orders.filter(…)`, `orders.flatMap((o) => o.lines)`, one after the other.

use oxc::ast::ast::{
    ArrowFunctionBody, BindingPattern, CallExpression, Expression, IdentifierReference, Statement,
    StaticMemberExpression,
};
use oxc::span::GetSpan;
use weir_schema::shape::{Member, ObjectDefinition, Shape};

use super::exports::{self, Made, Maker};
use super::functions::Reader;
use super::graph::{Graph, Meaning};
use super::literal;
use super::module::{Module, ValueDeclaration};
use super::report::{File, Report, Reported};

/// The elements that are grouped.
pub(super) struct Elements {
    /// The collection that they come from, by its exported name.
    pub collection: String,
    /// The type of one.
    pub definition: ObjectDefinition,
    /// Whether they come from lists in documents.
    pub is_flat: bool,
}

/// Whether a method of a collection is a step from its documents to other elements.
pub(super) fn is_step(method: &str) -> bool {
    ["filter", "flatMap"].contains(&method)
}

/// The last step of a chain: the call, and its callee.
fn last_step<'e, 'a>(
    expression: &'e Expression<'a>,
) -> Option<(&'e CallExpression<'a>, &'e StaticMemberExpression<'a>)> {
    let Expression::CallExpression(call) = expression.get_inner_expression() else { return None };
    match call.callee.get_inner_expression() {
        Expression::StaticMemberExpression(member) if is_step(&member.property.name) => Some((call, member)),
        _ => None,
    }
}

/// The name that a chain of steps starts from, if it is that of a collection.
pub(super) fn collection<'e, 'a>(
    graph: &Graph<'a>,
    module: &Module<'a>,
    expression: &'e Expression<'a>,
) -> Option<&'e IdentifierReference<'a>> {
    let mut expression = expression;
    while let Some((_, member)) = last_step(expression) {
        expression = &member.object;
    }
    let Expression::Identifier(identifier) = expression.get_inner_expression() else { return None };
    let Meaning::Declared(home, name) = graph.lookup(module, identifier.name.as_str())? else { return None };
    let ValueDeclaration::Const(value) = home.values.get(name)?.declaration else { return None };
    let (maker, _) = exports::maker(graph, home, value)?;
    (maker == Maker::Collection).then_some(identifier)
}

/// Reads the source of a view of groups.
pub(super) fn read<'a, 'g>(
    reader: &Reader<'_, 'a, 'g>,
    made: &Made<'a, 'g>,
    source: &'a Expression<'a>,
) -> Result<Elements, Reported> {
    let Some((call, member)) = last_step(source) else {
        return documents(reader, made, source);
    };
    let elements = read(reader, made, &member.object)?;
    let method = member.property.name.as_str();
    let callback = match call.arguments.as_slice() {
        [one] => literal::argument(one),
        _ => None,
    };
    let file = made.home.file;
    let Some(callback) = callback else {
        let message = format!("{method} takes one function");
        let help = "write filter((o) => o.status === \"paid\") or flatMap((o) => o.lines)";
        return Err(reader.report.error_with_help(file, call.span, message, help));
    };
    let selected = selected(file, reader.report, &elements.definition, callback)?;
    if method == "filter" {
        return Ok(elements);
    }
    let definition = listed(reader, file, callback, &elements.definition, selected)?;
    Ok(Elements { definition, is_flat: true, ..elements })
}

fn documents<'a, 'g>(
    reader: &Reader<'_, 'a, 'g>,
    made: &Made<'a, 'g>,
    source: &'a Expression<'a>,
) -> Result<Elements, Reported> {
    let report = reader.report;
    if let Expression::Identifier(identifier) = source.get_inner_expression() {
        match reader.graph.lookup(made.home, identifier.name.as_str()) {
            Some(Meaning::Declared(module, name)) => {
                let known = reader.collections.iter().find(|known| (known.0, known.1) == (module.file.path, name));
                if let Some((_, collection, document)) = known {
                    let definition = reader.types.object_definition(document).ok_or_else(|| report.follows())?;
                    return Ok(Elements { collection: (*collection).to_owned(), definition, is_flat: false });
                }
            }
            Some(Meaning::Broken) => return Err(report.follows()),
            _ => {}
        }
    }
    let message = "view.groupBy reads a collection, and this is none";
    let help = "name an exported collection, or filter(…) or flatMap(…) of one";
    Err(report.error_with_help(made.home.file, source.span(), message, help))
}

/// What the list in the selected member holds. A list that may be absent has no elements then.
fn listed<'a>(
    reader: &Reader<'_, 'a, '_>,
    file: &File,
    callback: &Expression<'a>,
    owner: &ObjectDefinition,
    selected: Option<&Member>,
) -> Result<ObjectDefinition, Reported> {
    let is_list = |member: &&Member| matches!(object_in(member), Some((_, false)));
    let lists: Vec<&str> = owner.members.iter().filter(is_list).map(|member| member.name.as_str()).collect();
    let help = match lists.as_slice() {
        [] => format!("`{}` has no member that is a list of objects", owner.name),
        [first, ..] => format!("write (o) => o.{first}; lists of objects are {}", lists.join(", ")),
    };
    let error = |message: String| Err(reader.report.error_with_help(file, callback.span(), message, &*help));
    let Some(member) = selected else {
        return error(
            "this does not say of what type the elements are: it must be one member that is a list".to_owned(),
        );
    };
    match object_in(member) {
        Some((name, false)) => reader.types.object_definition(name).ok_or_else(|| reader.report.follows()),
        Some((_, true)) => error(format!("elements of `{}` may be null, which have no members", member.name)),
        None => error(format!("`{}` is no list of objects", member.name)),
    }
}

/// The type of the objects in a list, and whether they may be null.
fn object_in(member: &Member) -> Option<(&str, bool)> {
    match &member.slot.shape {
        Shape::List(element) => match &element.shape {
            Shape::Object(name) => Some((name, element.may_be_null())),
            _ => None,
        },
        _ => None,
    }
}

/// The member of an object that `(o) => o.member` selects; `None` for any other function.
pub(super) fn selected<'a, 'd>(
    file: &File,
    report: &Report,
    object: &'d ObjectDefinition,
    function: &'a Expression<'a>,
) -> Result<Option<&'d Member>, Reported> {
    let (parameters, body) = match function {
        Expression::ArrowFunctionExpression(arrow) if !arrow.r#async => (&arrow.params, returned(&arrow.body)),
        Expression::FunctionExpression(function) if !function.r#async && !function.generator => {
            (&function.params, None)
        }
        other => {
            let help = "write (o) => o.member, or an expression of o";
            return Err(report.error_with_help(file, other.span(), "a function must be written here", help));
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
        Expression::Identifier(name) if name.name == parameter => {
            let name = access.property.name.as_str();
            object.member(name).map(Some).ok_or_else(|| {
                let names: Vec<&str> = object.members.iter().map(|member| member.name.as_str()).collect();
                let message = format!("`{}` has no member `{name}`", object.name);
                let help = format!("it has {}", names.join(", "));
                report.error_with_help(file, access.property.span, message, help)
            })
        }
        _ => Ok(None),
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
