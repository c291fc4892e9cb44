//! The side of the server: takes requests and has the store do what they ask for.

use std::fs::{self, Permissions};
use std::future::pending;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{interval, sleep, timeout};
use tracing::Instrument;
use weir_engine::bundle::key::PublicKey;
use weir_engine::control::acts::{self, Act};
use weir_engine::control::difference::{Difference, Side};
use weir_engine::control::inspection::inspect;
use weir_engine::control::{Actor, administrators, keys, log, releases, resealing};
use weir_engine::jobs::{Clock, control};
use weir_engine::rollouts::conduct::{self, RolloutError};
use weir_engine::rollouts::{experiment, statements, status};
use weir_engine::{Engine, revoked};
use weir_schema::bundle::{BUNDLE_BYTES_MAX, BadBundle};
use weir_schema::codec::control::Permission;
use weir_schema::rollout::Traffic;
use weir_store::progress::{Progress, Watch};
use weir_store::{JobFilter, Store};

use super::address::Address;
use super::message::{
    self, AdministratorShown, Answer, BackedUp, Compared, NewTenant, REQUEST_BYTES_MAX, Request, RevokedKey, Shipped,
    TenantShown,
};
use crate::documents;
use crate::graphql::Schema;
use crate::graphql::schema::servable;
use crate::releases::asked;
use crate::tenants::{Condition, Slot, Tenants, export};

/// Connections at the same time. Further ones are told to come back.
const CONNECTIONS_MAX: usize = 8;
/// Revocations that are told at once.
const REVOCATIONS_AT_ONCE: usize = 200;
/// For a request to arrive, and for a line of an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// For what is being done to end when the server stops.
const STOP_MAX: Duration = Duration::from_secs(10);
/// Between two lines that say how far it is.
const BETWEEN_LINES: Duration = Duration::from_millis(100);

/// What is open.
#[derive(Clone)]
struct Served {
    store: Store,
    engine: Engine,
    tenants: Slot,
}

impl Served {
    fn tenants(&self) -> Result<Arc<Tenants>, String> {
        self.tenants.get().ok_or_else(|| "there are no tenants here: ask the server, once it has started".to_owned())
    }
}

/// Listens in a data folder until it is stopped.
pub struct Control {
    stop: watch::Sender<bool>,
    listening: JoinHandle<()>,
}

impl Control {
    /// Starts to listen. The data folder is open, so a socket that is there is one of a process that is gone.
    pub fn start(store: Store, engine: Engine, data: &Path, tenants: Slot) -> io::Result<Self> {
        let address = Address::of(data)?;
        let new = address.new_socket();
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&new)?;
        fs::set_permissions(&new, Permissions::from_mode(0o600))?;
        fs::rename(&new, address.socket())?;
        let (stop, stopping) = watch::channel(false);
        let served = Served { store, engine, tenants };
        let listening = tokio::spawn(listen(listener, address, served, stopping).in_current_span());
        Ok(Self { stop, listening })
    }

    /// Stops what is being done, tells who asked for it, and goes.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // An error means that the task is gone already.
        let _ = self.listening.await;
    }
}

async fn listen(listener: UnixListener, address: Address, served: Served, stopping: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let mut stopped = stopping.clone();
    loop {
        tokio::select! {
            () = told_to_stop(&mut stopped) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                    connections.spawn(serve(stream, served.clone(), stopping.clone()).in_current_span());
                }
                Ok((stream, _)) => turn_away(&stream),
                Err(error) => {
                    tracing::warn!("the control socket: {error}");
                    sleep(BETWEEN_LINES).await;
                }
            },
        }
    }
    if let Err(error) = fs::remove_file(address.socket()) {
        tracing::warn!("cannot remove the control socket: {error}");
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP_MAX, ended).await.is_err() {
        tracing::warn!("stopped in the middle of what a command had asked for");
    }
}

async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could tell.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

fn turn_away(stream: &UnixStream) {
    let reason = "too many commands are asking at once: try again".to_owned();
    // Who does not take it at once sees that the connection is closed.
    let _ = stream.try_write(&line(&Answer::Failed { reason }));
}

fn line(answer: &Answer) -> Vec<u8> {
    // Answers are plain data, which always has a JSON text.
    let mut text = serde_json::to_vec(answer).unwrap_or_default();
    text.push(b'\n');
    text
}

