#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;

use futures_util::future::poll_immediate;
use serde_json::{Value, json};
use weir_engine::content::Content;
use weir_schema::commit::Timestamp;
use weir_schema::error::ErrorCode;

use super::*;
use crate::graphql::plan::Key;
use crate::graphql::response::WeirExtensions;

/// Bytes of results that may wait.
const ROOM: usize = 10_000;

/// An outbox whose connection says these.
type Tested = Outbox<&'static str>;

fn shown(outgoing: &Outgoing<&'static str>) -> String {
    match outgoing {
        Outgoing::Operation { id, part } => match &**part {
            Part::Next(response) => text(response),
            Part::Update { .. } => panic!("{part:?}"),
            Part::End(End::Complete) => format!("{id} done"),
            Part::End(End::Refused(errors)) => format!("{id} refused: {}", errors[0].message),
        },
        Outgoing::Control(control) => (*control).to_owned(),
    }
}

fn text(response: &Response) -> String {
    match (&response.data, &response.errors[..]) {
        (Some(data), []) => String::from_utf8(data.clone()).unwrap(),
        (_, errors) => errors[0].message.clone(),
    }
}

fn taken(outbox: &Tested) -> Vec<String> {
    std::iter::from_fn(|| outbox.try_take()).take(10).map(|outgoing| shown(&outgoing)).collect()
}

fn data(text: &str) -> Response {
    Response { data: Some(text.into()), ..Response::default() }
}

fn error(message: &str) -> Response {
    Response::refused(vec![GraphqlError::new(ErrorCode::FunctionFailed, message)])
}

fn outbox<const N: usize>(ids: [&str; N]) -> (Tested, [Ticket; N]) {
    let outbox = Tested::new(ROOM);
    let tickets = ids.map(|id| outbox.open(id, N.max(2)).unwrap());
    (outbox, tickets)
}

#[test]
fn a_newer_result_takes_the_place_of_an_older_one() {
    let (outbox, [a, b]) = outbox(["a", "b"]);
    outbox.next(&a, data("a1"));
    outbox.next(&b, data("b1"));
    outbox.next(&a, data("a2"));
    outbox.end(&a, End::Complete);
    assert_eq!(taken(&outbox), ["a2", "a done", "b1"]);
}

#[test]
fn what_is_taken_back_is_not_sent_and_what_comes_then_is() {
    let (outbox, [a, b]) = outbox(["a", "b"]);
    outbox.next(&a, data("a1"));
    outbox.next(&b, data("b1"));
    outbox.withdraw(&a);
    outbox.end(&a, End::Refused(vec![GraphqlError::new(ErrorCode::Forbidden, "no more")]));
    assert_eq!(taken(&outbox), ["a refused: no more", "b1"]);
    outbox.next(&b, data("b2"));
    outbox.withdraw(&b);
    outbox.next(&b, data("b3"));
    assert_eq!(taken(&outbox), ["b3"]);
}

/// What was taken back takes no room: whoever has room for one result has it for the next.
#[tokio::test]
async fn what_is_taken_back_makes_room() {
    let (outbox, ticket) = Outbox::of_one();
    outbox.next(&ticket, data("1"));
    outbox.withdraw(&ticket);
    assert!(poll_immediate(std::pin::pin!(outbox.has_room(1))).await.is_some());
    assert!(outbox.state.lock().has_room_for(&ticket, 1));
    assert!(outbox.try_take().is_none());
}

/// A value of a selection: a number among much else.
fn version(form: u64, n: u64) -> Version {
    let value = json!({ "fill": "x".repeat(100), "n": n });
    let data = json!({ "v": value }).to_string().into_bytes();
    let weir = WeirExtensions { cursor: None, commit: Timestamp(n), age_ms: None };
    Version::new(&Key::new("v"), &Arc::new(Content::from(value)), form, data, weir)
}

/// What is sent next: the number of a whole value, a patch, or a message.
async fn sent(outbox: &Tested) -> Value {
    let outgoing = outbox.try_take().unwrap();
    if let Outgoing::Operation { part, .. } = &outgoing
        && let Part::Update { version, base } = &**part
    {
        let payload: Value = serde_json::from_slice(&version.to_json(base.as_ref()).await).unwrap();
        let whole = payload.pointer("/data/v/n").or(payload.pointer("/extensions/weir/patch/0/value"));
        return json!([payload.get("data").is_some(), whole]);
    }
    shown(&outgoing).into()
}

