//! From a document's text to an operation that is valid for one schema.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::parser::types::{ExecutableDocument, OperationDefinition, OperationType};
use async_graphql::{Pos, Positioned};
use parking_lot::Mutex;
use weir_engine::usage::Tally;
use weir_schema::api::Api;
use weir_schema::error::ErrorCode;
use weir_schema::graphql::GraphqlSettings;

use super::compile::{Compiled, Conditions, Seen, compile};
use super::cost::Cost;
use super::error::Location;
use super::introspection::Types;
use super::plan::{OperationKind, Plan, Root, RootSource, Variable};
use super::template::{Literals, Template, Variables, variable_type};
use super::{GraphqlError, Schema, coordinates, scan, syntax};

/// Plans kept of one operation for different values of its conditions.
const PLANS_MAX: usize = 16;

/// A valid operation and its plans.
#[derive(Debug)]
pub struct Operation {
    /// What it is.
    pub kind: OperationKind,
    /// In the order of declaration.
    pub variables: Vec<Variable>,
    /// Whether it calls nothing: it asks for the schema and for names of types.
    pub only_introspects: bool,
    /// For plans that are still to be made.
    document: Option<ExecutableDocument>,
    name: Option<String>,
    seen: Seen,
    selections: usize,
    tokens: usize,
    /// By the values of the variables in `seen`; they are booleans, so that there are few.
    plans: Mutex<HashMap<Vec<bool>, Arc<Prepared>>>,
}

/// A plan, and what it costs.
#[derive(Debug)]
pub struct Prepared {
    /// What to run.
    pub plan: Plan,
    /// What that costs, but for what variables say.
    pub cost: Cost,
    /// How often it has run.
    pub tally: Arc<Tally>,
}

/// Parses a text within the limits. How many tokens it has comes with it.
pub fn parse(text: &str, limits: &GraphqlSettings) -> Result<(ExecutableDocument, usize), GraphqlError> {
    let tokens = scan::text(text, limits)?;
    let document = syntax::parse(text)?;
    scan::spread(&document, limits)?;
    Ok((document, tokens))
}

/// A place as our errors carry it.
pub fn location(pos: Pos) -> Location {
    Location { line: pos.line, column: pos.column }
}

/// The operation of this name, and its name; the only one where no name is given.
pub fn choose<'d>(
    document: &'d ExecutableDocument,
    name: Option<&str>,
) -> Result<(Option<&'d str>, &'d Positioned<OperationDefinition>), GraphqlError> {
    let mut operations =
        document.operations.iter().map(|(name, operation)| (name.map(|name| name.as_str()), operation));
    let bad = |message: String| GraphqlError::new(ErrorCode::BadRequest, message);
    match name {
        Some(wanted) => operations
            .find(|(name, _)| *name == Some(wanted))
            .ok_or_else(|| bad(format!("Unknown operation named \"{wanted}\"."))),
        None => match (operations.next(), operations.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(bad("The document has several operations: send operationName too.".into())),
        },
    }
}

/// The variables of an operation, their types known and their defaults coerced.
pub fn variables(api: &Api, operation: &OperationDefinition) -> Result<Vec<Variable>, GraphqlError> {
    let mut variables = Vec::with_capacity(operation.variable_definitions.len());
    for definition in &operation.variable_definitions {
        let at = location(definition.pos);
        let invalid = |message: String| GraphqlError::new(ErrorCode::GraphqlValidationFailed, message).at(at);
        let name = definition.node.name.node.to_string();
        let ty = variable_type(Types::of(api), &definition.node.var_type.node).map_err(invalid)?;
        let default = match &definition.node.default_value {
            None => None,
            Some(literal) => {
                let template = Literals::new(api, &[], &mut []).template(&ty, None, &literal.node.clone().into_value());
                match template.map_err(|message| invalid(format!("The default of ${name}: {message}")))? {
                    Template::Constant(value) => Some(value),
                    _ => return Err(invalid(format!("The default of ${name} cannot hold variables."))),
                }
            }
        };
        variables.push(Variable { name, ty, default, location: at });
    }
    Ok(variables)
}