/// Reads one request and answers it.
async fn serve(stream: UnixStream, served: Served, stopping: watch::Receiver<bool>) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader.take(REQUEST_BYTES_MAX));
    let mut text = String::new();
    let answer = match timeout(PATIENCE, reader.read_line(&mut text)).await {
        Ok(Ok(_)) if text.ends_with('\n') => match serde_json::from_str(&text) {
            Ok(request) => work(request, &served, stopping, reader.into_inner().into_inner(), &mut writer).await,
            Err(error) => Err(format!("the server does not know this request: {error}")),
        },
        // It has hung up, or says nothing, or too much.
        _ => return,
    };
    let answer = match answer {
        Ok(outcome) => Answer::Done { outcome },
        Err(reason) => Answer::Failed { reason },
    };
    // Who asked may have gone: then there is nobody to tell.
    let _ = tell(&mut writer, &answer).await;
}

async fn tell(writer: &mut OwnedWriteHalf, answer: &Answer) -> io::Result<()> {
    timeout(PATIENCE, writer.write_all(&line(answer))).await?
}

/// What happens while a request is being worked on.
enum Event {
    Done(Result<Value, String>),
    Tick,
    /// Nobody wants it any more.
    Unwanted,
}

/// Does what is asked for and tells how far it is. It is stopped when who asked hangs up, or the server stops.
async fn work(
    request: Request,
    served: &Served,
    mut stopping: watch::Receiver<bool>,
    mut reader: OwnedReadHalf,
    writer: &mut OwnedWriteHalf,
) -> Result<Value, String> {
    let (progress, told) = watch::channel(None::<Progress>);
    // The store goes on for as long as somebody receives.
    let mut told = Some(told);
    let work = perform(
        request,
        served,
        Arc::new(move |step| match progress.send(Some(step)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }),
    );
    tokio::pin!(work);
    let mut ticks = interval(BETWEEN_LINES);
    loop {
        let is_wanted = told.is_some();
        let event = tokio::select! {
            outcome = &mut work => Event::Done(outcome),
            _ = ticks.tick(), if is_wanted => Event::Tick,
            () = hung_up(&mut reader), if is_wanted => Event::Unwanted,
            () = told_to_stop(&mut stopping), if is_wanted => Event::Unwanted,
        };
        match event {
            Event::Done(outcome) => return outcome,
            Event::Unwanted => told = None,
            Event::Tick => {
                let step = told.as_mut().filter(|told| told.has_changed().unwrap_or(false));
                let step = step.and_then(|told| *told.borrow_and_update());
                if let Some(step) = step
                    && tell(writer, &Answer::Progress(step)).await.is_err()
                {
                    told = None;
                }
            }
        }
    }
}

/// Waits until the other side has closed the connection. It has nothing more to say.
async fn hung_up(reader: &mut OwnedReadHalf) {
    let mut nothing = [0; 64];
    match reader.read(&mut nothing).await {
        Ok(0) | Err(_) => {}
        Ok(_) => pending().await,
    }
}

