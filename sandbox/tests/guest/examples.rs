//! The examples of this repository, and what their functions are called with.

use std::path::Path;
use std::sync::Arc;

use weir_sandbox::App;
use weir_sandbox::compile::{Sources, compile};

/// An example.
pub struct Example {
    /// Its folder.
    name: &'static str,
    arguments: &'static [(&'static str, &'static str)],
    /// The functions that give no value on a host that gives up when told to delete, and has all documents already.
    pub refusing: &'static [&'static str],
}

/// Both.
pub const EXAMPLES: [Example; 2] = [
    Example { name: "shop", arguments: SHOP, refusing: &["removeCustomer", "seed"] },
    Example { name: "atlas", arguments: ATLAS, refusing: &[] },
];

/// Documents with all the members that the examples look at.
pub const DOCUMENTS: &str = r#"[
    {"id":"d1","customer":"c1","total":12.5,"status":"open","at":"2026-01-02T00:00:00.000Z","name":"Élan","code":"FR",
     "code3":"FRA","region":"Europe","area":0.1,"borders":["DEU","ESP"],"country":"FR","location":{"lat":48.9,"lng":2.3}},
    {"id":"d2","customer":"c2","total":0.3,"status":"paid","at":"2026-01-03T00:00:00.000Z","name":"eland","code":"DE",
     "code3":"DEU","region":"Asia","area":0.2,"borders":[],"country":"DE","location":{"lat":52.5,"lng":13.4}}]"#;

const COUNTRY: &str = r#"{"cca2":"FR","cca3":"FRA","name":{"common":"France","official":"French Republic"},"region":"Europe",
        "subregion":"Western Europe","capital":["Paris"],"latlng":[46,2],"area":551695,"landlocked":false,"independent":true,
        "borders":[],"languages":{"fra":"French"},"currencies":{"EUR":{}},"flag":"x"}"#;

const SHOP: &[(&str, &str)] = &[
    ("customerByEmail", r#"{"email":"a@example.com"}"#),
    ("addCustomer", r#"{"name":"Ada","email":"a@example.com"}"#),
    ("ordersOf", r#"{"customer":"c1","limit":3}"#),
    ("ordersPage", r#"{"first":2}"#),
    ("placeOrder", r#"{"customer":"o1","total":1.5}"#),
    ("payOrder", r#"{"id":"o1"}"#),
];

const ATLAS: &[(&str, &str)] = &[
    ("citiesOf", r#"{"country":"FR"}"#),
    ("citiesStartingWith", r#"{"prefix":"Él","country":"FR"}"#),
    ("citiesInBox", r#"{"south":40,"west":0,"north":50,"east":5}"#),
    ("cityCount", r#"{"country":"FR"}"#),
    ("addCity", r#"{"name":"Élan","country":"FR","lat":"48.9","lng":"2.3","admin1":"x"}"#),
    ("country", r#"{"code":"fra"}"#),
    ("countriesIn", r#"{"region":"Europe"}"#),
    ("neighboursOf", r#"{"code":"FR"}"#),
    ("addCountry", COUNTRY),
];

impl Example {
    /// The compiled app.
    pub fn app(&self) -> Arc<App> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(self.name);
        Arc::new(compile(&Sources::read(&folder).unwrap()).unwrap_or_else(|wrong| panic!("{wrong:?}")))
    }

    /// What a function is called with.
    pub fn arguments(&self, function: &str) -> &'static str {
        self.arguments.iter().find(|(known, _)| *known == function).map_or("{}", |(_, arguments)| arguments)
    }
}
