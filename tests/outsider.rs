//! An app that was written from the documentation alone (`fixtures/observatory`), and is nothing like the examples:
//! unions, enums with odd characters, utility types, nested inputs, every scalar, actions.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::apps::App;
use crate::graphql::{Client, lines};
use crate::weir::Dev;

struct Observatory {
    _app: App,
    _dev: Dev,
    client: Client,
    /// The id of a telescope.
    hooker: String,
}

impl Observatory {
    fn open() -> Self {
        let app = App::copy_of("tests/fixtures/observatory");
        let dev = Dev::start(&app);
        let client = dev.client();
        let hooker = add(&client, "Hooker", "equatorial", 2.54);
        add(&client, "Keck I", "alt-az", 10.0);
        add(&client, "Arecibo", "x/y", 305.0);
        Self { _app: app, _dev: dev, client, hooker }
    }

    fn record(&self, entry: Value) -> Value {
        let query = "mutation(
            $telescope: ID!, $star: EntryStarInput, $planet: EntryPlanetInput, $takenAt: DateTime!, $exposure: Float!,
            $quality: Int, $frame: Bytes, $header: JSON
        ) {
            record(
                telescope: $telescope, star: $star, planet: $planet, takenAt: $takenAt, exposure: $exposure,
                quality: $quality, frame: $frame, header: $header
            ) { takenAt quality frame header exposure target { __typename } }
        }";
        let mut variables = entry;
        variables["telescope"] = json!(self.hooker);
        self.client.data_with(query, variables)["record"].take()
    }

    fn record_some(&self) {
        let vega = json!({ "label": "Vega", "catalogue": "HD", "number": 172_167 });
        let ida = json!({ "label": "Ida", "designation": "243", "moons": [{ "name": "Dactyl", "moons": [{ "name": "Pebble" }] }] });
        self.record(json!({ "star": vega, "takenAt": "2026-03-01T22:00:00Z", "exposure": 30, "quality": 4, "header": { "seeing": 1.5 } }));
        self.record(
            json!({ "planet": ida, "takenAt": "2026-03-02T01:30:00+02:00", "exposure": 0.5, "header": [1, null] }),
        );
        self.record(json!({ "takenAt": "2026-03-02T00:00:00.25Z", "exposure": 12.25, "quality": 4, "frame": "aGVsbG8=", "header": null }));
    }

    #[track_caller]
    fn check(&self, query: &str, expected: Expect) {
        expected.assert_eq(&lines(&self.client.data_with(query, json!({ "id": self.hooker }))));
    }
}

fn add(client: &Client, name: &str, mount: &str, aperture: f64) -> String {
    let telescope = json!({
        "name": name, "mount": graphql_name(mount), "aperture": aperture,
        "site": { "name": "a hill", "position": { "lat": 34.2, "lng": -118.1 } },
        "filters": [{ "band": "B", "transmission": 0.75 }, { "band": "V", "transmission": null }],
    });
    let query = "mutation($telescope: AddTelescopeTelescopeInput!) { addTelescope(telescope: $telescope) { id } }";
    client.data_with(query, json!({ "telescope": telescope }))["addTelescope"]["id"].as_str().unwrap().to_owned()
}

/// An enum value as GraphQL spells it.
fn graphql_name(mount: &str) -> String {
    let spelled = mount.replace(['-', '/'], "_");
    if spelled.starts_with('2') { format!("_{spelled}") } else { spelled }
}

