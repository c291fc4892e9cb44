//! What an operation costs, told before it runs: about how many values its response has, and what its calls cost.
//!
//! A call costs what `[graphql.costs]` of `app.toml` says, otherwise [`READ_COST`], or [`WRITE_COST`] at the root of mutations;
//! so do the calls of `invoke` and `batch`. Each selected field costs 1, and each object. A list costs what one of its elements
//! does, times its length: the argument `first`, `last`, `limit` or `take` tells that of the list that the function returns,
//! and of lists that are members of an object which it returns; any other counts as `list_size`. That follows the cost
//! specification (<https://ibm.github.io/graphql-specs/cost-spec.html>), but for fields of scalars, which count too.
//!
//! All of it is summed up when the operation is compiled, but for what variables say.

use std::collections::BTreeMap;

use serde_json::Value;
use weir_schema::api::{Api, BATCH, INVOKE, NamedType};
use weir_schema::graphql::{GraphqlSettings, READ_COST, WRITE_COST};

use super::GraphqlError;
use super::plan::{Argument, Complete, Completion, OperationKind, Plan, RootCall, RootSource};
use super::template::{Template, Variables};

/// The arguments that tell how long a list is.
const LENGTHS: [&str; 4] = ["first", "last", "limit", "take"];

/// What one type or member of the schema may cost a client that asks for the schema. The usual queries for all of it cost
/// some sixty.
const INTROSPECTED_EACH: u64 = 200;

/// What things cost in one schema.
pub struct Prices {
    most: u64,
    list_size: u64,
    calls: BTreeMap<String, u64>,
    /// Types of the schema, and fields, arguments and values of all of them.
    types: u64,
    members: u64,
}

/// What is known of the cost of an operation before its variables are: one for each root field of its plan.
#[derive(Debug, PartialEq, Eq)]
pub struct Cost(Vec<Part>);

/// The cost of a root field.
#[derive(Debug, Default, PartialEq, Eq)]
struct Part {
    /// What it costs whatever the lists are that arguments tell the length of.
    once: u64,
    /// What each element of these costs.
    each: u64,
    /// The arguments that tell, by their place.
    lengths: Vec<usize>,
    /// Whose calls are known only from its arguments.
    calls: Calls,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Calls {
    /// Counted in what it costs once.
    #[default]
    Known,
    /// The function that the argument at this place names.
    Invoked(usize),
    /// Those of the list that is the argument at this place.
    Batch(usize),
}

/// How the lists of an operation are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lists {
    /// As parts of a response.
    Whole,
    /// Element by element: the list at the root counts as one of them.
    Lines,
}

impl Prices {
    /// What things cost in a schema with these settings.
    pub fn new(api: &Api, settings: &GraphqlSettings) -> Self {
        let of = |ty: &NamedType| match ty {
            NamedType::Object(object) => object.fields.len(),
            NamedType::Input(input) => input.fields.len(),
            NamedType::Enum(enumeration) => enumeration.values.len(),
            NamedType::Union(union) => union.alternatives.len(),
        };
        let roots = api.roots().into_iter().flat_map(|root| &root.fields);
        let members = api.types.values().map(of).sum::<usize>();
        let members = members + roots.map(|field| 1 + field.arguments.len()).sum::<usize>();
        /// Those that every schema has: roots, scalars, and the types of types.
        const OWN_TYPES: u64 = 20;
        Self {
            most: settings.cost,
            list_size: settings.list_size,
            calls: settings.costs.clone(),
            types: api.types.len() as u64 + OWN_TYPES,
            members: members as u64 + 5 * OWN_TYPES,
        }
    }

    /// Sums up a plan.
    pub fn of(&self, kind: OperationKind, plan: &Plan) -> Cost {
        let part = |source: &RootSource| match source {
            RootSource::Typename(_) | RootSource::Schema { .. } | RootSource::Type { .. } => {
                Part { once: 1, ..Part::default() }
            }
            RootSource::Call(call) => self.part(kind, call),
        };
        Cost(plan.roots.iter().map(|root| part(&root.source)).collect())
    }