async fn perform(request: Request, served: &Served, watch: Watch) -> Result<Value, String> {
    let Served { store, engine, .. } = served;
    match request {
        Request::Backup { to } => {
            let manifest = store.backup(absolute(&to)?, watch).await.map_err(|error| error.to_string())?;
            tracing::info!("backed up commit {} to {}", manifest.sequence, to.display());
            on_record(store, BackedUp::act(&to, manifest.sequence)).await?;
            outcome(&BackedUp::from(&manifest))
        }
        Request::Export { to } => {
            let exported = store.export(absolute(&to)?, watch).await.map_err(|error| error.to_string())?;
            tracing::info!("exported commit {} to {}", exported.sequence, to.display());
            on_record(store, message::exported(&to, &exported)).await?;
            outcome(&exported)
        }
        Request::Verify => outcome(&store.verify(watch).await.map_err(|error| error.to_string())?),
        Request::Inspect => {
            let (store, signatures) = (store.clone(), engine.signatures_asked());
            // All bundles are read and opened: on a thread that may be kept waiting.
            let looking = tokio::task::spawn_blocking(move || inspect(&store, signatures)).await;
            outcome(&looking.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?)
        }
        Request::Jobs { state, function, after } => {
            let listing = control::list(store, JobFilter { state, function }, after).await;
            outcome(&listing.map_err(|error| error.to_string())?)
        }
        Request::CancelJob { id } => {
            let cancelled = control::cancel(store, &id).await.map_err(|error| error.to_string())?;
            tracing::info!("cancelled the job {id}");
            outcome(&cancelled)
        }
        Request::RetryJob { id } => {
            let retried = control::retry(store, &id, &Clock::system()).await.map_err(|error| error.to_string())?;
            tracing::info!("the job {id} is to run now");
            outcome(&retried)
        }
        Request::PushDocuments { files, anyway } => {
            files.iter().try_for_each(|file| absolute(file).map(drop))?;
            let release = engine.releases().borrow().clone();
            let release = release.ok_or("no release is active yet: see the log of the server")?;
            let schema = Schema::build(release.declarations(), release.graphql()).map_err(|error| error.to_string())?;
            let keep = async |documents| engine.push_trusted(&Actor::operator(), documents).await;
            let pushed = documents::push(&schema, &files, anyway, keep).await.map_err(|error| error.to_string())?;
            tracing::info!("{} more trusted documents", pushed.new);
            outcome(&pushed)
        }
        Request::Documents { after } => outcome(&documents::page(&engine.trusted_all(), after.as_deref())),
        Request::RemoveDocuments { ids } => {
            engine.remove_trusted(&Actor::operator(), &ids).await.map_err(|error| error.to_string())?;
            tracing::info!("{} documents are trusted no longer", ids.len());
            outcome(&())
        }
        Request::TokenMinted { subject } => {
            on_record(store, message::token_minted(&subject)).await?;
            outcome(&())
        }
        Request::RevokeTokens { revocation } => {
            let revoked =
                engine.revoke_tokens(revocation, &Actor::operator()).await.map_err(|error| error.to_string())?;
            tracing::info!("revoked tokens of the issuer {:?}", revoked.revocation.issuer);
            outcome(&revoked)
        }
        Request::Revocations { after } => {
            let all = revoked::stored(store).map_err(|error| error.to_string())?;
            let rest = all.into_iter().filter(|revoked| after.as_ref().is_none_or(|after| revoked > after));
            outcome(&rest.take(REVOCATIONS_AT_ONCE).collect::<Vec<_>>())
        }
        Request::SigningKeys => outcome(&keys::list(store).map_err(|error| error.to_string())?),
        Request::TrustKey { public, validity } => {
            let public = PublicKey::parse(&public).map_err(|error| format!("the key {error}"))?;
            let key = keys::trust(store, &Actor::operator(), &public, validity).await;
            outcome(&key.map_err(|error| error.to_string())?)
        }
        Request::RotateKey { id, public, overlap_ms, for_ms } => {
            let public = PublicKey::parse(&public).map_err(|error| format!("the key {error}"))?;
            let rotated = keys::rotate(store, &Actor::operator(), &id, &public, overlap_ms, for_ms).await;
            let rotated = rotated.map_err(|error| error.to_string())?;
            tracing::info!("the key {} takes the place of {id}", rotated.key.id);
            outcome(&rotated)
        }
        Request::Reseal => {
            let resealed = resealing::reseal(store, &Actor::operator()).await;
            outcome(&resealed.map_err(|error| error.to_string())?)
        }
        Request::RevokeKey { id } => {
            let revoked = RevokedKey::of(store, &Actor::operator(), &id, engine.signatures_asked()).await;
            let revoked = revoked.map_err(|error| error.to_string())?;
            tracing::info!("the key {id} is revoked");
            outcome(&revoked)
        }
        Request::Deploy { file, strategy, incompatible, guarded } => {
            let bundle = bundle(&file).await?;
            let how = (strategy, incompatible, guarded);
            let deployed = engine.deploy_judged(&bundle, how, &Actor::operator(), &servable).await;
            let shipped = Shipped::from(deployed.map_err(|error| error.to_string())?);
            tracing::info!("{shipped}");
            outcome(&shipped)
        }
        Request::RolloutStatus => {
            let status = engine.rollout_status().map_err(|error| error.to_string())?;
            outcome(&engine.with_health(status))
        }
        Request::ShadowReport => outcome(&engine.shadow_report()),
        Request::Rollouts => outcome(&conduct::ended(store).map_err(|error| error.to_string())?),
        Request::RolloutStatements { rollout } => {
            outcome(&statements::signed(store, rollout).map_err(|error| error.to_string())?)
        }
        Request::StartRollout { release, strategy, variants, guarded } => {
            let found = status::find(store, &release).map_err(|error| error.to_string())?;
            let strategy = status::with_variants(store, strategy, &variants).map_err(|error| error.to_string())?;
            let how = (strategy, guarded);
            let state = engine.start_rollout_guarded(found.sequence, how, &Actor::operator()).await;
            rolled(store, state)
        }
        Request::Roll { rolling } => {
            let event = rolling.event(store).map_err(|error| error.to_string())?;
            rolled(store, engine.roll(event, &Actor::operator()).await)
        }
        Request::ExperimentReport { experiment } => {
            outcome(&experiment::report(engine.observations(), experiment).map_err(|error| error.to_string())?)
        }
        Request::Releases => outcome(&releases::on_record(store).map_err(|error| error.to_string())?),
        Request::Usage { release } => {
            engine.write_usage().await;
            let asked = asked(store, release, engine.clock().now_ms()).map_err(|error| error.to_string())?;
            outcome(&asked)
        }
        Request::Diff { from, to } => {
            engine.write_usage().await;
            let (from, to) = (compared(from).await?, compared(to).await?);
            let difference = Difference::between(Some(store), from, to).await.map_err(|error| error.to_string())?;
            outcome(&difference)
        }
        Request::AuditHead => outcome(&store.audit_head().map_err(|error| error.to_string())?),
        Request::VerifyAudit { through } => {
            outcome(&store.verify_audit(through, watch).await.map_err(|error| error.to_string())?)
        }
        Request::Audit { wanted, after } => {
            let store = store.clone();
            let reading = tokio::task::spawn_blocking(move || {
                log::page(&store, &wanted, after, message::AUDIT_PAGE_RECORDS, message::AUDIT_PAGE_BYTES)
            });
            let page = reading.await.map_err(|error| error.to_string())?;
            outcome(&page.map_err(|error| error.to_string())?)
        }
        Request::EraseAudit { whom } => {
            let erased = engine.erase(&Actor::operator(), &whom).await.map_err(|error| error.to_string())?;
            tracing::info!("the audit log tells of {} no more", erased.id);
            outcome(&erased)
        }
        Request::Administrators => {
            let known = administrators::list(store).map_err(|error| error.to_string())?;
            outcome(&known.into_iter().map(AdministratorShown::from).collect::<Vec<_>>())
        }
        Request::CreateAdministrator { name, permissions } => {
            let token = administrators::create(store, &Actor::operator(), &Permission::ALL, &name, &permissions).await;
            outcome(&token.map_err(|error| error.to_string())?.reveal())
        }
        Request::RevokeAdministrator { name } => {
            let revoked = administrators::revoke(store, &Actor::operator(), &Permission::ALL, &name).await;
            outcome(&revoked.map_err(|error| error.to_string())?)
        }
        Request::ExportAll { to, tenant } => {
            let summary =
                export::all(store, &tenant, absolute(&to)?, watch).await.map_err(|error| error.to_string())?;
            tracing::info!("exported all at commit {} to {}", summary.data.sequence, to.display());
            on_record(store, message::exported_all(&to, &summary.data)).await?;
            outcome(&summary)
        }
        Request::Tenants => {
            let all = served.tenants()?.list().into_iter();
            outcome(&all.map(|(record, condition)| TenantShown::of(record, condition)).collect::<Vec<_>>())
        }
        Request::CreateTenant { name, reached } => {
            let made = served.tenants()?.create(Actor::operator(), name, reached).await;
            let (record, token) = made.map_err(|error| error.to_string())?;
            let tenant = TenantShown::of(record, Condition::Served);
            outcome(&NewTenant { tenant, token: token.reveal().to_owned() })
        }
        Request::ReachTenant { name, reached } => {
            let tenants = served.tenants()?;
            let record = tenants.reach(Actor::operator(), name, reached).await.map_err(|error| error.to_string())?;
            let condition = tenants.condition(&record);
            outcome(&TenantShown::of(record, condition))
        }
        Request::SuspendTenant { name } => {
            let record =
                served.tenants()?.suspend(Actor::operator(), name.into()).await.map_err(|error| error.to_string())?;
            outcome(&TenantShown::of(record, Condition::Suspended))
        }
        Request::ResumeTenant { name } => {
            let resumed = served.tenants()?.resume(Actor::operator(), name.into()).await;
            let (record, condition) = resumed.map_err(|error| error.to_string())?;
            outcome(&TenantShown::of(record, condition))
        }
        Request::Environments { of } => {
            let all = served.tenants()?.environments(of.as_ref()).into_iter();
            outcome(&all.map(|(record, condition)| TenantShown::of(record, condition)).collect::<Vec<_>>())
        }
        Request::CreateEnvironment { of, making } => {
            let made = served.tenants()?.create_environment(Actor::operator(), of, making, watch).await;
            outcome(&TenantShown::of(made.map_err(|error| error.to_string())?, Condition::Served))
        }
        Request::ChangeEnvironment { name, changing } => {
            let changed = served.tenants()?.change_environment(Actor::operator(), name, changing).await;
            let (record, condition) = changed.map_err(|error| error.to_string())?;
            outcome(&TenantShown::of(record, condition))
        }
        Request::SuspendEnvironment { name } => {
            let suspended = served.tenants()?.suspend(Actor::operator(), name).await;
            let record = suspended.map_err(|error| error.to_string())?;
            outcome(&TenantShown::of(record, Condition::Suspended))
        }
        Request::ResumeEnvironment { name } => {
            let resumed = served.tenants()?.resume(Actor::operator(), name).await;
            let (record, condition) = resumed.map_err(|error| error.to_string())?;
            outcome(&TenantShown::of(record, condition))
        }
        Request::DeleteEnvironment { name } => {
            let deleted = served.tenants()?.delete_environment(Actor::operator(), name).await;
            deleted.map_err(|error| error.to_string())?;
            outcome(&())
        }
        Request::DeleteTenant { name } => {
            served.tenants()?.delete(Actor::operator(), name).await.map_err(|error| error.to_string())?;
            outcome(&())
        }
        Request::Views => outcome(&engine.views().map_err(|error| error.to_string())?),
        Request::RefreshView { name } => {
            let refreshed = engine.refresh_view(&name).await.map_err(|error| error.to_string())?;
            on_record(store, message::of_view("refreshView", &name)).await?;
            outcome(&refreshed)
        }
        Request::DropView { name } => {
            let dropped = engine.drop_view(&name).await.map_err(|error| error.to_string())?;
            tracing::info!("forgot what was kept of the view {name}");
            on_record(store, message::of_view("dropView", &name)).await?;
            outcome(&dropped)
        }
    }
}