#[test]
fn enums_keep_their_spelling_in_the_app() {
    let observatory = Observatory::open();
    observatory.check(
        "{
            telescopesWith(mount: x_y) { name mount aperture note retiredAt site { name position { lat lng } } filters { band transmission } }
            none: telescopesWith(mount: _2_axis) { name }
            small: telescopesWith(mount: equatorial, below: 2.54) { name }
            large: telescopesWith(mount: equatorial, from: 2.54) { name }
            invoke(function: \"telescopesWith\", args: { mount: \"x/y\" })
        }",
        expect![[r#"
            telescopesWith:
              {"name":"Arecibo","mount":"x_y","aperture":305,"note":null,"retiredAt":null,"site":{"name":"a hill","position":{"lat":34.2,"lng":-118.1}},"filters":[{"band":"B","transmission":0.75},{"band":"V","transmission":null}]}
            none:
            small:
            large:
              {"name":"Hooker"}
            invoke:
              {"id":"ID","name":"Arecibo","site":{"name":"a hill","position":{"lat":34.2,"lng":-118.1}},"mount":"x/y","aperture":305,"note":null,"retiredAt":null,"filters":[{"band":"B","transmission":0.75},{"band":"V","transmission":null}]}
        "#]],
    );
}

#[test]
fn optional_and_nullable_members_are_not_the_same() {
    let observatory = Observatory::open();
    observatory.check(
        "{
            absent: arrived
            null: arrived(optional: null, nullable: null, both: null)
            given: arrived(optional: \"a\", nullable: \"b\", both: \"c\")
        }",
        expect![[r#"
            absent: {"optional":"absent","nullable":null,"both":"absent"}
            null: {"optional":"absent","nullable":null,"both":null}
            given: {"optional":"a","nullable":"b","both":"c"}
        "#]],
    );
    observatory.check(
        "mutation($id: ID!) {
            noted: changeTelescope(id: $id, changes: { note: \"old\", mount: _2_axis }) { note mount retiredAt }
            kept: changeTelescope(id: $id, changes: { note: null }) { note mount retiredAt }
            retired: changeTelescope(id: $id, changes: { retiredAt: \"1986-06-24T12:00:00+02:00\" }) { note retiredAt }
            back: changeTelescope(id: $id, changes: { retiredAt: null }) { note retiredAt }
        }",
        expect![[r#"
            noted: {"note":"old","mount":"_2_axis","retiredAt":null}
            kept: {"note":"old","mount":"_2_axis","retiredAt":null}
            retired: {"note":"old","retiredAt":"1986-06-24T10:00:00.000Z"}
            back: {"note":"old","retiredAt":null}
        "#]],
    );
}

#[test]
fn whole_documents_are_swapped_and_removed() {
    let observatory = Observatory::open();
    observatory.check(
        "mutation($id: ID!) {
            swapTelescope(id: $id, by: {
                name: \"Hale\", mount: equatorial, aperture: 5.1, site: { name: \"Palomar\" }, filters: [], retiredAt: null
            }) { id name note aperture site { name position { lat } } filters { band } }
            removeTelescope(id: $id)
            again: removeTelescope(id: $id)
        }",
        expect![[r#"
            swapTelescope: {"id":"ID","name":"Hale","note":null,"aperture":5.1,"site":{"name":"Palomar","position":null},"filters":[]}
            removeTelescope: true
            again: false
        "#]],
    );
    expect![[r#"
        {"message":"telescopes has a document with the same name already","path":["taken"],"extensions":{"code":"CONFLICT"}}
        {"message":"telescopes has no document gone; insert makes new ones","path":["gone"],"extensions":{"code":"FUNCTION_FAILED"}}
        {"message":"there is no telescope gone","path":["unknown"],"extensions":{"code":"FUNCTION_FAILED","appCode":"UNKNOWN"}}
    "#]].assert_eq(&lines(&observatory.client.errors("mutation {
        taken: addTelescope(telescope: { name: \"Keck I\", mount: alt_az, aperture: 1, site: { name: \"\" }, filters: [] }) { id }
        gone: swapTelescope(id: \"gone\", by: { name: \"\", mount: alt_az, aperture: 1, site: { name: \"\" }, filters: [] }) { id }
        unknown: changeTelescope(id: \"gone\", changes: {}) { id }
    }")));
}

#[test]
fn every_scalar_and_every_member_of_a_union_arrives() {
    let observatory = Observatory::open();
    observatory.record_some();
    observatory.check(
        "{
            log(first: 2) {
                edges { node { takenAt exposure quality frame header target { __typename } } }
                pageInfo { hasNextPage }
            }
            targets {
                __typename
                ... on Star { kind label catalogue number }
                ... on MinorPlanet { kind label designation moons { name moons { name moons { name } } } }
                ... on TargetDark { kind label }
            }
            planets
            judged(quality: 4) { exposure }
            unjudged: judged { exposure }
        }",
        expect![[r#"
            log: {"edges":[{"node":{"takenAt":"2026-03-02T00:00:00.250Z","exposure":12.25,"quality":4,"frame":"aGVsbG8=","header":null,"target":{"__typename":"TargetDark"}}},{"node":{"takenAt":"2026-03-01T23:30:00.000Z","exposure":0.5,"quality":null,"frame":null,"header":[1,null],"target":{"__typename":"MinorPlanet"}}}],"pageInfo":{"hasNextPage":true}}
            targets:
              {"__typename":"Star","kind":"star","label":"Vega","catalogue":"HD","number":172167}
              {"__typename":"MinorPlanet","kind":"minor-planet","label":"Ida","designation":"243","moons":[{"name":"Dactyl","moons":[{"name":"Pebble","moons":null}]}]}
              {"__typename":"TargetDark","kind":"dark","label":"dark frame"}
            planets:
              "Ida + Dactyl + Pebble"
            judged:
              {"exposure":12.25}
              {"exposure":30}
            unjudged:
              {"exposure":0.5}
        "#]],
    );
}

#[test]
fn views_aggregate() {
    let observatory = Observatory::open();
    observatory.check(
        "{ byTelescope { key frames } byNight { key } totals { telescopes observations exposure } }",
        expect![[r#"
        byTelescope:
        byNight:
        totals: {"telescopes":3,"observations":0,"exposure":0}
    "#]],
    );
    observatory.record_some();
    observatory.check(
        "{
            byTelescope { key frames total mean shortest longest first last }
            byNight { key best }
            totals { telescopes observations exposure }
        }",
        expect![[r#"
            byTelescope:
              {"key":"ID","frames":3,"total":42.75,"mean":14.25,"shortest":0.5,"longest":30,"first":"2026-03-01T22:00:00.000Z","last":"2026-03-02T00:00:00.250Z"}
            byNight:
              {"key":"2026-03-01","best":4}
              {"key":"2026-03-02","best":4}
            totals: {"telescopes":3,"observations":3,"exposure":42.75}
        "#]],
    );
}

#[test]
fn actions_await_calls() {
    let observatory = Observatory::open();
    observatory.check(
        "mutation($id: ID!) {
            darks(telescope: $id, exposures: [1, 2.5], night: \"2026-03-03T00:00:00Z\") {
                frames { exposure takenAt target { ... on TargetDark { label } } }
                observations
            }
            none: darks(telescope: $id, exposures: [], night: \"2026-03-03T00:00:00Z\") { frames { id } observations }
        }",
        expect![[r#"
            darks: {"frames":[{"exposure":1,"takenAt":"2026-03-03T00:00:00.000Z","target":{"label":"dark frame"}},{"exposure":2.5,"takenAt":"2026-03-03T00:00:00.000Z","target":{"label":"dark frame"}}],"observations":2}
            none: {"frames":[],"observations":2}
        "#]],
    );
}

#[test]
fn dates_are_told_apart_from_text() {
    let observatory = Observatory::open();
    observatory.check(
        "{
            inUse(at: \"2026-03-01T00:00:00Z\") { name mount retired }
        }",
        expect![[r#"
            inUse:
              {"name":"Arecibo","mount":"x_y","retired":false}
              {"name":"Keck I","mount":"alt_az","retired":false}
              {"name":"Hooker","mount":"equatorial","retired":false}
        "#]],
    );
    let wrong = "{ a: inUse(at: \"yesterday\") { name } }";
    expect![[r#"
        {"message":"args.at: \"yesterday\" is not a date and time as RFC 3339 writes it, such as 2026-11-22T09:30:00Z","path":["a"],"extensions":{"code":"BAD_ARGUMENTS"}}
    "#]].assert_eq(&lines(&observatory.client.errors(wrong)));
}
