//! Policies as tables, and held against Cedar's own authorizer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod differential;
mod mistakes;
mod tables;

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::diagnostic::{Diagnostic, Style};
use weir_schema::caller::CallerSettings;
use weir_schema::declarations::Declarations;

use super::policies::Policies;
use crate::call::{Caller, Identity, TokenKind};

const MANIFEST: &str = r#"
name = "test"
version = "1.0.0"
[caller]
claims = { org = "string", level = "int", groups = "[string]", share = "float" }
"#;

const COLLECTIONS: &str = r#"
import { collection, type DateTime, type Float, type Int, type JSON } from "weir";
export interface Order {
  owner: string; org?: string; amount: Int; status: "open" | "paid"; tags: string[]; note: string | null;
  ship?: { city: string; zip?: string }; total: Float; extra?: JSON; at?: DateTime; urgent?: boolean
}
export interface User { name: string; email: string }
export const orders = collection<Order>({ index: ["owner", ["owner", "amount"]] });
export const users = collection<User>({ unique: ["email"] });
"#;

const FUNCTIONS: &str = r#"
import { procedure, query, type Doc, type ID, type Int } from "weir";
import { orders, type Order } from "../collections";
export const mine = query((): Doc<Order>[] => orders.all());
export const ordersOf = query((args: { owner: string; limit?: Int }): Doc<Order>[] => orders.where("owner", args.owner).all());
export const place = procedure((args: { owner: string; amount: Int; gift?: boolean }): ID =>
  orders.insert({ owner: args.owner, amount: args.amount, status: "open", tags: [], note: null, total: 1 }).id);
export const close = procedure((args: { id: ID; limit: string }): boolean => orders.delete(args.id));
"#;

/// What the app of these tests declares.
fn app() -> (Declarations, CallerSettings) {
    let texts = [("app.toml", MANIFEST), ("collections.ts", COLLECTIONS), ("functions/orders.ts", FUNCTIONS)];
    let texts = texts.map(|(path, text)| (path.to_owned(), text.to_owned()));
    let app = compile(&Sources::from_texts(texts)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    (app.declarations, app.manifest.caller)
}

fn policies(text: &str) -> Policies {
    compiled(text).unwrap_or_else(|mistakes| panic!("{}", rendered(&mistakes)))
}

fn compiled(text: &str) -> Result<Policies, Vec<Diagnostic>> {
    let (declarations, settings) = app();
    super::compile::compile(&declarations, &settings, text)
}

fn rendered(mistakes: &[Diagnostic]) -> String {
    mistakes.iter().map(|mistake| mistake.render(Style::Plain)).collect()
}

fn token(kind: TokenKind, subject: &str, roles: &[&str], claims: Json) -> Caller {
    let Json::Object(claims) = claims else { panic!("claims are an object") };
    Caller::Token(Arc::new(Identity {
        kind,
        issuer: "https://issuer.example".into(),
        subject: subject.into(),
        roles: roles.iter().map(ToString::to_string).collect(),
        scopes: vec!["read".into()],
        claims,
    }))
}

fn user(subject: &str) -> Caller {
    token(TokenKind::User, subject, &[], json!({}))
}

fn members(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}
