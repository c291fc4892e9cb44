//! Policies as callers meet them: what is denied, what is absent, what is null, and what nobody is told by other ways.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

#[path = "access/bounds.rs"]
mod bounds;
#[path = "access/calls.rs"]
mod calls;
#[path = "access/documents.rs"]
mod documents;
#[path = "access/leaks.rs"]
mod leaks;
#[path = "access/members.rs"]
mod members;
#[path = "access/shared.rs"]
mod shared;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weir_engine::Engine;
use weir_engine::call::{Answer, CallError, Caller, Identity, TokenKind};
use weir_engine::live::Watch;
use weir_engine::release::Release;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_store::{Options, Store};

const MANIFEST: &str = r#"
name = "test"
version = "1.0.0"
[limits]
cpu_ms = 20000
wall_ms = 50000
[caller]
claims = { org = "string" }
"#;

const COLLECTIONS: &str = r#"
import { collection, type Int, type Ref } from "weir";
export interface Note { owner: string; rank: Int; text: string; secret?: string; pin: string }
export interface Comment { note: Ref<Note>; by: string }
export const notes = collection<Note>({ unique: ["pin"], index: ["owner", ["owner", "rank"], "rank", "secret"] });
export const comments = collection<Comment>({ onDelete: { note: "cascade" } });
"#;

const FUNCTIONS: &str = r#"
import { action, call, caller, count, http, procedure, query, schedule, stream, view, type Doc, type HttpResponse, type ID, type Int, type JSON, type Page } from "weir";
import { comments, notes, type Note } from "../collections";

export const one = query((args: { id: ID }): Doc<Note> | null => notes.get(args.id));
export const all = query((): Doc<Note>[] => notes.all());
export const listed = query((): Doc<Note>[] => notes.orderBy("rank"));
export const of = query((args: { owner: string }): Doc<Note>[] => notes.where("owner", args.owner).all());
export const ranked = query((args: { least: Int }): string[] =>
  notes.range("rank", { gte: args.least }).orderBy("rank", "desc").all().map((note) => note.text));
export const top = query((args: { n: Int }): string[] => notes.orderBy("rank", "desc").take(args.n).map((note) => note.text));
export const firstOf = query((): string | null => notes.orderBy("rank").first()?.text ?? null);
export const page = query((args: { first?: Int; after?: string; last?: Int; before?: string }): Page<Doc<Note>> =>
  notes.orderBy("rank").page(args));
export const counts = query((): Int[] => [notes.count(), notes.where("owner", "ada").count(), notes.range("rank", { gt: 2 }).count()]);
export const bySecret = query((args: { secret: string }): string[] => notes.where("secret", args.secret).all().map((note) => note.text));
export const secretOrder = query((): ID[] => notes.orderBy("secret").all().map((note) => note.id));
export const secretPage = query((): Page<Doc<Note>> => notes.orderBy("secret").page({ first: 10 }));
export const copied = query((): { text: string; said: string | null }[] =>
  notes.all().map((note) => ({ text: note.text, said: note.secret ?? null })));
export const spread = query((): JSON => notes.all().map((note) => ({ ...note })));
export const keys = query((): string[] => notes.all().map((note) => Object.keys(note).join()));
export const texts = query((): { text: string }[] => notes.all().map((note) => ({ text: note.text })));
export const whoami = query((): string => caller.kind);

export const add = procedure((args: { owner: string; rank: Int; text: string; secret?: string; pin: string }): Doc<Note> => notes.insert(args));
export const tryAdd = procedure((args: { owner: string; rank: Int; text: string; pin: string }): string => {
  try { notes.insert(args); return "added"; } catch (error) { return (error as Error).message; }
});
export const retext = procedure((args: { id: ID; text: string }): Doc<Note> => notes.patch(args.id, { text: args.text }));
export const give = procedure((args: { id: ID; owner: string }): Doc<Note> => notes.patch(args.id, { owner: args.owner }));
export const saved = procedure((args: { id: ID }): Doc<Note> | null => {
  const note = notes.get(args.id);
  return note && notes.replace(args.id, { ...note, text: "saved" });
});
export const spreadPatch = procedure((args: { id: ID }): Doc<Note> | null => {
  const note = notes.get(args.id);
  return note && notes.patch(args.id, { ...note, text: "patched" });
});
export const remove = procedure((args: { id: ID }): boolean => notes.delete(args.id));
export const comment = procedure((args: { note: ID }): ID => comments.insert({ note: args.note, by: "x" }).id);
export const later = procedure((args: { text: string }): ID => schedule({ after: 0 }, stamp, args));
export const stamp = procedure((args: { text: string }): Int => {
  for (const note of notes.all()) notes.patch(note.id, { text: args.text });
  return notes.count();
});
export const through = action(async (): Promise<Int> => (await call(counts)) [0]);
export const adding = action(async (args: { pin: string }): Promise<string> => {
  try { return (await call(add, { owner: "bob", rank: 9, text: "t", pin: args.pin })).owner; } catch (error) { return (error as Error).message; }
});
export const events = stream(async function* (): AsyncGenerator<string> { for (const note of notes.all()) yield note.text; });
export const total = view((): Int => notes.count());
export const perOwner = view.groupBy(notes, (note) => note.owner, { notes: count() });
export const withTotal = query((): Int[] => [notes.count(), total()]);
const deep = (n: Int): Int => n === 0 ? 0 : 1 + deep(n - 1);
export const diving = view((args: { n: Int }): Int => deep(args.n));
export const sly = query((args: { n: Int }): string[] => {
  try { diving({ n: args.n }); } catch {}
  return notes.all().map((note) => note.text);
});
export const hook = http.get("/hook", action(async (): Promise<HttpResponse> => ({ body: String((await call(counts))[0]) })));
"#;

