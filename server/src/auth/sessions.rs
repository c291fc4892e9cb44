//! What goes on for longer than a request: sockets and streams of events, each with the token that it began with.
//!
//! Rule: none outlives its token, a revocation of it, or the key that it was checked with, by a second. The time of day decides, not
//! the time that has passed: a clock that is put right puts this right too.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use parking_lot::Mutex;
use tokio::sync::watch;
use weir_engine::Engine;

use super::error::TokenError;
use super::verify::{Issuers, Verified};

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(250);

/// All that go on.
#[derive(Default)]
pub struct Sessions {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    opened: u64,
    open: HashMap<u64, Open>,
    /// When each ends at the latest, and its number.
    ends: BTreeSet<(u64, u64)>,
}

struct Open {
    verified: Arc<Verified>,
    over: watch::Sender<Option<TokenError>>,
}

/// One of them, until it is dropped.
pub struct Session {
    sessions: Arc<Sessions>,
    number: u64,
    over: watch::Receiver<Option<TokenError>>,
}

impl Sessions {
    /// One that goes on for as long as its token is good.
    pub fn open(self: &Arc<Self>, verified: Arc<Verified>) -> Session {
        let (sender, over) = watch::channel(None);
        let mut state = self.state.lock();
        state.opened += 1;
        let number = state.opened;
        state.ends.insert((verified.until_ms(), number));
        state.open.insert(number, Open { verified, over: sender });
        drop(state);
        Session { sessions: self.clone(), number, over }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.state.lock().open.len()
    }

    /// Ends those whose time is over.
    fn expire(&self, now_ms: u64) {
        let mut state = self.state.lock();
        while let Some((until_ms, number)) = state.ends.first().copied().filter(|(until_ms, _)| *until_ms <= now_ms) {
            state.ends.remove(&(until_ms, number));
            if let Some(open) = state.open.get(&number) {
                open.over.send_replace(Some(TokenError::Expired));
            }
        }
    }

    /// Ends those of which `is_over` says why.
    pub(super) fn end(&self, is_over: impl Fn(&Verified) -> Option<TokenError>) {
        for open in self.state.lock().open.values() {
            if let Some(reason) = is_over(&open.verified) {
                open.over.send_if_modified(|over| over.is_none() && over.replace(reason).is_none());
            }
        }
    }
}

impl Session {
    /// Waits until it is over; says why.
    pub async fn over(&mut self) -> TokenError {
        let over = self.over.wait_for(Option::is_some).await.ok().and_then(|over| over.clone());
        match over {
            Some(error) => error,
            // The other end is in the table until this one is dropped.
            None => std::future::pending().await,
        }
    }

    /// Goes on with another token.
    pub fn goes_on_with(&self, verified: Arc<Verified>) {
        let mut state = self.sessions.state.lock();
        let until_ms = verified.until_ms();
        let Some(open) = state.open.get_mut(&self.number) else { return };
        let before = std::mem::replace(&mut open.verified, verified);
        state.ends.remove(&(before.until_ms(), self.number));
        state.ends.insert((until_ms, self.number));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut state = self.sessions.state.lock();
        if let Some(open) = state.open.remove(&self.number) {
            state.ends.remove(&(open.verified.until_ms(), self.number));
        }
    }
}

/// Waits until a session is over; says why. Without one that never comes.
pub async fn over(session: &mut Option<Session>) -> TokenError {
    match session {
        Some(session) => session.over().await,
        None => std::future::pending().await,
    }
}

/// Ends sessions when it is time, for as long as the server runs. Tokens go by the revocations of all these engines.
pub async fn watch_over(sessions: Arc<Sessions>, issuers: Arc<Issuers>, engines: Vec<Engine>) {
    let Some(clock) = engines.first().map(|engine| engine.clock().clone()) else { return };
    let mut revocations: Vec<_> = engines.iter().map(Engine::revocations_changed).collect();
    let mut exchanged = issuers.exchanged();
    loop {
        sessions.expire(clock.now_ms());
        if sessions.count() > 0 {
            issuers.keep_young();
        }
        let changed = select_all(revocations.iter_mut().map(|changed| Box::pin(changed.changed())));
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            // The issuers have the sender.
            _ = exchanged.changed() => {
                sessions.end(|verified| verified.has_lost_its_key().then_some(TokenError::Key));
            }
            (changed, ..) = changed => {
                if changed.is_err() {
                    return;
                }
                let revoked: Vec<_> = engines.iter().map(Engine::revoked).collect();
                let is_revoked = |verified: &Verified| revoked.iter().any(|known| known.has(&verified.shown()));
                sessions.end(|verified| is_revoked(verified).then_some(TokenError::Revoked));
            }
        }
    }
}
