//! HTTP endpoints: `export const payHook = http.post("/hooks/pay", action(async (request) => …))`.

use oxc::ast::ast::{CallExpression, Expression};
use oxc::span::GetSpan;
use weir_schema::declarations::{Function, FunctionKind};
use weir_schema::endpoints::{Endpoint, HttpMethod, PathPattern};
use weir_schema::shape::{Shape, Slot};

use super::exports::{Made, Maker, callee};
use super::graph::Graph;
use super::literal;
use super::module::Module;
use super::report::{Report, Reported};

const FORM: &str = "write http.post(\"/path\", action(async (request: HttpRequest): Promise<HttpResponse> => …))";

/// The call of `action` inside of one that makes an endpoint.
pub(super) fn action_of<'a>(
    graph: &Graph<'a>,
    module: &Module<'a>,
    call: &'a CallExpression<'a>,
) -> Option<&'a CallExpression<'a>> {
    if callee(graph, module, &call.callee) != Some(Maker::Endpoint) {
        return None;
    }
    let Expression::CallExpression(inner) = literal::argument(call.arguments.get(1)?)? else { return None };
    let makes = callee(graph, module, &inner.callee);
    (makes == Some(Maker::Function(FunctionKind::Action))).then_some(&**inner)
}

/// Reads one endpoint. `others` are those before it: no two answer the same requests.
pub(super) fn read<'a>(
    graph: &Graph<'a>,
    made: &Made<'a, '_>,
    others: &[Endpoint],
    report: &Report,
) -> Result<Endpoint, Reported> {
    let file = made.home.file;
    let wrong = |span, message: String, help: &str| Err(report.error_with_help(file, span, message, help));
    let written = match made.call.callee.get_inner_expression() {
        Expression::StaticMemberExpression(member) => member.property.name.as_str(),
        _ => "",
    };
    let known = HttpMethod::ALL.into_iter().find(|method| method.as_str().to_ascii_lowercase() == written);
    let Some(method) = known else {
        return wrong(made.call.callee.span(), "`http` has get, post, put, patch and delete".to_owned(), FORM);
    };
    let first = made.call.arguments.first();
    let Some((first, path)) = first.and_then(|first| Some((first, literal::string(literal::argument(first)?)?))) else {
        return wrong(
            made.call.span,
            format!("the path of `{}` must be written out here, as a string", made.name),
            FORM,
        );
    };
    let path = match PathPattern::parse(path) {
        Ok(path) => path,
        Err(bad) => return wrong(first.span(), bad.to_string(), "choose another path"),
    };
    let inner = action_of(graph, made.home, made.call).filter(|inner| inner.arguments.len() == 1);
    if inner.is_none() || made.call.arguments.len() != 2 {
        return wrong(made.call.span, format!("`{}` is not given an action", made.name), FORM);
    }
    let is_same = |other: &&Endpoint| other.method == method && other.path.shape() == path.shape();
    if let Some(Endpoint { function, .. }) = others.iter().find(is_same) {
        let message = format!("a second endpoint answers {} {}", method.as_str(), path.as_str());
        let help = format!("the first is `{}` at {}:{}", function.name, function.module, function.line);
        return wrong(first.span(), message, &help);
    }
    let (module, span) = made.exported;
    let function = Function {
        name: made.name.to_owned(),
        kind: FunctionKind::Action,
        description: made.home.doc(made.statement),
        module: module.file.path.to_owned(),
        line: module.file.line(span.start),
        arguments: Vec::new(),
        result: Slot::required(Shape::Json),
        keep: None,
        groups: None,
        index: None,
    };
    Ok(Endpoint { function, method, path })
}
