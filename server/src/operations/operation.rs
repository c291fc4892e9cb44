//! One operation of a client: a query or mutation that ends with its result, or a subscription that goes on.
//!
//! A watched query outlives the release that it started on: when its caller's calls go to another it moves there, unless its
//! document no longer fits. A stream stays on its release to its end, which is come when other policies are in force.
//!
//! Rule: nothing is sent that was decided by policies which are not in force any more.

use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;
use weir_engine::call::{CallError, Caller, Emission};
use weir_engine::content::ValueDigest;
use weir_engine::rollouts::traffic::Traffic;
use weir_schema::declarations::FunctionKind;
use weir_schema::error::ErrorCode;

use super::outbox::{End, Forgotten, Full, Outbox, Ticket};
use super::question::Question;
use crate::auth::Presented;
use crate::graphql::affinity::Unrouted;
use crate::graphql::execute::{Subscribed, subscribe};
use crate::graphql::plan::OperationKind;
use crate::graphql::service::{Served, Service};
use crate::graphql::{GraphqlError, Request};
use crate::http::bodies::Held;
use crate::http::gateway::Gateway;
use crate::rate::rates::Holds;

/// One operation of a client.
pub struct Operation<C> {
    ticket: Ticket,
    gateway: Arc<Gateway>,
    service: Service,
    outbox: Arc<Outbox<C>>,
    presented: Presented,
}

impl<C: Clone> Operation<C> {
    /// An operation that the outbox has room for.
    pub fn new(
        ticket: Ticket,
        gateway: Arc<Gateway>,
        service: Service,
        outbox: Arc<Outbox<C>>,
        presented: Presented,
    ) -> Self {
        Self { ticket, gateway, service, outbox, presented }
    }

    /// Who calls, as a release may know it.
    fn caller(&self, served: &Served) -> Result<Caller, Vec<GraphqlError>> {
        let credentials = self.presented.credentials();
        credentials.caller(served.release.caller()).map_err(|error| vec![GraphqlError::from(&error)])
    }

    /// The release that its calls go to now.
    async fn route(&self, changes: &mut watch::Receiver<Arc<Traffic>>) -> Result<Arc<Served>, Vec<GraphqlError>> {
        changes.borrow_and_update();
        match Box::pin(self.service.route(&self.presented.credentials())).await {
            Ok(served) => Ok(served),
            Err(Unrouted::Nothing) => {
                Err(vec![GraphqlError::new(ErrorCode::Unavailable, self.gateway.nothing_served())])
            }
            Err(error) => Err(vec![GraphqlError::from(&error)]),
        }
    }

    /// Lets a subscription in, unless its caller asks too often or has too many.
    fn admit(&self, served: &Served, subscribed: &Subscribed) -> Result<Holds, Vec<GraphqlError>> {
        let (caller, Subscribed { cost, function, arguments, .. }) = (self.caller(served)?, subscribed);
        let call = (function.as_str(), arguments);
        let admitted = self.service.admit_call(served, &caller, OperationKind::Subscription, *cost, call);
        admitted.and_then(|()| self.service.hold_subscription(&caller)).map_err(|error| vec![error])
    }

    /// Runs it to its end.
    ///
    /// What waits for the next value of a query is all that most operations are for most of their time, and there are many of
    /// them: everything else is kept out of the task, which is as large as its largest part.
    ///
    /// `held` is what the request takes among the bodies of requests.
    pub async fn run(self, request: Request, held: Held) {
        let end = match self.answer(request, held).await {
            Ok(()) => End::Complete,
            Err(errors) => End::Refused(errors),
        };
        self.outbox.end(&self.ticket, end);
    }

