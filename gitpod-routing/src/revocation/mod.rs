//! Ends what is open once it is no longer allowed.
//!
//! ```text
//! WebSocket, event stream, long body ──▶ Revocation::watch(permit) ─▶ Lease ─▶ ends it
//!                                              │ one task while anything is watched
//!            provider and shares: changes(), or asked twice a second
//! ```

mod lease;
mod sweep;

use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;

pub use self::lease::Lease;
use self::lease::{Stands, Stream};
use self::sweep::Sweep;
use crate::change::ChangeSignal;
use crate::id::WorkspaceId;
use crate::info::{WorkspaceInfo, WorkspaceInfoProvider};
use crate::links::ShareStore;
use crate::share::ShareId;
use crate::stage::Permit;
#[cfg(feature = "proxy")]
use crate::{
    access::{Access, Denied},
    refusal::Refusal,
    stage::ShareStanding,
};

/// Knows which streams are open and by what right, and tells those that lost it.
///
/// A port that is no longer public, a share that was revoked or has expired, a new owner
/// token, a workspace that stops, moves or is gone: within a second the streams that only
/// this allowed are told, and others do not notice: nor do visitors of a share at a port that
/// was public as well, as long as either stands. When it cannot be known whether a
/// workspace or a share still stands, its streams go on.
///
/// One task looks after all streams, from the first until the last. It sleeps until the
/// provider tells of changes; one that does not ([`WorkspaceInfoProvider::changes`] gives
/// `None`) is asked twice a second about workspaces with open streams. Watching needs a
/// tokio runtime. Clones are one and the same.
///
/// [`WorkspaceProxy`](crate::WorkspaceProxy) has one of its own; put together from layers,
/// [`Forward`](crate::Forward) takes one by `ForwardOptions::with_revocation`. Other
/// protocols watch theirs:
///
/// ```
/// # use std::{sync::Arc, net::Ipv4Addr};
/// # use gitpod_routing::{MemoryProvider, OwnerToken, Revocation, WorkspaceInfo};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), gitpod_routing::IdError> {
/// # let info = WorkspaceInfo::new("pink-panda-ns35kd21".parse()?, "i-1".parse()?, OwnerToken::new("t"));
/// # let info = info.running_at(Ipv4Addr::LOCALHOST.into());
/// # let workspaces = MemoryProvider::new();
/// # workspaces.insert(info.clone());
/// let revocation = Revocation::new(Arc::new(workspaces.clone()));
/// let key = info.ssh_public_keys.clone(); // what let somebody in
/// let lease = revocation.watch_while(&info.id, move |now| now.ssh_public_keys == key);
/// # workspaces.remove(&info.id);
/// lease.revoked().await; // beside the copying of bytes
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Revocation(Arc<Shared>);

struct Shared {
    provider: Arc<dyn WorkspaceInfoProvider>,
    shares: Option<Arc<dyn ShareStore>>,
    open: Mutex<Open>,
    /// Something was opened that has to be looked at soon.
    opened: ChangeSignal,
}

#[derive(Default)]
struct Open {
    workspaces: HashMap<WorkspaceId, Watched, RandomState>,
    next_number: u64,
    /// Whether the task that looks after them runs.
    is_swept: bool,
}

/// The open streams of one workspace.
#[derive(Default)]
struct Watched {
    streams: HashMap<u64, Arc<Stream>, RandomState>,
    /// What they were last compared with.
    seen: Option<Arc<WorkspaceInfo>>,
}

impl Revocation {
    /// Follows what `provider` says.
    #[must_use]
    pub fn new(provider: Arc<dyn WorkspaceInfoProvider>) -> Self {
        Self::of(provider, None)
    }

    /// Also follows which of `shares` stand. Without it, no stream of a visitor is cut
    /// before the workspace stops.
    #[must_use]
    pub fn with_shares(self, shares: Arc<dyn ShareStore>) -> Self {
        Self::of(Arc::clone(&self.0.provider), Some(shares))
    }

    fn of(provider: Arc<dyn WorkspaceInfoProvider>, shares: Option<Arc<dyn ShareStore>>) -> Self {
        Self(Arc::new(Shared {
            provider,
            shares,
            open: Mutex::default(),
            opened: ChangeSignal::new(),
        }))
    }

    /// Watches over something open that `permit` allows.
    #[must_use]
    pub fn watch(&self, permit: &Permit) -> Lease {
        let of = permit.clone();
        let stands = move |now: &WorkspaceInfo, share| of.still_stands(now, share);
        self.lease(permit.info().id.clone(), Box::new(stands), permit.share())
    }

