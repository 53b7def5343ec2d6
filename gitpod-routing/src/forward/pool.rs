//! Idle connections to workspaces.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use foldhash::fast::RandomState;
use hyper::client::conn::http1::SendRequest;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::connection_timer::ConnectionTimer;
use crate::forward::body::RequestBody;
use crate::forward::connect::DialTarget;
use crate::forward::exchange::InFlight;
use crate::id::{InstanceId, WorkspaceId};
use crate::info::Protocol;
use crate::service::WorkspaceService;

/// The side of a connection that requests go into.
pub(crate) type Sender = SendRequest<RequestBody>;

/// Keeps connections for the next request to the same server of the same run.
///
/// All connections of a workspace are dropped as soon as a request comes for another run
/// or another address of it, so a reused address never gets another workspace's request.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    workspaces: Mutex<Runs>,
    idle_timeout: Duration,
    max_idle_per_server: usize,
}

/// By workspace, and placed by a seed that nobody outside knows.
type Runs = HashMap<WorkspaceId, Run, RandomState>;

/// Connections to one run of a workspace.
struct Run {
    instance: InstanceId,
    address: Option<IpAddr>,
    servers: HashMap<Server, Vec<Idle>, RandomState>,
}

#[derive(Clone, Copy, Eq, Hash, PartialEq)]
struct Server {
    service: WorkspaceService,
    debug: bool,
    protocol: Protocol,
}

struct Idle {
    upstream: Upstream,
    since: Instant,
}

/// A connection to a server, and the timer of what is waited for on it.
pub(crate) struct Upstream {
    pub(crate) sender: Sender,
    pub(crate) timer: ConnectionTimer,
}

impl Upstream {
    pub(crate) fn new(sender: Sender) -> Self {
        let timer = ConnectionTimer::new();
        Self { sender, timer }
    }
}

impl Pool {
    pub(crate) fn new(idle_timeout: Duration, max_idle_per_server: usize) -> Self {
        Self(Arc::new(Shared {
            workspaces: Mutex::default(),
            idle_timeout,
            max_idle_per_server,
        }))
    }

    /// An idle connection to `target`, if one is open.
    pub(crate) fn take(&self, target: &DialTarget, now: Instant) -> Option<Upstream> {
        let mut workspaces = self.0.lock();
        let run = workspaces.get_mut(&target.info.id)?;
        if !run.is_of(target) {
            workspaces.remove(&target.info.id);
            return None;
        }
        let idle = run.servers.get_mut(&Server::of(target))?;
        let expired = now - self.0.idle_timeout;
        while let Some(newest) = idle.pop() {
            if newest.upstream.sender.is_ready() && newest.since > expired {
                return Some(newest.upstream);
            }
        }
        None
    }

    fn put(&self, target: &DialTarget, upstream: Upstream) {
        let mut workspaces = self.0.lock();
        let was_empty = workspaces.is_empty();
        let run = workspaces
            .entry(target.info.id.clone())
            .or_insert_with(|| Run::of(target));
        if !run.is_of(target) {
            return; // a request of an older run came back late
        }
        let idle = run.servers.entry(Server::of(target)).or_default();
        if idle.len() < self.0.max_idle_per_server {
            let since = Instant::now();
            idle.push(Idle { upstream, since });
        }
        drop(workspaces);
        if was_empty && let Ok(runtime) = Handle::try_current() {
            runtime.spawn(reap(Arc::downgrade(&self.0), self.0.idle_timeout));
        }
    }
}

/// Closes connections that were idle for too long, until none is left.
async fn reap(shared: Weak<Shared>, idle_timeout: Duration) {
    loop {
        sleep(idle_timeout).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let expired = Instant::now() - idle_timeout;
        let mut workspaces = shared.lock();
        workspaces.retain(|_, run| {
            run.servers.retain(|_, idle| {
                idle.retain(|one| one.since > expired && one.upstream.sender.is_ready());
                !idle.is_empty()
            });
            !run.servers.is_empty()
        });
        if workspaces.is_empty() {
            return;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Runs> {
        // Nothing in the table is half done when a thread panics.
        self.workspaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    fn of(target: &DialTarget) -> Self {
        Self {
            instance: target.info.instance.clone(),
            address: target.info.address,
            servers: HashMap::default(),
        }
    }

    fn is_of(&self, target: &DialTarget) -> bool {
        self.instance == target.info.instance && self.address == target.info.address
    }
}

impl Server {
    fn of(target: &DialTarget) -> Self {
        Self {
            service: target.service,
            debug: target.debug,
            protocol: target.protocol(),
        }
    }
}

/// Brings a connection back once its response has been read.
pub(crate) struct Checkin {
    pub(crate) flight: Arc<InFlight>,
    pub(crate) upstream: Upstream,
}

impl Checkin {
    pub(crate) fn give_back(self) {
        if self.upstream.sender.is_ready() {
            self.put();
        } else if let Ok(runtime) = Handle::try_current() {
            // The connection's own task has yet to notice, or still sends the request.
            runtime.spawn(async move {
                let mut checkin = self;
                if checkin.upstream.sender.ready().await.is_ok() {
                    checkin.put();
                }
            });
        }
    }

    fn put(self) {
        let InFlight { shared, target, .. } = &*self.flight;
        shared.pool.put(target, self.upstream);
    }
}