    /// Sends results. An error is that of a request that was refused, or is no longer possible.
    async fn answer(&self, mut request: Request, held: Held) -> Result<(), Vec<GraphqlError>> {
        let mut changes = self.service.changes();
        let served = self.route(&mut changes).await?;
        let prepared = Box::pin(self.service.prepare(&served, &request)).await;
        self.service.count(&self.presented.credentials(), prepared.as_ref().map(drop).map_err(Vec::as_slice));
        let operation = prepared?;
        if operation.kind == OperationKind::Subscription {
            self.outbox.goes_on(&self.ticket);
            let subscribed = subscribe(&served.schema, &operation, request.variables.clone())?;
            let _held = self.admit(&served, &subscribed)?;
            let Some(_permit) = self.gateway.subscriptions.take() else {
                return Err(vec![GraphqlError::limit("subscriptions", "all subscriptions of the server are taken")]);
            };
            let form = Form::of(&request)?;
            return match served.release.kind(&subscribed.function) {
                Some(FunctionKind::Stream) => Box::pin(self.stream(&served, &subscribed)).await,
                _ => {
                    let seen = cursor(&request)?;
                    self.service.hold(&mut request);
                    let question = Question::of(request, &operation, &self.gateway.bodies);
                    let question = question.map_err(|error| vec![error])?;
                    drop((operation, subscribed, held));
                    self.watch(question, form, seen, served, changes).await
                }
            };
        }
        self.outbox.ends(&self.ticket);
        let key = request.idempotency_key(None).map_err(|error| vec![error])?;
        let (variables, key, caller) = (request.variables, key.as_ref(), self.caller(&served)?);
        let response = Box::pin(self.service.execute(&served, &operation, variables, &caller, key)).await;
        if response.data.is_none() {
            return Err(response.errors);
        }
        self.outbox.next(&self.ticket, response);
        Ok(())
    }

    /// Sends the events of a stream, each when the one before is on its way. An error is its last.
    async fn stream(&self, served: &Served, subscribed: &Subscribed) -> Result<(), Vec<GraphqlError>> {
        let (caller, shown) = (self.caller(served)?, self.presented.credentials());
        let place = self.service.stream_place(&caller);
        let place = place.map_err(|error| vec![GraphqlError::of_call(error, &caller)])?;
        let mut stream = match self.service.stream(place, served, subscribed, &caller) {
            Ok(stream) => stream,
            Err(error) => {
                let response = subscribed.respond(Err(&error), &caller);
                self.outbox.next(&self.ticket, response);
                return Ok(());
            }
        };
        let _in_use = subscribed.hold();
        let passing = async {
            while let Some(event) = stream.next().await {
                let response = subscribed.respond_event(event.as_ref(), &caller);
                if self.outbox.pass(&self.ticket, response).await == Err(Forgotten) {
                    break;
                }
            }
        };
        tokio::select! {
            () = passing => Ok(()),
            changed = self.service.other_policies(served, &caller, &shown) => {
                self.outbox.withdraw(&self.ticket);
                Err(vec![changed])
            }
        }
    }

    /// Sends the values of a subscription, release after release.
    async fn watch(
        &self,
        question: Question,
        form: Form,
        mut seen: Option<String>,
        mut served: Arc<Served>,
        mut changes: watch::Receiver<Arc<Traffic>>,
    ) -> Result<(), Vec<GraphqlError>> {
        if let Some(value) = seen.as_deref().and_then(ValueDigest::of_cursor) {
            self.outbox.has(&self.ticket, value);
        }
        let mut moved = false;
        loop {
            let outgrown = |errors| if moved { schema_changed(errors) } else { errors };
            match self.watch_release(&question, form, &served, &mut changes, &mut seen).await.map_err(outgrown)? {
                ControlFlow::Continue(next) => {
                    let is_same = self.caller(&served).is_ok_and(|who| next.release.decides_as(&served.release, &who));
                    if !is_same {
                        // The client gets what it has not, of the values to come.
                        self.outbox.withdraw(&self.ticket);
                        seen = None;
                    }
                    served = next;
                }
                ControlFlow::Break(()) => return Ok(()),
            }
            moved = true;
        }
    }