    fn part(&self, kind: OperationKind, call: &RootCall) -> Part {
        let place = |name: &str| call.arguments.iter().position(|argument| argument.name == name);
        let lengths: Vec<usize> = LENGTHS.into_iter().filter_map(place).collect();
        let calls = match call.field.as_str() {
            INVOKE => place("function").map(Calls::Invoked),
            BATCH => place("calls").map(Calls::Batch),
            _ => None,
        };
        let Below { once, each } = self.below(&call.completion, Level::Root);
        let known = if calls.is_none() { self.call(kind, &call.field) } else { 0 };
        Part { once: once.saturating_add(known).saturating_add(1), each, lengths, calls: calls.unwrap_or_default() }
    }

    fn call(&self, kind: OperationKind, function: &str) -> u64 {
        let usual = if kind == OperationKind::Mutation { WRITE_COST } else { READ_COST };
        self.calls.get(function).copied().unwrap_or(usual)
    }

    /// What a value costs.
    fn below(&self, completion: &Completion, level: Level) -> Below {
        match &completion.of {
            Complete::Scalar(_) | Complete::Enum(_) => Below::default(),
            Complete::List(element) => {
                let of_element = self.below(element, Level::Inside).once.max(1);
                match level {
                    Level::Root | Level::Member => Below { once: 0, each: of_element },
                    Level::Inside => Below { once: of_element.saturating_mul(self.list_size), each: 0 },
                }
            }
            Complete::Object(selected) => self.object(selected, level),
            Complete::Union { alternatives, .. } => {
                let costs = alternatives.iter().map(|(_, selected)| self.object(selected, level));
                costs.fold(Below::default(), |most, cost| Below {
                    once: most.once.max(cost.once),
                    each: most.each.max(cost.each),
                })
            }
        }
    }

    fn object(&self, selected: &super::plan::Selected, level: Level) -> Below {
        let level = if level == Level::Root { Level::Member } else { Level::Inside };
        let mut sum = Below { once: 1, each: 0 };
        for field in &selected.fields {
            let below =
                field.member.as_ref().map_or_else(Below::default, |member| self.below(&member.completion, level));
            sum.once = sum.once.saturating_add(below.once).saturating_add(1);
            sum.each = sum.each.saturating_add(below.each);
        }
        sum
    }

    /// What an operation costs with these variables, unless that is too much.
    pub fn check(
        &self,
        kind: OperationKind,
        plan: &Plan,
        cost: &Cost,
        variables: &Variables<'_>,
        lists: Lists,
    ) -> Result<u64, GraphqlError> {
        let total = self.total(kind, plan, cost, variables, lists);
        if total <= self.most {
            return Ok(total);
        }
        let message = format!(
            "the operation costs {total} and may cost {}: ask for shorter lists or fewer fields at once",
            self.most
        );
        Err(GraphqlError::limit("cost", message))
    }

    fn total(&self, kind: OperationKind, plan: &Plan, cost: &Cost, variables: &Variables<'_>, lists: Lists) -> u64 {
        let parts = plan.roots.iter().zip(&cost.0);
        parts.fold(0_u64, |sum, (root, part)| {
            let RootSource::Call(call) = &root.source else { return sum.saturating_add(part.once) };
            let argument = |place: usize| call.arguments.get(place);
            let length = || {
                let told = part.lengths.iter().filter_map(|place| length(argument(*place)?, variables)).max();
                told.unwrap_or(self.list_size)
            };
            let elements = match lists {
                Lists::Lines => 1,
                Lists::Whole if part.each == 0 => 0,
                Lists::Whole => length(),
            };
            let calls = match part.calls {
                Calls::Known => 0,
                Calls::Invoked(place) => {
                    let name = argument(place).and_then(|argument| given(&argument.value, variables));
                    self.named(kind, name)
                }
                Calls::Batch(place) => argument(place).map_or(0, |calls| self.batch(kind, &calls.value, variables)),
            };
            sum.saturating_add(part.once).saturating_add(calls).saturating_add(part.each.saturating_mul(elements))
        })
    }