impl Operation {
    /// Compiles one operation of a valid document, which has so many tokens.
    pub fn compile(
        schema: &Schema,
        document: ExecutableDocument,
        tokens: usize,
        name: Option<&str>,
    ) -> Result<Self, GraphqlError> {
        let (api, selections_max) = (&schema.api, schema.settings.document_selections);
        let (name, definition) = choose(&document, name)?;
        let kind = kind_of(definition.node.ty);
        let variables = variables(api, &definition.node)?;
        let compiled =
            compile(api, &document, &definition.node, kind, &variables, Conditions::Ignored, selections_max)?;
        let mut plans = HashMap::new();
        let Compiled { plan, seen, selections } = compiled;
        let only_introspects = plan.roots.iter().all(|root| !matches!(root.source, RootSource::Call(_)));
        if !seen.conditions {
            plans.insert(Vec::new(), Arc::new(prepare(schema, kind, plan)?));
        }
        let name = name.map(str::to_owned);
        // Where the plan is made, nobody needs the tree any more.
        let document = seen.conditions.then_some(document);
        let plans = Mutex::new(plans);
        Ok(Self { kind, variables, only_introspects, name, seen, selections, tokens, plans, document })
    }

    /// About how many bytes it holds, all plans that it may come to have included.
    pub fn bytes(&self, text: &str) -> u64 {
        /// Of a syntax tree, for each token.
        const TREE_BYTES: usize = 256;
        /// Of the values in a plan, for each token.
        const VALUE_BYTES: usize = 96;
        /// Of a plan, for each selection.
        const SELECTION_BYTES: usize = 256;
        let plans = if self.seen.conditions { PLANS_MAX.min(1 << self.seen.variables.len().min(8)) } else { 1 };
        let tree = if self.document.is_some() { self.tokens * TREE_BYTES } else { 0 };
        let plan = self.selections * SELECTION_BYTES + self.tokens * VALUE_BYTES + text.len();
        (text.len() * 2 + tree + plan * plans) as u64
    }

    /// The plan for these variables: compiled at the first use, then kept.
    pub fn plan(&self, schema: &Schema, variables: &Variables<'_>) -> Result<Arc<Prepared>, GraphqlError> {
        // Null, which there is no plan for, is told when the plan is made.
        let truth = |index: &usize| variables.get(*index).and_then(serde_json::Value::as_bool);
        let choice: Option<Vec<bool>> = self.seen.variables.iter().map(truth).collect();
        if let Some(known) = choice.as_ref().and_then(|choice| self.plans.lock().get(choice).cloned()) {
            return Ok(known);
        }
        let defect = || GraphqlError::new(ErrorCode::Internal, "the document of an operation is gone");
        let document = self.document.as_ref().ok_or_else(defect)?;
        let (_, definition) = choose(document, self.name.as_deref())?;
        let conditions = Conditions::Chosen(variables);
        let Compiled { plan, .. } = compile(
            &schema.api,
            document,
            &definition.node,
            self.kind,
            &self.variables,
            conditions,
            schema.settings.document_selections,
        )?;
        let prepared = Arc::new(prepare(schema, self.kind, plan)?);
        let mut plans = self.plans.lock();
        if let Some(choice) = choice
            && plans.len() < PLANS_MAX
        {
            plans.insert(choice, prepared.clone());
        }
        Ok(prepared)
    }
}

fn kind_of(ty: OperationType) -> OperationKind {
    match ty {
        OperationType::Query => OperationKind::Query,
        OperationType::Mutation => OperationKind::Mutation,
        OperationType::Subscription => OperationKind::Subscription,
    }
}

/// Sums up what a plan costs, and looks at what it asks of the schema.
fn prepare(schema: &Schema, kind: OperationKind, plan: Plan) -> Result<Prepared, GraphqlError> {
    let introspection = |root: &Root| match &root.source {
        RootSource::Schema { locations, .. } | RootSource::Type { locations, .. } => locations.first().copied(),
        RootSource::Typename(_) | RootSource::Call(_) => None,
    };
    if let Some(location) = plan.roots.iter().find_map(introspection) {
        if !schema.settings.introspection {
            let message = "the app does not tell its schema: introspection is off in its app.toml";
            return Err(GraphqlError::new(ErrorCode::GraphqlValidationFailed, message).at(location));
        }
        schema.prices.check_introspection(&plan)?;
    }
    let tally = schema.usage.tally(coordinates::of(&schema.api, kind, &plan));
    Ok(Prepared { cost: schema.prices.of(kind, &plan), tally, plan })
}
