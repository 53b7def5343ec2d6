//! Connections to the workspace's SSH server.

use std::sync::Arc;
use std::time::Duration;

use russh::client;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg};
use tokio::sync::{Mutex, OnceCell, OwnedMutexGuard};
use tokio::time::timeout;

use super::budget::Budget;
use super::metrics;
use super::session::Session;
use super::stream::Guarded;
use super::switch::Switch;
use super::workspace_side::WorkspaceSide;
use crate::upstream::UpstreamError;
use crate::upstream_login::{UpstreamCredential, UpstreamLogin};

/// The connections of one session to its workspace, each with one channel at a time.
///
/// The first is opened when somebody was let in, and is the only one of most sessions.
/// While a second channel is open there is a second connection: russh holds back a
/// whole connection where a channel's reader is slow, and so a terminal that was
/// halted would halt all others. A connection whose channel has ended is used again.
#[derive(Debug)]
pub(crate) struct Lanes {
    free: Arc<Mutex<Free>>,
    /// Where the workspace listens for the client. It stays as long as the session.
    listening: OnceCell<Arc<Lane>>,
}

#[derive(Debug, Default)]
pub(crate) struct Free {
    lanes: Vec<Arc<Lane>>,
    /// Why the first connection failed, for the first who wants to use it.
    failure: Option<UpstreamError>,
}

impl Lanes {
    pub(crate) fn new() -> Self {
        Self {
            free: Arc::default(),
            listening: OnceCell::new(),
        }
    }

    /// Opens the first connection, before anybody needs it. Who comes meanwhile waits.
    pub(crate) async fn open_first(session: &Arc<Session>) {
        let free = Arc::clone(&session.lanes.free).lock_owned().await;
        let opening = Arc::clone(session);
        session.spawn(async move { fill(&opening, free).await });
    }

    /// A connection for one channel.
    pub(crate) async fn take(session: &Arc<Session>) -> Result<Arc<Lane>, UpstreamError> {
        {
            let mut free = session.lanes.free.lock().await;
            if let Some(failure) = free.failure.take() {
                return Err(failure);
            }
            while let Some(lane) = free.lanes.pop() {
                if !lane.handle.is_closed() {
                    return Ok(lane);
                }
            }
        }
        Lane::open(session).await.map(Arc::new)
    }

    /// The channel on `lane` has ended.
    pub(crate) async fn give_back(&self, lane: Arc<Lane>) {
        let mut free = self.free.lock().await;
        if free.lanes.len() < KEPT && !lane.handle.is_closed() {
            free.lanes.push(lane);
        }
    }

    /// The connection on which the workspace listens for the client.
    pub(crate) async fn listening(session: &Arc<Session>) -> Result<&Arc<Lane>, UpstreamError> {
        let cell = &session.lanes.listening;
        cell.get_or_try_init(|| Self::take(session)).await
    }
}

async fn fill(session: &Arc<Session>, mut free: OwnedMutexGuard<Free>) {
    match Lane::open(session).await {
        Ok(lane) => {
            metrics::succeeded();
            free.lanes.push(Arc::new(lane));
        }
        Err(why) => {
            metrics::failed(why.code());
            tracing::info!(
                why = &why as &dyn std::error::Error,
                "workspace not reached"
            );
            free.failure = Some(why);
        }
    }
}

/// One connection to the workspace.
pub(crate) struct Lane {
    pub(crate) handle: client::Handle<WorkspaceSide>,
    switch: Switch,
}

impl Lane {
    async fn open(session: &Arc<Session>) -> Result<Self, UpstreamError> {
        let switch = Switch::new();
        let limit = session.shared.limits.connect;
        let opened = timeout(limit, Self::connect(session, &switch)).await;
        let opened = opened.unwrap_or(Err(UpstreamError::TimedOut));
        if opened.is_err() {
            // What was begun must not go on without us.
            switch.cut();
        }
        let handle = opened?;
        Ok(Self { handle, switch })
    }

    async fn connect(
        session: &Arc<Session>,
        switch: &Switch,
    ) -> Result<client::Handle<WorkspaceSide>, UpstreamError> {
        let shared = &session.shared;
        let to = session.login().ok_or(UpstreamError::Absent)?;
        let (stream, login) = shared.connector.connect(&to.proof).await?.into_parts();
        let limits = &shared.limits;
        let patience = write_patience(limits.keep_alive, limits.keep_alives_missed);
        let stream = Guarded::new(stream, switch.clone(), Budget::unlimited(), patience);
        let side = WorkspaceSide::new(session, login.host_key.clone());
        let config = Arc::clone(&shared.of_workspaces);
        let handle = client::connect_stream(config, stream, side).await;
        let mut handle = handle.map_err(unreachable)?;
        match log_in(&mut handle, &login).await.map_err(unreachable)? {
            client::AuthResult::Success => Ok(handle),
            client::AuthResult::Failure { .. } => Err(UpstreamError::NoCredential(
                "the server in the workspace did not take it".into(),
            )),
        }
    }
}

async fn log_in(
    handle: &mut client::Handle<WorkspaceSide>,
    login: &UpstreamLogin,
) -> Result<client::AuthResult, russh::Error> {
    match &login.credential {
        UpstreamCredential::Certificate(certified) => {
            let key = Arc::clone(certified.key().inner());
            let certificate = certified.inner().clone();
            handle
                .authenticate_openssh_cert(&*login.user, key, certificate)
                .await
        }
        UpstreamCredential::Key(key) => {
            // For RSA; others have their own.
            let key = PrivateKeyWithHashAlg::new(Arc::clone(key.inner()), Some(HashAlg::Sha512));
            handle.authenticate_publickey(&*login.user, key).await
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.switch.cut();
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}

/// How long a write may block: as long as silence is borne.
pub(crate) fn write_patience(keep_alive: Duration, missed: usize) -> Duration {
    let times = u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
    keep_alive.saturating_mul(times)
}

fn unreachable(why: russh::Error) -> UpstreamError {
    UpstreamError::Unreachable(why.into())
}

/// Connections that are kept for later: enough that a row of short channels needs no login each.
const KEPT: usize = 4;
