//! The connection to the workspace's SSH server.

use std::sync::Arc;
use std::time::Duration;

use russh::client;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

use super::budget::Budget;
use super::flow::Flow;
use super::metrics;
use super::session::Session;
use super::stream::Guarded;
use super::switch::Switch;
use super::workspace_side::WorkspaceSide;
use crate::upstream::UpstreamError;
use crate::upstream_login::{UpstreamCredential, UpstreamLogin};

/// The one connection of a session to its workspace.
///
/// It is opened when somebody was let in, and again if it was lost when a channel is
/// asked for.
#[derive(Debug)]
pub(crate) struct Link {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    lane: Option<Arc<Lane>>,
    /// Why the first connection failed, for the first who wants to use it.
    failure: Option<UpstreamError>,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            state: Arc::default(),
        }
    }

    /// Opens the connection, before anybody needs it. Who comes meanwhile waits.
    pub(crate) async fn open(session: &Arc<Session>) {
        let state = Arc::clone(&session.link.state).lock_owned().await;
        let opening = Arc::clone(session);
        session.spawn(async move { fill(&opening, state).await });
    }

    /// The connection, for one more channel.
    pub(crate) async fn lane(session: &Arc<Session>) -> Result<Arc<Lane>, UpstreamError> {
        let mut state = session.link.state.lock().await;
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        let open = state.lane.as_ref();
        if let Some(lane) = open.filter(|lane| !lane.handle.is_closed()) {
            return Ok(Arc::clone(lane));
        }
        let lane = Arc::new(Lane::open(session).await?);
        state.lane = Some(Arc::clone(&lane));
        Ok(lane)
    }

    /// Whether it was open, and is not.
    pub(crate) fn is_lost(&self) -> bool {
        let state = self.state.try_lock(); // while it is being opened, it is not lost
        state.is_ok_and(|state| {
            let lane = state.lane.as_ref();
            lane.is_some_and(|lane| lane.handle.is_closed())
        })
    }

    /// Closes it.
    pub(crate) async fn close(&self) {
        self.state.lock().await.lane = None;
    }
}

async fn fill(session: &Arc<Session>, mut state: OwnedMutexGuard<State>) {
    match Lane::open(session).await {
        Ok(lane) => {
            metrics::succeeded();
            state.lane = Some(Arc::new(lane));
        }
        Err(why) => {
            metrics::failed(why.code());
            tracing::info!(
                why = &why as &dyn std::error::Error,
                "workspace not reached"
            );
            state.failure = Some(why);
        }
    }
}

/// One connection to the workspace.
pub(crate) struct Lane {
    pub(crate) handle: client::Handle<WorkspaceSide>,
    /// Of what the workspace sends.
    pub(crate) flow: Arc<Flow>,
    switch: Switch,
}

impl Lane {
    async fn open(session: &Arc<Session>) -> Result<Self, UpstreamError> {
        let (switch, flow) = (Switch::new(), Arc::default());
        let limit = session.shared.limits.connect;
        // Boxed: it is needed once, and would be part of each task that may need it.
        let connect = Box::pin(Self::connect(session, &switch, &flow));
        let opened = timeout(limit, connect).await;
        let opened = opened.unwrap_or(Err(UpstreamError::TimedOut));
        if opened.is_err() {
            // What was begun must not go on without us.
            switch.cut();
        }
        let handle = opened?;
        Ok(Self {
            handle,
            flow,
            switch,
        })
    }

    async fn connect(
        session: &Arc<Session>,
        switch: &Switch,
        flow: &Arc<Flow>,
    ) -> Result<client::Handle<WorkspaceSide>, UpstreamError> {
        let shared = &session.shared;
        let to = session.proof().ok_or(UpstreamError::Absent)?;
        let upstream = shared.connector.connect(to).await?;
        flow.set_holds(upstream.has_holds());
        let (stream, login) = upstream.into_parts();
        let limits = &shared.limits;
        let patience = write_patience(limits.keep_alive, limits.keep_alives_missed);
        let (budget, pool) = (Budget::unlimited(), shared.pool.clone());
        let stream = Guarded::new(stream, switch.clone(), budget, pool, patience);
        let side = WorkspaceSide::new(session, login.host_key.clone(), flow);
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