    /// What a call of a function that may write costs by itself.
    pub fn written(&self, function: &str) -> u64 {
        self.call(OperationKind::Mutation, function)
    }

    fn named(&self, kind: OperationKind, function: Option<&Value>) -> u64 {
        self.call(kind, function.and_then(Value::as_str).unwrap_or_default())
    }

    /// What the calls of a batch cost.
    fn batch(&self, kind: OperationKind, calls: &Template, variables: &Variables<'_>) -> u64 {
        let one = |call: &Template| match call {
            Template::Object(fields) => {
                let field = fields.iter().find(|field| field.name == "function");
                self.named(kind, field.and_then(|field| given(&field.value, variables)))
            }
            call => self.named(kind, given(call, variables).and_then(|call| call.get("function"))),
        };
        match calls {
            Template::List(calls) => calls.iter().fold(0, |sum: u64, call| sum.saturating_add(one(call))),
            calls => {
                let calls = given(calls, variables).and_then(Value::as_array);
                let costs = calls.into_iter().flatten().map(|call| self.named(kind, call.get("function")));
                costs.fold(0, u64::saturating_add)
            }
        }
    }

    /// Refuses introspection that gives much more than the schema has: its lists may be asked for under many names.
    pub fn check_introspection(&self, plan: &Plan) -> Result<(), GraphqlError> {
        let costs = plan.roots.iter().map(|root| match &root.source {
            RootSource::Schema { completion, .. } | RootSource::Type { completion, .. } => {
                self.introspected("", completion)
            }
            RootSource::Typename(_) | RootSource::Call(_) => 0,
        });
        let cost = costs.fold(0, u64::saturating_add);
        let most = self.types.saturating_add(self.members).saturating_mul(INTROSPECTED_EACH);
        if cost <= most {
            return Ok(());
        }
        let message = format!("asking for the schema in this way gives some {cost} values and may give {most}");
        Err(GraphqlError::limit("introspection", message))
    }

    /// About how many values a member of this name gives of something in the schema.
    fn introspected(&self, name: &str, completion: &Completion) -> u64 {
        let length = match name {
            "types" => self.types,
            "fields" | "inputFields" | "enumValues" | "possibleTypes" => self.members.div_ceil(self.types),
            "args" => 2,
            "directives" => 5,
            _ => 1,
        };
        self.introspected_once(completion).saturating_add(1).saturating_mul(length)
    }

    fn introspected_once(&self, completion: &Completion) -> u64 {
        let selected = match &completion.of {
            Complete::Object(selected) => selected,
            Complete::List(element) => return self.introspected_once(element),
            Complete::Scalar(_) | Complete::Enum(_) | Complete::Union { .. } => return 0,
        };
        let members = selected.fields.iter().map(|field| match &field.member {
            Some(member) => self.introspected(&member.name, &member.completion),
            None => 1,
        });
        members.fold(0, u64::saturating_add)
    }
}

/// Where a value stands, for the lists in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// It is what a function returns that is told a length.
    Root,
    /// It is a member of an object which such a function returns.
    Member,
    /// Anywhere else.
    Inside,
}

/// What a value costs whatever arguments say, and each element of lists that they tell the length of.
#[derive(Default)]
struct Below {
    once: u64,
    each: u64,
}

/// Names each function that an operation calls, as often as it does: what cannot be one is named too.
pub fn functions(plan: &Plan, variables: &Variables<'_>, name: &mut dyn FnMut(&str)) {
    for root in &plan.roots {
        let RootSource::Call(call) = &root.source else { continue };
        let argument = |wanted: &str| call.arguments.iter().find(|argument| argument.name == wanted);
        match call.field.as_str() {
            INVOKE => {
                let function = argument("function").and_then(|argument| given(&argument.value, variables));
                function.and_then(Value::as_str).into_iter().for_each(&mut *name);
            }
            BATCH => argument("calls").into_iter().for_each(|calls| batched(&calls.value, variables, name)),
            function => name(function),
        }
    }
}

