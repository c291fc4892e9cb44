//! What a plan asks for, as schema coordinates: fields that it selects, arguments that it gives. Functions are counted where they are
//! called, whatever brings the call.

use std::collections::BTreeSet;

use weir_schema::api::{Api, BATCH, INVOKE};

use super::plan::{Complete, Completion, OperationKind, Plan, RootSource, Selected};

/// All that a plan asks for, each once: `Order.total`, `Query.ordersOf(limit:)`. What is on Query and Subscription is named by the
/// first.
pub fn of(api: &Api, kind: OperationKind, plan: &Plan) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for root in &plan.roots {
        let RootSource::Call(call) = &root.source else { continue };
        // What these call is counted there, and all apps have them alike.
        if matches!(call.field.as_str(), INVOKE | BATCH) {
            continue;
        }
        let on = match kind {
            OperationKind::Subscription if api.query.field(&call.field).is_some() => OperationKind::Query.root(),
            kind => kind.root(),
        };
        let given = call.arguments.iter().filter(|argument| argument.is_given);
        found.extend(given.map(|argument| format!("{on}.{}({}:)", call.field, argument.name)));
        completion(&call.completion, &mut found);
    }
    found
}

fn completion(of: &Completion, found: &mut BTreeSet<String>) {
    match &of.of {
        Complete::Scalar(_) | Complete::Enum(_) => {}
        Complete::List(element) => completion(element, found),
        Complete::Object(selected) => fields(selected, found),
        Complete::Union { alternatives, .. } => alternatives.iter().for_each(|(_, selected)| fields(selected, found)),
    }
}

fn fields(selected: &Selected, found: &mut BTreeSet<String>) {
    for member in selected.fields.iter().filter_map(|field| field.member.as_ref()) {
        found.insert(format!("{}.{}", selected.typename, member.name));
        completion(&member.completion, found);
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use weir_schema::graphql::GraphqlSettings;

    use crate::graphql::{Schema, fixture};

    const QUERIES: [&str; 4] = [
        "{ a: ordersOf(customer: 1) { id total lines { sku } } b: ordersOf(customer: 2, limit: 3) { total __typename } }",
        "subscription { lastTransfer { ... on Done { balance } ... on Refused { retry { balance } } } }",
        "mutation { transfer(from: 1, amount: 2) { __typename } }",
        "{ settings invoke(function: \"order\") __schema { queryType { name } } }",
    ];

    #[tokio::test]
    async fn a_plan_names_all_that_it_asks_for_once() {
        let schema = Schema::build(&fixture::shop(), &GraphqlSettings::default()).unwrap();
        let mut told = String::new();
        for text in QUERIES {
            let operation = schema.prepare(text, None).await.unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
            let variables =
                super::super::template::Variables::coerce(&schema.api, &operation.variables, Default::default());
            let prepared = operation.plan(&schema, &variables.unwrap()).unwrap();
            let found = super::of(&schema.api, operation.kind, &prepared.plan);
            told += &format!("{text}: {}.\n", found.into_iter().collect::<Vec<_>>().join(" "));
        }
        expect![[r#"
            { a: ordersOf(customer: 1) { id total lines { sku } } b: ordersOf(customer: 2, limit: 3) { total __typename } }: Line.sku Order.id Order.lines Order.total Query.ordersOf(customer:) Query.ordersOf(limit:).
            subscription { lastTransfer { ... on Done { balance } ... on Refused { retry { balance } } } }: Done.balance Refused.retry.
            mutation { transfer(from: 1, amount: 2) { __typename } }: Mutation.transfer(amount:) Mutation.transfer(from:).
            { settings invoke(function: "order") __schema { queryType { name } } }: .
        "#]]
        .assert_eq(&told);
    }
}
