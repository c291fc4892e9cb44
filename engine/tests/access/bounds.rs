//! What is hidden costs no more than what is shown may.

use serde_json::{Value, json};
use weir_engine::call::{Call, CallError, Caller};
use weir_engine::idempotency::IdempotencyKey;
use weir_engine::lines::Elements;

use super::{App, MANIFEST, OWN, texts, user};

/// Rules that no index has.
fn unnarrowed() -> String {
    OWN.replace("resource.owner == principal.subject", "resource.owner == principal.subject || resource.rank > 100")
}

impl App {
    /// All of the notes in order, piece by piece.
    async fn lines(&self, caller: &Caller) -> Result<Value, CallError> {
        let walk = match self.engine.elements(&self.release, caller, "listed", json!({})).await? {
            Elements::There(answer) => return Ok(answer.value.value().clone()),
            Elements::Rows(walk) => walk,
        };
        let (mut rest, mut all) = (Some(*walk), Vec::new());
        while let Some(walk) = rest {
            let piece = walk.piece().await?;
            all.extend(piece.elements.into_iter().map(|given| given.value));
            rest = piece.rest;
        }
        Ok(Value::Array(all))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_pass_over_no_more_than_may_be_read() {
    let hidden = |limits: &str| MANIFEST.replace("[limits]", &format!("[limits]\n{limits}"));
    for limits in ["documents_read = 4", "read_bytes = 400"] {
        let app = App::open_as(&hidden(limits), Some(&unnarrowed()), |_| ()).await;
        // Three are shown to one, two to the other.
        assert_eq!(texts(&app.lines(&user("ada")).await.unwrap()), ["a1", "a3", "a5"], "{limits}");
        assert_eq!(texts(&app.lines(&user("bob")).await.unwrap()), ["b2", "b4"], "{limits}");
        let error = app.lines(&user("eve")).await.unwrap_err();
        let name = limits.split_once(' ').map(|(name, _)| name);
        assert_eq!(error.limit.map(|limit| limit.as_str()), name, "{error}");
        // What is shown counts for none of them, however much it is.
        assert_eq!(texts(&app.lines(&Caller::Developer).await.unwrap()).len(), 5, "{limits}");
        app.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_look_at_what_an_index_has_of_ones_own() {
    let manifest = MANIFEST.replace("[limits]", "[limits]\ndocuments_read = 1");
    let app = App::open_as(&manifest, Some(OWN), |_| ()).await;
    assert_eq!(texts(&app.lines(&user("ada")).await.unwrap()), ["a1", "a3", "a5"]);
    assert_eq!(app.lines(&user("eve")).await.unwrap(), json!([]));
    app.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_walked_along_where_nothing_may_be_read() {
    let app = App::open(OWN).await;
    let elements = app.engine.elements(&app.release, &Caller::Anonymous, "listed", json!({})).await.unwrap();
    let Elements::There(answer) = elements else { panic!("there is nothing to be walked along") };
    assert_eq!(*answer.value, json!([]));
    app.end().await;
}

/// A batch of which nothing may be called leaves no key behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_may_not_be_called_claims_nothing() {
    let only = OWN.replace(
        "action == Action::\"call\", resource",
        "action == Action::\"call\", resource == Function::\"counts\"",
    );
    let app = App::open(&only).await;
    let ada = user("ada");
    let key = IdempotencyKey::parse("k1").unwrap();
    let batch = async |functions: &[&str]| {
        let calls = functions.iter().map(|name| Call { function: (*name).into(), args: json!({}) }).collect();
        let scope = |place: Option<usize>| {
            Some(key.scope(&ada, &place.map_or_else(|| "batch".to_owned(), |place| format!("batch {place}"))))
        };
        app.engine.batch(&app.release, &ada, calls, false, scope).await.unwrap()
    };
    let before = app.engine.store().head();
    for outcome in batch(&["all", "stamp", "nothing"]).await {
        let code = outcome.unwrap_err().code.as_str();
        assert!(["FORBIDDEN", "BAD_ARGUMENTS", "NOT_FOUND"].contains(&code), "{code}");
    }
    assert_eq!(app.engine.store().head(), before, "nothing is committed");
    // So the key is as good as new, for what may be called in part.
    let outcomes = batch(&["counts", "all"]).await;
    assert_eq!(outcomes[0].as_ref().unwrap().value.to_string(), "[3,3,2]");
    assert_eq!(outcomes[1].as_ref().unwrap_err().code.as_str(), "FORBIDDEN");
    assert!(app.engine.store().head().sequence > before.sequence, "this one is claimed");
    assert_eq!(batch(&["counts"]).await[0].as_ref().unwrap_err().code.as_str(), "CONFLICT");
    app.end().await;
}

/// What is found is not told by a member that is hidden: it is found without an index of that.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_what_is_hidden_narrows_nothing() {
    let manifest = MANIFEST.replace("[limits]", "[limits]\ndocuments_read = 1");
    let hidden = format!(
        "{OWN}\nforbid(principal, action == Action::\"view\", resource is Note) when {{ context.field == \"owner\" && resource.rank < 9 }};"
    );
    let app = App::open_as(&manifest, Some(&hidden), |_| ()).await;
    let error = app.lines(&user("ada")).await.unwrap_err();
    assert_eq!(error.limit.map(|limit| limit.as_str()), Some("documents_read"), "{error}");
    app.end().await;
}