fn batched(calls: &Template, variables: &Variables<'_>, name: &mut dyn FnMut(&str)) {
    let of_value = |call: &Value, name: &mut dyn FnMut(&str)| {
        call.get("function").and_then(Value::as_str).into_iter().for_each(name);
    };
    let of_call = |call: &Template, name: &mut dyn FnMut(&str)| match call {
        Template::Object(fields) => {
            let field = fields.iter().find(|field| field.name == "function");
            let function = field.and_then(|field| given(&field.value, variables)).and_then(Value::as_str);
            function.into_iter().for_each(name);
        }
        call => given(call, variables).into_iter().for_each(|call| of_value(call, name)),
    };
    match calls {
        Template::List(calls) => calls.iter().for_each(|call| of_call(call, name)),
        Template::Object(_) => of_call(calls, name),
        calls => match given(calls, variables) {
            Some(Value::Array(calls)) => calls.iter().for_each(|call| of_value(call, name)),
            // One in the place of a list is a list of one.
            Some(call) => of_value(call, name),
            None => {}
        },
    }
}

/// What an argument without lists and objects of variables is.
fn given<'v>(template: &'v Template, variables: &'v Variables<'_>) -> Option<&'v Value> {
    match template {
        Template::Constant(value) => Some(value),
        Template::Variable { index, .. } => variables.get(*index),
        Template::List(_) | Template::Object(_) => None,
    }
}