#[tokio::test]
async fn a_patch_is_to_what_was_sent_last() {
    let (outbox, [a]) = outbox(["a"]);
    let (whole, patch) = (true, false);
    assert_eq!(outbox.update(&a, version(1, 1)), Ok(()));
    assert_eq!(outbox.update(&a, version(1, 2)), Ok(()));
    assert_eq!(sent(&outbox).await, json!([whole, 2]));
    // What has been overtaken is nobody's base, and what the client has is not sent again.
    assert_eq!(outbox.update(&a, version(1, 3)), Ok(()));
    assert_eq!(outbox.update(&a, version(1, 2)), Ok(()));
    assert_eq!(outbox.try_take(), None);
    assert_eq!(outbox.error(&a, error("error")), Ok(()));
    assert_eq!(outbox.update(&a, version(1, 4)), Ok(()));
    assert_eq!(sent(&outbox).await, json!([patch, 4]), "the error has been overtaken");
    assert_eq!(outbox.update(&a, version(1, 5)), Ok(()));
    assert_eq!(outbox.error(&a, error("error")), Ok(()));
    assert_eq!(sent(&outbox).await, json!("error"));
    assert_eq!(outbox.update(&a, version(1, 6)), Ok(()));
    assert_eq!(sent(&outbox).await, json!([whole, 6]));
    assert_eq!(outbox.update(&a, version(2, 7)), Ok(()));
    assert_eq!(sent(&outbox).await, json!([whole, 7]), "another selection");
    outbox.cancel("a");
    let again = outbox.open("a", 2).unwrap();
    assert_eq!(outbox.update(&again, version(2, 8)), Ok(()));
    outbox.end(&again, End::Complete);
    assert_eq!(sent(&outbox).await, json!([whole, 8]), "another operation");
    assert_eq!(sent(&outbox).await, json!("a done"));
}

#[tokio::test]
async fn an_event_is_passed_when_it_is_taken() {
    let (outbox, [a, b]) = outbox(["a", "b"]);
    let mut passing = Box::pin(outbox.pass(&a, data("a1")));
    assert!(poll_immediate(&mut passing).await.is_none());
    outbox.next(&b, data("b1"));
    assert_eq!(outbox.try_take().map(|outgoing| shown(&outgoing)), Some("a1".into()));
    assert_eq!(poll_immediate(&mut passing).await, Some(Ok(())));
    // What is not sent any more is not asked for any more.
    outbox.cancel("a");
    assert_eq!(outbox.pass(&a, data("a2")).await, Err(Forgotten));
    assert_eq!(taken(&outbox), ["b1"]);
}

#[tokio::test]
async fn a_task_that_was_stopped_does_not_speak_for_the_next_of_its_id() {
    let (outbox, [first]) = outbox(["a"]);
    outbox.next(&first, data("old"));
    outbox.cancel("a");
    let second = outbox.open("a", 2).unwrap();
    outbox.next(&first, data("old"));
    outbox.end(&first, End::Complete);
    assert_eq!(outbox.pass(&first, data("old")).await, Err(Forgotten));
    outbox.next(&second, data("new"));
    assert_eq!(taken(&outbox), ["new"]);
}

#[test]
fn an_id_is_free_again_when_its_end_has_been_sent() {
    let (outbox, [a]) = outbox(["a"]);
    outbox.end(&a, End::Complete);
    assert_eq!(outbox.open("a", 2), Err(NotOpened::Duplicate));
    assert_eq!(taken(&outbox), ["a done"]);
    assert!(outbox.open("a", 2).is_ok());
}

#[test]
fn nothing_is_sent_of_a_cancelled_operation() {
    let (outbox, [a, _]) = outbox(["a", "b"]);
    assert_eq!(outbox.open("c", 2), Err(NotOpened::Full));
    outbox.next(&a, data("a1"));
    outbox.cancel("a");
    outbox.next(&a, data("a2"));
    assert_eq!(taken(&outbox), Vec::<String>::new());
    assert!(outbox.open("c", 2).is_ok());
}

#[test]
fn a_close_goes_before_all_that_waits() {
    let (outbox, [a]) = outbox(["a"]);
    outbox.next(&a, data("a1"));
    outbox.control("ping");
    outbox.close("going away");
    outbox.close("unauthorized");
    assert_eq!(taken(&outbox).first().map(String::as_str), Some("going away"));
}

#[test]
fn a_value_that_the_client_has_is_not_sent_again_nor_what_it_takes_the_place_of() {
    let (outbox, [a]) = outbox(["a"]);
    let digest = |n: u64| Content::from(json!(n)).digest();
    outbox.has(&a, digest(0));
    assert_eq!(outbox.value(&a, data("0"), digest(0)), Ok(()));
    assert_eq!(outbox.try_take(), None);
    assert_eq!(outbox.value(&a, data("1"), digest(1)), Ok(()));
    assert_eq!(outbox.value(&a, data("0"), digest(0)), Ok(()));
    assert_eq!(outbox.try_take(), None);
    assert_eq!(outbox.value(&a, data("1"), digest(1)), Ok(()));
    assert_eq!(taken(&outbox), ["1"]);
    // After an error the same value is news, and the same error is not.
    assert_eq!(outbox.error(&a, error("error")), Ok(()));
    assert_eq!(taken(&outbox), ["error"]);
    assert_eq!(outbox.value(&a, data("1"), digest(1)), Ok(()));
    assert_eq!(outbox.error(&a, error("error")), Ok(()));
    assert_eq!(outbox.try_take(), None);
    assert_eq!(outbox.value(&a, data("1"), digest(1)), Ok(()));
    assert_eq!(taken(&outbox), ["1"]);
    assert_eq!(outbox.error(&a, error("error")), Ok(()));
    assert_eq!(taken(&outbox), ["error"]);
    assert_eq!(outbox.error(&a, error("another")), Ok(()));
    assert_eq!(taken(&outbox), ["another"]);
}

