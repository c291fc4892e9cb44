//! Queries, views, procedures, actions and streams: their arguments and their result.

use oxc::ast::ast::*;
use oxc::span::{GetSpan, Span};
use weir_schema::declarations::{Function as Declared, FunctionKind, Keep};
use weir_schema::shape::{Member, Slot};

use super::exports::{Made, Maker};
use super::graph::{Graph, Meaning};
use super::literal;
use super::module::{Module, ValueDeclaration};
use super::report::{Report, Reported};
use super::typing::{Name, Ty, Types};
use super::{group_by, keep, view_index};

/// What is needed to read functions.
pub(super) struct Reader<'r, 'a, 'g> {
    pub graph: &'g Graph<'a>,
    pub types: &'r mut Types<'a, 'g>,
    pub report: &'g Report,
    /// The collections that could be read: path and name of the constant, and the name of the document's definition.
    pub collections: &'r [(&'a str, &'a str, String)],
}

/// A function as TypeScript has it.
struct Signature<'a, 'g> {
    /// Where it is written: its types are looked up there.
    module: &'g Module<'a>,
    parameters: &'a FormalParameters<'a>,
    result: Option<&'a TSType<'a>>,
    is_async: bool,
    is_generator: bool,
    is_generic: bool,
    span: Span,
}

