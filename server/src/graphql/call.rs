//! Root fields as calls of the engine.

use std::sync::Arc;

use serde_json::{Value, json};
use weir_engine::Engine;
use weir_engine::call::{Answer, CallError, Caller};
use weir_engine::idempotency::IdempotencyKey;
use weir_engine::release::Release;
use weir_schema::commit::Timestamp;

use super::error::tell_defect;
use super::execute::Invocation;

/// Does what a root field asks for; `field` is its name in the response. With a key, what changes something is done once.
pub async fn invoke(
    engine: &Engine,
    release: &Arc<Release>,
    caller: &Caller,
    key: Option<&IdempotencyKey>,
    field: String,
    invocation: Invocation,
) -> Result<Answer, CallError> {
    let scope = |field: &str| key.map(|key| key.scope(caller, field));
    match invocation {
        Invocation::Function { name, arguments } => {
            engine.call_once(release, caller, &name, arguments, scope(&field)).await
        }
        Invocation::Batch { calls, atomic } => {
            let of_call = |place: Option<usize>| match place {
                None => scope(&field),
                Some(place) => scope(&format!("{field}[{place}]")),
            };
            let outcomes = engine.batch(release, caller, calls, atomic, of_call).await?;
            Ok(batch_result(outcomes))
        }
    }
}

/// The JSON of `[CallResult!]!`, at the newest commit of the batch.
fn batch_result(outcomes: Vec<Result<Answer, CallError>>) -> Answer {
    let commits = outcomes.iter().filter_map(|outcome| Some(outcome.as_ref().ok()?.commit));
    let commit = commits.max().unwrap_or(Timestamp::ZERO);
    Answer::new(Value::Array(outcomes.into_iter().map(call_result).collect()), commit)
}

/// The JSON of a `CallResult`.
pub fn call_result(outcome: Result<Answer, CallError>) -> Value {
    match outcome {
        Ok(answer) => json!({ "value": answer.value.take(), "error": null }),
        Err(CallError { code, message, app_code, .. }) => {
            tell_defect(code, &message);
            json!({ "value": null, "error": { "code": code.as_str(), "message": message, "appCode": app_code } })
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use weir_schema::error::ErrorCode;

    use super::*;

    #[test]
    fn a_batch_has_one_result_per_call() {
        let failed =
            CallError { app_code: Some("EMPTY".into()), ..CallError::new(ErrorCode::FunctionFailed, "nothing there") };
        let answer = batch_result(vec![
            Ok(Answer::new(json!({ "status": "fee-pool" }), Timestamp(7))),
            Err(failed),
            Ok(Answer::new(Value::Null, Timestamp(5))),
        ]);
        assert_eq!(answer.commit, Timestamp(7));
        expect![[r#"[{"value":{"status":"fee-pool"},"error":null},{"value":null,"error":{"code":"FUNCTION_FAILED","message":"nothing there","appCode":"EMPTY"}},{"value":null,"error":null}]"#]]
            .assert_eq(&answer.value.to_string());
    }
}