struct App {
    engine: Engine,
    release: Arc<Release>,
    folder: tempfile::TempDir,
}

impl App {
    /// The app with notes of ada and bob, under these policies.
    async fn open(policies: &str) -> Self {
        Self::open_with(Some(policies), |_| ()).await
    }

    async fn open_with(policies: Option<&str>, set: impl FnOnce(&Engine)) -> Self {
        Self::open_as(MANIFEST, policies, set).await
    }

    async fn open_as(manifest: &str, policies: Option<&str>, set: impl FnOnce(&Engine)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let engine = Engine::start(store, PoolOptions::default()).unwrap();
        set(&engine);
        let release = engine.activate(app(manifest, policies)).await.unwrap();
        let app = Self { engine, release, folder };
        for (owner, rank, text, secret) in [
            ("ada", 1, "a1", Some("s1")),
            ("bob", 2, "b2", Some("s2")),
            ("ada", 3, "a3", None),
            ("bob", 4, "b4", Some("s4")),
            ("ada", 5, "a5", Some("s5")),
        ] {
            let args = json!({ "owner": owner, "rank": rank, "text": text, "secret": secret, "pin": text });
            app.answer(&Caller::Developer, "add", args).await.unwrap();
        }
        app
    }

    /// The same under other policies.
    async fn under(&mut self, policies: &str) {
        self.release = self.engine.activate(app(MANIFEST, Some(policies))).await.unwrap();
    }

    async fn answer(&self, caller: &Caller, function: &str, args: Value) -> Result<Answer, CallError> {
        let called = self.engine.call(&self.release, caller, function, args);
        tokio::time::timeout(Duration::from_secs(60), called).await.unwrap()
    }

    /// What it gives, or the error in one line.
    async fn call(&self, caller: &Caller, function: &str, args: Value) -> String {
        match self.answer(caller, function, args).await {
            Ok(answer) => answer.value.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// The ids of the notes by their texts.
    async fn id(&self, text: &str) -> String {
        let answer = self.answer(&Caller::Developer, "all", json!({})).await.unwrap();
        let notes = answer.value.as_array().unwrap();
        let note = notes.iter().find(|note| note["text"] == text).unwrap_or_else(|| panic!("no {text} in {notes:?}"));
        note["id"].as_str().unwrap().to_owned()
    }

    fn watch(&self, caller: &Caller, function: &str) -> Watch {
        self.engine.watch(&self.release, caller, function, json!({}), None)
    }

    async fn end(self) {
        self.engine.close().await;
        drop(self.folder);
    }
}

fn app(manifest: &str, policies: Option<&str>) -> weir_sandbox::App {
    let mut texts = vec![("app.toml", manifest), ("collections.ts", COLLECTIONS), ("functions/notes.ts", FUNCTIONS)];
    texts.extend(policies.map(|text| ("policies.cedar", text)));
    let texts = texts.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned()));
    compile(&Sources::from_texts(texts)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn caller(kind: TokenKind, issuer: &str, subject: &str, roles: &[&str]) -> Caller {
    Caller::Token(Arc::new(Identity {
        kind,
        issuer: issuer.into(),
        subject: subject.into(),
        roles: roles.iter().map(ToString::to_string).collect(),
        scopes: Vec::new(),
        claims: serde_json::Map::new(),
    }))
}

fn user(subject: &str) -> Caller {
    caller(TokenKind::User, "https://issuer.example", subject, &[])
}

fn admin() -> Caller {
    caller(TokenKind::User, "https://issuer.example", "root", &["admin"])
}

/// Everybody may call everything and has their own notes; admins read all.
const OWN: &str = r#"
permit(principal, action == Action::"call", resource);
@id("own notes")
permit(principal is User, action, resource is Note) when { resource.owner == principal.subject };
permit(principal, action in Action::"read", resource is Note) when { principal.roles.contains("admin") };
permit(principal, action, resource is Comment);
"#;

/// The texts of notes that somebody got.
fn texts(notes: &Value) -> Vec<&str> {
    notes.as_array().unwrap().iter().map(|note| note["text"].as_str().unwrap()).collect()
}