impl<'a, 'g> Reader<'_, 'a, 'g> {
    /// Reads one function.
    pub(super) fn read(&mut self, made: &Made<'a, 'g>) -> Result<Declared, Reported> {
        let (mut groups, mut index) = (None, None);
        let (kind, arguments, result, keep) = match made.maker {
            Maker::Function(kind) => {
                let signature = self.signature(made)?;
                self.check_form(made, kind, &signature)?;
                let arguments = self.arguments(made, &signature);
                let result = self.result(made, kind, &signature);
                let (arguments, result) = (arguments?, result?);
                let keep = self.keep(made, kind, &arguments)?;
                (kind, arguments, result, keep)
            }
            Maker::Index => {
                let (arguments, page, over) = view_index::read(self, made)?;
                index = Some(over);
                (FunctionKind::View, arguments, page, Some(Keep::default()))
            }
            Maker::GroupBy | Maker::Collection | Maker::Endpoint => {
                let (rows, over) = group_by::read(self, made)?;
                groups = Some(over);
                (FunctionKind::View, Vec::new(), rows, Some(Keep::default()))
            }
        };
        let (module, span) = made.exported;
        Ok(Declared {
            name: made.name.to_owned(),
            kind,
            description: made.home.doc(made.statement),
            module: module.file.path.to_owned(),
            line: module.file.line(span.start),
            arguments,
            result,
            keep,
            groups,
            index,
        })
    }

    fn signature(&self, made: &Made<'a, 'g>) -> Result<Signature<'a, 'g>, Reported> {
        let Some(callback) = made.call.arguments.first().and_then(literal::argument) else {
            return Err(self.no_function(made, made.call.span));
        };
        if let Expression::Identifier(identifier) = callback {
            let meaning = self.graph.lookup(made.home, identifier.name.as_str());
            return match meaning {
                Some(Meaning::Declared(module, name)) => match module.values.get(name).map(|value| value.declaration) {
                    Some(ValueDeclaration::Function(function)) => Ok(of_function(module, function)),
                    Some(ValueDeclaration::Const(value)) => {
                        of_expression(module, value).ok_or_else(|| self.no_function(made, callback.span()))
                    }
                    _ => Err(self.no_function(made, callback.span())),
                },
                _ => Err(self.no_function(made, callback.span())),
            };
        }
        of_expression(made.home, callback).ok_or_else(|| self.no_function(made, callback.span()))
    }

    fn no_function(&self, made: &Made, span: Span) -> Reported {
        let message = format!("`{}` is not given a function", made.name);
        let help = "write (args: { … }): Result => …";
        self.report.error_with_help(made.home.file, span, message, help)
    }

    /// Checks what has nothing to do with types.
    fn check_form(
        &self,
        made: &Made<'a, 'g>,
        kind: FunctionKind,
        signature: &Signature<'a, 'g>,
    ) -> Result<(), Reported> {
        let file = signature.module.file;
        let error = |message: String, help: &str| Err(self.report.error_with_help(file, signature.span, message, help));
        let name = made.name;
        let is_stream = kind == FunctionKind::Stream;
        if is_stream && !(signature.is_async && signature.is_generator) {
            let help = "write stream(async function* (args: { … }): AsyncGenerator<Event> { … yield event; … })";
            return error(format!("`{name}` is a stream, but no async generator"), help);
        }
        if signature.is_generator && !is_stream {
            return error(format!("`{name}` is a generator"), "return a list, or make a stream of it");
        }
        if signature.is_async && !is_stream && kind != FunctionKind::Action {
            let message = format!("`{name}` is async, but a {} has nothing to wait for", kind.as_str());
            return error(message, "remove async and await: database calls are synchronous; only an action may fetch");
        }
        if signature.is_generic {
            return error(format!("`{name}` is generic, which GraphQL has no counterpart for"), "write the types out");
        }
        let allowed = if kind == FunctionKind::View { 2 } else { 1 };
        if let Some(extra) = made.call.arguments.get(allowed) {
            let message = format!("{} takes {allowed} argument{}", kind.as_str(), if allowed == 1 { "" } else { "s" });
            return Err(self.report.error(made.home.file, extra.span(), message));
        }
        Ok(())
    }

    fn arguments(&mut self, made: &Made<'a, 'g>, signature: &Signature<'a, 'g>) -> Result<Vec<Member>, Reported> {
        let file = signature.module.file;
        let parameters = signature.parameters;
        let help = "a function takes one object: (args: { customer: ID; limit?: Int })";
        if let Some(rest) = &parameters.rest {
            let message = format!("`{}` takes a list of arguments", made.name);
            return Err(self.report.error_with_help(file, rest.span, message, help));
        }
        let parameter = match parameters.items.as_slice() {
            [] => return Ok(Vec::new()),
            [parameter] => parameter,
            [_, second, ..] => {
                let message = format!("`{}` takes more than one parameter", made.name);
                return Err(self.report.error_with_help(file, second.span, message, help));
            }
        };
        match &parameter.type_annotation {
            Some(annotation) => self.types.arguments(Ty::new(signature.module, &annotation.type_annotation), made.name),
            None => {
                let message = format!("the arguments of `{}` have no type", made.name);
                Err(self.report.error_with_help(file, parameter.span, message, "write (args: { customer: ID })"))
            }
        }
    }

    fn result(
        &mut self,
        made: &Made<'a, 'g>,
        kind: FunctionKind,
        signature: &Signature<'a, 'g>,
    ) -> Result<Slot, Reported> {
        let Some(node) = signature.result else {
            let message = format!("`{}` does not say what it returns", made.name);
            let end = signature.parameters.span.end;
            let span = Span::new(end.saturating_sub(1), end);
            let help = match kind {
                FunctionKind::Action => "write the type after the parameters: (args: { … }): Promise<Result> => …",
                FunctionKind::Stream => {
                    "write the type after the parameters: (args: { … }): AsyncGenerator<Event> { … }"
                }
                _ => "write the type after the parameters: (args: { … }): Result => …",
            };
            return Err(self.report.error_with_help(signature.module.file, span, message, help));
        };
        let ty = Ty::new(signature.module, node);
        let ty = match kind {
            FunctionKind::Action => self.types.promised(ty)?,
            FunctionKind::Stream => self.types.yielded(ty)?,
            FunctionKind::Query | FunctionKind::View | FunctionKind::Procedure => ty,
        };
        Ok(self.types.typed(ty, &Name::anonymous(made.name, "result"))?.into_element())
    }

    fn keep(&self, made: &Made<'a, 'g>, kind: FunctionKind, arguments: &[Member]) -> Result<Option<Keep>, Reported> {
        match (kind, made.call.arguments.get(1)) {
            (FunctionKind::View, Some(options)) => {
                let keep = keep::read(made.home.file, options, self.report)?;
                let needed = arguments.iter().find(|argument| !argument.slot.optional && !argument.slot.nullable);
                if let (Keep::Eager | Keep::Cron(_), Some(needed)) = (&keep, needed) {
                    let which = if keep == Keep::Eager { "an eager view" } else { "a view with a schedule" };
                    let message =
                        format!("{which} is computed without a caller, but needs the argument `{}`", needed.name);
                    let help = "make the argument optional, or keep the view \"onDemand\"";
                    return Err(self.report.error_with_help(made.home.file, options.span(), message, help));
                }
                Ok(Some(keep))
            }
            (FunctionKind::View, None) => Ok(Some(Keep::default())),
            _ => Ok(None),
        }
    }
}

fn of_expression<'a, 'g>(module: &'g Module<'a>, expression: &'a Expression<'a>) -> Option<Signature<'a, 'g>> {
    match expression.get_inner_expression() {
        Expression::ArrowFunctionExpression(arrow) => Some(Signature {
            module,
            parameters: &arrow.params,
            result: arrow.return_type.as_ref().map(|annotation| &annotation.type_annotation),
            is_async: arrow.r#async,
            is_generator: false,
            is_generic: arrow.type_parameters.is_some(),
            span: Span::new(arrow.span.start, arrow.params.span.end),
        }),
        Expression::FunctionExpression(function) => Some(of_function(module, function)),
        _ => None,
    }
}

fn of_function<'a, 'g>(module: &'g Module<'a>, function: &'a Function<'a>) -> Signature<'a, 'g> {
    Signature {
        module,
        parameters: &function.params,
        result: function.return_type.as_ref().map(|annotation| &annotation.type_annotation),
        is_async: function.r#async,
        is_generator: function.generator,
        is_generic: function.type_parameters.is_some(),
        span: Span::new(function.span.start, function.params.span.end),
    }
}
