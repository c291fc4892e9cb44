//! The apps in `examples/`.

use std::path::Path;

use expect_test::expect;

use super::show;
use crate::app::App;
use crate::compile::{Sources, compile};
use crate::diagnostic::Style;

fn compile_example(name: &str) -> App {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    let sources = Sources::read(&folder).unwrap_or_else(|error| panic!("{error}"));
    compile(&sources).unwrap_or_else(|diagnostics| {
        let rendered: Vec<String> = diagnostics.iter().map(|diagnostic| diagnostic.render(Style::Plain)).collect();
        panic!("{}", rendered.join("\n"))
    })
}

#[test]
fn atlas() {
    let declarations = compile_example("atlas").declarations;
    assert!(declarations.collections.keys().eq(["countries", "cities"]), "{:?}", declarations.collections.keys());
}

#[test]
fn shop() {
    let app = compile_example("shop");
    let order: Vec<&str> = app.modules.iter().map(|module| module.path.as_str()).collect();
    assert_eq!(order, ["collections.ts", "functions/customers.ts", "functions/orders.ts"]);
    expect![[r#"
        collection customers: Customer CustomerValue unique(email)
        collection orders: Order OrderValue index(customer, at) index(status, at) index(at) customer->customers(cascade)
        query customerByEmail(email: String): Customer | null "The customer with this e-mail address, if there is one."
        procedure addCustomer(name: String, email: String, tier?: CustomerTier): Customer "Adds a customer. Fails with a conflict if the e-mail address is taken."
        procedure removeCustomer(id: Id): Boolean "Removes a customer with all orders. Says whether there was one."
        procedure seed(): Counts "Fills an empty shop with the same few customers and orders every time."
        query ordersOf(customer: Id, limit?: Int): [Order] "Orders of one customer, newest first."
        query ordersPage(first?: Int, after?: String, last?: Int, before?: String): OrderConnection "All orders, newest first, page by page."
        view revenueByDay(): [RevenueByDayRow] "Revenue per day, kept up to date as orders change."
          over orders revenue=Sum orders=Count
        procedure placeOrder(customer: Id, total: Float): Order "Places an order for an existing customer."
        procedure payOrder(id: Id): Order "Marks an open order as paid."
        type CustomerValue / CustomerInput { name: String, email: String "Unique: two customers never share an address.", tier: CustomerTier } "Somebody who orders."
        enum CustomerTier { free, pro }
        type Customer / CustomerInput { id: Id, name: String, email: String "Unique: two customers never share an address.", tier: CustomerTier } "Somebody who orders."
        type OrderValue / OrderInput { customer: Ref<Customer>, total: Float "In the shop's currency, never negative.", status: OrderStatus, at: DateTime } "One order of one customer."
        enum OrderStatus { open, paid }
        type Order / OrderInput { id: Id, customer: Ref<Customer>, total: Float "In the shop's currency, never negative.", status: OrderStatus, at: DateTime } "One order of one customer."
        type Counts / CountsInput { customers: Int, orders: Int } "How much there is of everything."
        type OrderEdge / OrderEdgeInput { node: Order, cursor: String }
        type PageInfo / PageInfoInput { hasNextPage: Boolean, hasPreviousPage: Boolean, startCursor: String | null, endCursor: String | null }
        type OrderConnection / OrderConnectionInput { edges: [OrderEdge], pageInfo: PageInfo }
        type RevenueByDayRow / RevenueByDayRowInput { key: String, revenue: Float, orders: Int }
    "#]].assert_eq(&show(&app.declarations));
}