/// The bytes of a bundle.
async fn bundle(file: &Path) -> Result<Vec<u8>, String> {
    let file = absolute(file)?;
    let unreadable = |error: io::Error| format!("cannot read {}: {error}", file.display());
    let length = fs::metadata(file).map_err(unreadable)?.len();
    if length > BUNDLE_BYTES_MAX as u64 {
        return Err(BadBundle::TooLarge.to_string());
    }
    tokio::fs::read(file).await.map_err(unreadable)
}

async fn compared(compared: Compared) -> Result<Side, String> {
    match compared {
        Compared::Release(name) => Ok(Side::Release(name)),
        Compared::Bundle(file) => bundle(&file).await.map(Side::Bundle),
    }
}

/// Has it on record that whoever operates has done something.
async fn on_record(store: &Store, act: Act) -> Result<(), String> {
    let recorded = acts::record(store, &Actor::operator(), &act).await;
    recorded.map_err(|error| format!("it is done, but that is not on record: {error}"))
}

fn absolute(path: &Path) -> Result<&Path, String> {
    if path.is_absolute() { Ok(path) } else { Err(format!("{} is not an absolute path", path.display())) }
}

/// How rollouts are, after something has happened.
fn rolled(store: &Store, state: Result<Traffic, RolloutError>) -> Result<Value, String> {
    let known = releases::list(store).map_err(|error| error.to_string())?;
    let status = status::of(state.map_err(|error| error.to_string())?, &known);
    tracing::info!("{status}");
    outcome(&status)
}

fn outcome(outcome: &impl Serialize) -> Result<Value, String> {
    serde_json::to_value(outcome).map_err(|error| error.to_string())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
