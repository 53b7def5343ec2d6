//! What starts workspaces.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use crate::id::IdError;
use crate::info::{BoxError, RunState, WorkspaceInfo};
use crate::memory::MemoryProvider;

/// Starts a workspace that somebody wants to use.
///
/// Called at most once at a time for a workspace, by a task of its own that is dropped only
/// when the deadline of [`WakeLimits`](crate::WakeLimits) is over; proxies beside this one
/// may call at the same time. Whether the workspace runs
/// then is seen from the [`WorkspaceInfoProvider`](crate::WorkspaceInfoProvider), not from
/// this answer, so return as soon as the start has been accepted.
///
/// # Contract
///
/// - `Ok(())`: a new run is on its way, or already there; the provider shows it as another
///   `instance` soon. Starting what starts or runs changes nothing.
/// - `Err(_)`: there will be none. Everyone who waits is refused with 503, and nobody asks
///   again for ten seconds.
///
/// # Source
///
/// Chosen by us: in the reference a start page calls the server.
#[async_trait]
pub trait Starter: fmt::Debug + Send + Sync + 'static {
    /// Has the workspace of `info`, which is stopped, started.
    ///
    /// # Errors
    ///
    /// [`StartError`]; see the contract.
    async fn start(&self, info: &WorkspaceInfo) -> Result<(), StartError>;

    /// Whether the run `ended`, which was over before it ran, was stopped because somebody
    /// asked for that. Then it has not failed: for who still waits another one is started, once,
    /// and whoever comes next need not wait for ten seconds.
    ///
    /// The default says no: every run that ends so early has failed.
    async fn was_asked_to_stop(&self, _ended: &WorkspaceInfo) -> bool {
        false
    }
}

/// The workspace will not start. Clients are not told why; the log is.
#[derive(Debug, thiserror::Error)]
#[error("workspace will not start")]
#[non_exhaustive]
pub struct StartError(#[source] BoxError);

impl StartError {
    /// It will not start because of `why`.
    #[must_use]
    pub fn new(why: impl Into<BoxError>) -> Self {
        Self(why.into())
    }
}

/// A [`Starter`] for what is in a [`MemoryProvider`]: a stopped workspace becomes another
/// run with the same owner token. It counts, for tests. Clones share everything.
#[derive(Clone, Debug)]
pub struct MemoryStarter {
    workspaces: MemoryProvider,
    address: IpAddr,
    reaches: RunState,
    starts: Arc<AtomicU64>,
}

impl MemoryStarter {
    /// Has workspaces of `workspaces` run at `address`, at once.
    #[must_use]
    pub fn new(workspaces: MemoryProvider, address: IpAddr) -> Self {
        Self {
            workspaces,
            address,
            reaches: RunState::Running,
            starts: Arc::default(),
        }
    }

    /// Leaves them at `state`, such as [`RunState::Starting`].
    #[must_use]
    pub fn reaching(mut self, state: RunState) -> Self {
        self.reaches = state;
        self
    }

    /// How often something was started.
    #[must_use]
    pub fn starts(&self) -> u64 {
        self.starts.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Starter for MemoryStarter {
    async fn start(&self, info: &WorkspaceInfo) -> Result<(), StartError> {
        let Some(known) = self.workspaces.get(&info.id) else {
            return Err(StartError::new("there is no such workspace"));
        };
        if known.state != RunState::Stopped {
            return Ok(());
        }
        let number = self.starts.fetch_add(1, Ordering::SeqCst) + 1;
        let mut next = WorkspaceInfo::clone(&known).running_at(self.address);
        next.state = self.reaches;
        let name = format!("run-{number}");
        next.instance = name.parse().map_err(|why: IdError| StartError::new(why))?;
        self.workspaces.insert(next);
        Ok(())
    }
}