#[tokio::test]
async fn it_is_settled_when_all_is_sent_and_only_subscriptions_go_on() {
    let (outbox, [query, subscription]) = outbox(["q", "s"]);
    let mut settled = std::pin::pin!(outbox.settled());
    assert_eq!(poll_immediate(&mut settled).await, None);
    outbox.goes_on(&subscription);
    outbox.next(&query, data("q1"));
    outbox.end(&query, End::Complete);
    assert_eq!(shown(&outbox.take().await), "q1");
    assert_eq!(poll_immediate(&mut settled).await, None);
    assert_eq!(shown(&outbox.take().await), "q done");
    assert_eq!(poll_immediate(&mut settled).await, Some(()));
}

#[tokio::test]
async fn what_goes_on_ends_and_what_may_yet_and_what_ends_by_itself_does_not() {
    let (outbox, [query, subscription, _prepared]) = outbox(["q", "s", "?"]);
    outbox.ends(&query);
    outbox.goes_on(&subscription);
    outbox.next(&subscription, data("s1"));
    let changed = GraphqlError::new(ErrorCode::Unauthenticated, "changed");
    outbox.end_subscriptions(std::slice::from_ref(&changed));
    let mut ended = taken(&outbox);
    ended.sort_unstable();
    assert_eq!(ended, ["? refused: changed", "s refused: changed"]);
    outbox.next(&query, data("q1"));
    outbox.end(&query, End::Complete);
    assert_eq!(taken(&outbox), ["q1", "q done"]);
}

#[tokio::test]
async fn values_for_which_there_is_no_room_are_not_taken_until_there_is() {
    let (outbox, [a, b, c]) = outbox(["a", "b", "c"]);
    let digest = |n: u64| Content::from(json!(n)).digest();
    let large = |n: u64| data(&format!("{n}{}", "x".repeat(ROOM)));
    // One that is larger than all room waits, but alone.
    assert_eq!(outbox.value(&a, large(1), digest(1)), Ok(()));
    assert_eq!(outbox.value(&b, data("2"), digest(2)), Err(Full));
    assert_eq!(outbox.update(&c, version(1, 3)), Err(Full));
    assert_eq!(outbox.error(&b, error("error")), Err(Full));
    let mut room = std::pin::pin!(outbox.has_room_for(&b));
    let mut reading = std::pin::pin!(outbox.has_room(1));
    assert!(poll_immediate(&mut room).await.is_none() && poll_immediate(&mut reading).await.is_none());
    // A newer one of the same takes its place; what has run is put in all the same.
    assert_eq!(outbox.value(&a, large(4), digest(4)), Ok(()));
    outbox.next(&c, data("5"));
    assert_eq!(outbox.value(&b, data("2"), digest(2)), Err(Full));
    let sent = taken(&outbox);
    assert!(sent.len() == 2 && sent[0].starts_with('4') && sent[1] == "5", "{}", sent.len());
    assert!(poll_immediate(&mut room).await.is_some() && poll_immediate(&mut reading).await.is_some());
    assert_eq!(outbox.value(&b, data("2"), digest(2)), Ok(()));
    assert_eq!(taken(&outbox), ["2"]);
}

#[test]
fn what_is_wanted_no_more_takes_no_room() {
    let (outbox, [a, b]) = outbox(["a", "b"]);
    let digest = |n: u64| Content::from(json!(n)).digest();
    let large = || data(&"x".repeat(ROOM));
    assert_eq!((outbox.value(&a, large(), digest(1)), outbox.value(&b, large(), digest(2))), (Ok(()), Err(Full)));
    outbox.cancel("a");
    assert_eq!(outbox.value(&b, large(), digest(2)), Ok(()));
    let a = outbox.open("a", 2).unwrap();
    assert_eq!(outbox.value(&a, data("1"), digest(1)), Err(Full));
    outbox.goes_on(&b);
    outbox.ends(&a);
    outbox.end_subscriptions(&[]);
    assert_eq!(outbox.value(&a, data("1"), digest(1)), Ok(()));
    assert_eq!(outbox.state.lock().bytes, 1);
    outbox.cancel("a");
    assert_eq!(outbox.state.lock().bytes, 0);
}