/// The length that an argument tells, if it is given.
fn length(argument: &Argument, variables: &Variables<'_>) -> Option<u64> {
    let value = given(&argument.value, variables).or(argument.default.as_ref())?.as_f64()?;
    // Lengths past what a float holds exactly are past all limits; what is below zero may mean anything.
    (value >= 0.0).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Schema, fixture};
    use super::*;

    /// What an operation costs with these variables.
    async fn cost(schema: &Schema, query: &str, variables: Value, lists: Lists) -> u64 {
        let operation = schema.prepare(query, None).await.unwrap_or_else(|errors| panic!("{query}: {errors:?}"));
        let given = variables.as_object().cloned().unwrap_or_default();
        let variables = Variables::coerce(&schema.api, &operation.variables, given);
        let variables = variables.unwrap_or_else(|errors| panic!("{query}: {errors:?}"));
        let prepared = operation.plan(schema, &variables).unwrap_or_else(|error| panic!("{query}: {error:?}"));
        schema.prices.total(operation.kind, &prepared.plan, &prepared.cost, &variables, lists)
    }

    #[tokio::test]
    async fn an_operation_costs_its_calls_and_what_they_may_give() {
        let costs = [("settings".to_owned(), 100), ("transfer".to_owned(), 0)];
        let settings = GraphqlSettings { list_size: 7, costs: costs.into(), ..GraphqlSettings::default() };
        let schema = Schema::build(&fixture::shop(), &settings).unwrap_or_else(|error| panic!("{error}"));
        let batch = "mutation($c: [CallInput!]!) { batch(calls: $c) { value } }";
        let table = [
            ("{ __typename }", json!({}), 1),
            // A field, a call.
            ("{ countOrders }", json!({}), 2),
            ("{ a: countOrders b: countOrders }", json!({}), 4),
            // An object and two fields besides.
            ("{ order(id: 1) { id total } }", json!({}), 5),
            // A list in it: seven objects of two fields each.
            ("{ order(id: 1) { lines { sku quantity } } }", json!({}), 2 + 1 + 1 + 7 * 3),
            ("{ ordersOf(customer: 1) { id } }", json!({}), 2 + 7 * 2),
            ("{ ordersOf(customer: 1, limit: 20) { id } }", json!({}), 2 + 20 * 2),
            ("query($n: Int) { ordersOf(customer: 1, limit: $n) { id } }", json!({ "n": 30 }), 2 + 30 * 2),
            ("query($n: Int) { ordersOf(customer: 1, limit: $n) { id } }", json!({ "n": null }), 2 + 7 * 2),
            ("query($n: Int = 3) { ordersOf(customer: 1, limit: $n) { id } }", json!({}), 2 + 3 * 2),
            ("{ ordersOf(customer: 1, limit: 0) { id } }", json!({}), 2),
            // Below zero may mean anything.
            ("{ ordersOf(customer: 1, limit: -5) { id } }", json!({}), 2 + 7 * 2),
            ("{ ordersOf(customer: 1, limit: 4) { lines { sku } } }", json!({}), 2 + 4 * (1 + 1 + 7 * 2)),
            // The dearest alternative of a union.
            ("{ lastTransfer { ... on Done { kind balance } ... on Refused { kind } } }", json!({}), 2 + 1 + 2),
            ("{ settings }", json!({}), 101),
            ("mutation { transfer(from: 1, amount: 2) { __typename } }", json!({}), 1 + 2),
            ("{ invoke(function: \"settings\") }", json!({}), 101),
            ("query($f: String!) { invoke(function: $f) }", json!({ "f": "settings" }), 101),
            ("mutation { invoke(function: \"placeOrder\") }", json!({}), 11),
            // A call of 10, one of nothing, and results of a list that nothing tells the length of.
            (batch, json!({ "c": [{ "function": "placeOrder" }, { "function": "transfer" }] }), 1 + 10 + 7 * 2),
            ("mutation { batch(calls: [{ function: \"placeOrder\" }]) { value } }", json!({}), 1 + 10 + 7 * 2),
        ];
        for (query, variables, expected) in table {
            assert_eq!(cost(&schema, query, variables, Lists::Whole).await, expected, "{query}");
        }
        let open = "mutation($f: String!) { batch(calls: [{ function: $f }, { function: $f }]) { value } }";
        assert_eq!(cost(&schema, open, json!({ "f": "placeOrder" }), Lists::Whole).await, 1 + 20 + 7 * 2);
        let lines = "{ ordersOf(customer: 1, limit: 1000000) { id } }";
        assert_eq!(cost(&schema, lines, json!({}), Lists::Lines).await, 2 + 2);
        assert_eq!(cost(&schema, "{ ordersOf(customer: 1) { id } }", json!({}), Lists::Lines).await, 2 + 2);
    }

    #[tokio::test]
    async fn an_operation_may_cost_so_much_and_no_more() {
        let settings = GraphqlSettings { cost: 42, ..GraphqlSettings::default() };
        let schema = Schema::build(&fixture::shop(), &settings).unwrap_or_else(|error| panic!("{error}"));
        let query = "query($n: Int) { ordersOf(customer: 1, limit: $n) { id } }";
        let operation = schema.prepare(query, None).await.unwrap_or_else(|errors| panic!("{errors:?}"));
        let refused = |n: i64| {
            let given = json!({ "n": n }).as_object().cloned().unwrap_or_default();
            let started = super::super::execute::start(&schema, &operation, given, Lists::Whole);
            started.err().map(|errors| errors.iter().map(|error| error.message.clone()).collect::<String>())
        };
        assert_eq!(refused(20), None);
        let message = "the operation costs 44 and may cost 42: ask for shorter lists or fewer fields at once";
        assert_eq!(refused(21).as_deref(), Some(message));
        assert!(refused(i64::from(i32::MAX)).is_some());
    }

    #[tokio::test]
    async fn the_schema_is_told_once_and_not_without_end() {
        let schema = Schema::build(&fixture::shop(), &GraphqlSettings::default());
        let schema = schema.unwrap_or_else(|error| panic!("{error}"));
        let usual = include_str!("tests/introspection.graphql");
        let many: String = (0..300).map(|i| format!("t{i}: types {{ fields {{ args {{ name }} }} }} ")).collect();
        let table = [
            (usual.to_owned(), None),
            ("{ __schema { types { fields { type { fields { name } } } } } }".to_owned(), None),
            (format!("{{ __schema {{ {many} }} }}"), Some("introspection")),
            (format!("{{ __schema {{ ...F }} }} fragment F on __Schema {{ {many} }}"), Some("introspection")),
        ];
        for (query, limit) in table {
            let refused = schema.prepare(&query, None).await.err();
            let refused =
                refused.map(|errors| errors.iter().filter_map(|error| error.extensions.limit).collect::<String>());
            assert_eq!(refused.as_deref(), limit, "{query}");
        }
    }
}