    /// Watches over something open in workspace `id` that is allowed as long as `stands` says
    /// so of what is known of the workspace; never once it is gone. `stands` runs often and
    /// has to be quick.
    #[must_use]
    pub fn watch_while(
        &self,
        id: &WorkspaceId,
        stands: impl Fn(&WorkspaceInfo) -> bool + Send + Sync + 'static,
    ) -> Lease {
        self.lease(id.clone(), Box::new(move |now, _| stands(now)), None)
    }

    /// Whether `permit` still allows something, as far as is at hand.
    #[cfg(feature = "proxy")]
    pub(crate) fn still_allows(&self, permit: &Permit) -> bool {
        match self.0.provider.cached(&permit.info().id) {
            Some(Ok(Some(now))) => permit.still_stands(&now, ShareStanding::Stands),
            Some(Ok(None)) => false,
            Some(Err(_)) | None => true, // not known
        }
    }

    /// Why `permit` allows nothing any more, as far as is at hand.
    #[cfg(feature = "proxy")]
    pub(crate) fn why_lost(&self, permit: &Permit) -> Option<Refusal> {
        use crate::info::RunState;

        let (id, instance) = (&permit.info().id, &permit.info().instance);
        let Some(now) = self.0.provider.cached(id)?.ok()? else {
            return Some(Refusal::NoSuchWorkspace);
        };
        if permit.still_stands(&now, ShareStanding::Stands) {
            return None;
        }
        Some(match (now.state, permit.access()) {
            // Another run: who asks again is held until it answers.
            (RunState::Running, _) if now.instance != *instance => {
                Refusal::NotRunning(RunState::Starting)
            }
            (RunState::Running, Access::Owner) => Refusal::Denied(Denied::WrongToken),
            (RunState::Running, _) => Refusal::Denied(Denied::NoToken),
            (state, _) => Refusal::NotRunning(state),
        })
    }

    /// Compares a new stream with what is at hand. Tells whether something was.
    fn compare_with_cached(&self, workspace: &WorkspaceId, stream: &Stream) -> bool {
        let Some(Ok(now)) = self.0.provider.cached(workspace) else {
            return false;
        };
        if !now.is_some_and(|now| stream.stands(&now)) {
            stream.revoke();
        }
        true
    }

    fn lease(&self, workspace: WorkspaceId, stands: Stands, share: Option<ShareId>) -> Lease {
        let stream = Arc::new(Stream::new(stands, share));
        let mut open = self.0.lock();
        let number = open.next_number;
        open.next_number += 1;
        let watched = open.workspaces.entry(workspace.clone()).or_default();
        watched.streams.insert(number, Arc::clone(&stream));
        let was_swept = std::mem::replace(&mut open.is_swept, true);
        drop(open);
        // Only now: a change before this is found here, and one after it by the task.
        let is_sure = self.compare_with_cached(&workspace, &stream) && share.is_none();
        if was_swept {
            if !is_sure {
                self.0.look_again(&workspace);
            }
        } else if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(sweep::until_nothing_is_open(Sweep::of(&self.0)));
        } else {
            self.0.lock().is_swept = false; // outside of a runtime nobody can look
        }
        Lease::new(stream, Arc::clone(&self.0), workspace, number)
    }
}

impl Shared {
    /// Has the task compare the streams of `workspace` soon.
    fn look_again(&self, workspace: &WorkspaceId) {
        if let Some(watched) = self.lock().workspaces.get_mut(workspace) {
            watched.seen = None;
        }
        self.opened.send();
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing in the table is half done when a thread panics.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, workspace: &WorkspaceId, number: u64) {
        let mut open = self.lock();
        let Some(watched) = open.workspaces.get_mut(workspace) else {
            return;
        };
        let forgotten = watched.streams.remove(&number);
        if watched.streams.is_empty() {
            open.workspaces.remove(workspace);
        }
        drop(open);
        drop(forgotten);
    }
}

impl Watched {
    /// Tells those that lost their right to `now`; all if the workspace is gone.
    fn compare(&self, now: Option<&Arc<WorkspaceInfo>>) {
        for stream in self.streams.values() {
            if !now.is_some_and(|now| stream.stands(now)) {
                stream.revoke();
            }
        }
    }

    /// Tells those of visitors of `share`.
    fn end_share(&self, share: ShareId) {
        for stream in self.streams.values() {
            if stream.share() == Some(share) {
                stream.lose_share();
                // Some have another right.
                if !self.seen.as_ref().is_some_and(|now| stream.stands(now)) {
                    stream.revoke();
                }
            }
        }
    }
}

impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocation")
            .field("provider", &self.0.provider)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
