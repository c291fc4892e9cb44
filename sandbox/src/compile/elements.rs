//! What a maintained view is over: `orders`, `orders.filter(…)`, `orders.flatMap((o) => o.lines)`, one after the other.

use oxc::ast::ast::{
    ArrowFunctionBody, BindingPattern, CallExpression, Expression, IdentifierReference, Statement,
    StaticMemberExpression, TSType,
};
use oxc::span::GetSpan;
use weir_schema::shape::{Member, ObjectDefinition, Shape, Slot};

use super::exports::{self, Made, Maker};
use super::functions::Reader;
use super::graph::{Graph, Meaning};
use super::literal;
use super::module::{Module, ValueDeclaration};
use super::report::{File, Report, Reported};

/// The elements that are grouped or sorted.
pub(super) struct Elements {
    /// The collection that they come from, by its exported name.
    pub collection: String,
    /// The type of one.
    pub definition: ObjectDefinition,
    /// The members that lead to them from a document: each holds a list.
    pub lists: Vec<String>,
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

/// Reads the source of a maintained view.
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
    let (list, definition) = listed(reader, file, callback, &elements.definition, selected)?;
    let lists = elements.lists.into_iter().chain([list]).collect();
    Ok(Elements { definition, lists, ..elements })
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
                    return Ok(Elements { collection: (*collection).to_owned(), definition, lists: Vec::new() });
                }
            }
            Some(Meaning::Broken) => return Err(report.follows()),
            _ => {}
        }
    }
    let maker = if made.maker == Maker::Index { "view.index" } else { "view.groupBy" };
    let message = format!("{maker} reads a collection, and this is none");
    let help = "name an exported collection, or filter(…) or flatMap(…) of one";
    Err(report.error_with_help(made.home.file, source.span(), message, help))
}

/// The selected member, and what the list in it holds. A list that may be absent has no elements then.
fn listed<'a>(
    reader: &Reader<'_, 'a, '_>,
    file: &File,
    callback: &Expression<'a>,
    owner: &ObjectDefinition,
    selected: Option<&Member>,
) -> Result<(String, ObjectDefinition), Reported> {
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
        Some((name, false)) => {
            let definition = reader.types.object_definition(name).ok_or_else(|| reader.report.follows())?;
            Ok((member.name.clone(), definition))
        }
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
    let Written { parameter, body, .. } = written(file, report, function)?;
    body.map_or(Ok(None), |body| member_of(file, report, object, parameter, body))
}

/// A function of an element as it is written.
pub(super) struct Written<'a> {
    /// The name of the element in it, if it has one.
    pub parameter: Option<&'a str>,
    /// The type after its parameters.
    pub result: Option<&'a TSType<'a>>,
    /// The expression that it gives, if that is all that it does.
    pub body: Option<&'a Expression<'a>>,
}

/// Takes a function of an element apart.
pub(super) fn written<'a>(file: &File, report: &Report, function: &'a Expression<'a>) -> Result<Written<'a>, Reported> {
    let (parameters, result, body) = match function {
        Expression::ArrowFunctionExpression(arrow) if !arrow.r#async => {
            (&arrow.params, &arrow.return_type, returned(&arrow.body))
        }
        Expression::FunctionExpression(function) if !function.r#async && !function.generator => {
            (&function.params, &function.return_type, None)
        }
        other => {
            let help = "write (o) => o.member, or an expression of o";
            return Err(report.error_with_help(file, other.span(), "a function must be written here", help));
        }
    };
    let parameter = match parameters.items.first().map(|parameter| &parameter.pattern) {
        Some(BindingPattern::BindingIdentifier(parameter)) => Some(parameter.name.as_str()),
        _ => None,
    };
    let result = result.as_ref().map(|annotation| &annotation.type_annotation);
    Ok(Written { parameter, result, body: body.map(Expression::get_inner_expression) })
}

/// The member of an element that an expression is; `None` for any other expression.
pub(super) fn member_of<'a, 'd>(
    file: &File,
    report: &Report,
    object: &'d ObjectDefinition,
    parameter: Option<&str>,
    expression: &'a Expression<'a>,
) -> Result<Option<&'d Member>, Reported> {
    let Expression::StaticMemberExpression(access) = expression else { return Ok(None) };
    match &access.object {
        Expression::Identifier(name) if Some(name.name.as_str()) == parameter => {
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

/// A member as a value of its own: null where the member is absent.
pub(super) fn always_there(member: &Member) -> Slot {
    Slot { shape: member.slot.shape.clone(), nullable: member.slot.may_be_null(), optional: false }
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