    /// Sends the values of one release until another takes its place. Breaks when the server ends, or the release will never have a
    /// value for this caller.
    ///
    /// `seen` is the cursor of the last value that the client has: one that the new release did not change is not sent
    /// again.
    async fn watch_release(
        &self,
        question: &Question,
        form: Form,
        served: &Arc<Served>,
        changes: &mut watch::Receiver<Arc<Traffic>>,
        seen: &mut Option<String>,
    ) -> Result<ControlFlow<(), Arc<Served>>, Vec<GraphqlError>> {
        let operation = Box::pin(self.service.prepare(served, &question.request)).await?;
        let subscribed = subscribe(&served.schema, &operation, question.variables())?;
        drop(operation);
        // The release before may have known less of the caller.
        let caller = self.caller(served)?;
        let _in_use = subscribed.hold();
        let mut watch = self.service.watch(served, &subscribed, &caller, seen.clone());
        // The newest value, where there is no room for it yet. Few have one, and many are watched.
        let mut newest: Option<Box<Result<Emission, CallError>>> = None;
        loop {
            tokio::select! {
                emission = watch.next() => newest = Some(Box::new(emission)),
                () = async { Box::pin(self.outbox.has_room_for(&self.ticket)).await }, if newest.is_some() => {}
                changed = changes.changed() => {
                    if changed.is_err() {
                        return Ok(ControlFlow::Break(()));
                    }
                    let next = self.route(changes).await?;
                    if !Arc::ptr_eq(&next, served) {
                        return Ok(ControlFlow::Continue(next));
                    }
                }
            }
            let Some(emission) = newest.take() else { continue };
            match self.send(&subscribed, form, (*emission).as_ref(), &caller) {
                Ok(()) if watch.is_over() => return Ok(ControlFlow::Break(())),
                Ok(()) => *seen = (*emission).ok().map(|emission| emission.cursor),
                Err(Full) => newest = Some(emission),
            }
        }
    }

    /// Sends what came of a watch.
    fn send(
        &self,
        subscribed: &Subscribed,
        form: Form,
        emission: Result<&Emission, &CallError>,
        caller: &Caller,
    ) -> Result<(), Full> {
        let response = match form {
            Form::Whole => subscribed.respond(emission, caller),
            Form::JsonPatch => match subscribed.version(emission, caller) {
                Ok(version) => return self.outbox.update(&self.ticket, version),
                Err(response) => response,
            },
        };
        match emission {
            Ok(emission) => self.outbox.value(&self.ticket, response, emission.value.digest()),
            Err(_) => self.outbox.error(&self.ticket, response),
        }
    }
}

/// How a client takes the values of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Each whole.
    Whole,
    /// As JSON Patches to the one before.
    JsonPatch,
}

impl Form {
    /// `extensions.weir.delta`.
    fn of(request: &Request) -> Result<Self, Vec<GraphqlError>> {
        match request.weir.get("delta") {
            None | Some(Value::Null) => Ok(Self::Whole),
            Some(Value::String(delta)) if delta == "json-patch" => Ok(Self::JsonPatch),
            Some(_) => {
                let message = "extensions.weir.delta must be \"json-patch\", or left out for whole values";
                Err(vec![GraphqlError::new(ErrorCode::BadRequest, message)])
            }
        }
    }
}

/// `extensions.weir.after`: a cursor of an earlier message.
fn cursor(request: &Request) -> Result<Option<String>, Vec<GraphqlError>> {
    match request.weir.get("after") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(cursor)) => Ok(Some(cursor.clone())),
        Some(_) => {
            Err(vec![GraphqlError::new(ErrorCode::BadRequest, "extensions.weir.after must be a cursor, a string")])
        }
    }
}

/// Says first that the schema changed, then why the subscription does not fit it.
fn schema_changed(errors: Vec<GraphqlError>) -> Vec<GraphqlError> {
    let message = "the schema changed, and this subscription no longer fits it";
    let mut all = vec![GraphqlError::new(ErrorCode::GraphqlValidationFailed, message)];
    all.extend(errors);
    all
}
