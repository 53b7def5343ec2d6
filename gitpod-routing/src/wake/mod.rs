//! Starts stopped workspaces for who comes to them.

pub(crate) mod decide;
mod flight;
#[cfg_attr(
    not(feature = "proxy"),
    expect(dead_code, reason = "only who dials needs it")
)]
mod patience;
mod starter;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

pub(crate) use self::patience::Patience;
pub use self::starter::{MemoryStarter, StartError, Starter};
use crate::id::{InstanceId, WorkspaceId};
use crate::info::{WorkspaceInfo, WorkspaceInfoProvider};
use crate::refusal::NotWoken;
use crate::secret::OwnerToken;

/// Starts stopped workspaces for who comes to them, each once however many come, and holds
/// those who come until it runs.
///
/// The stage [`Wake`](crate::layers::Wake) uses it for HTTP; other protocols call
/// [`wake`](Self::wake). Clones are one and the same. Needs a tokio runtime.
///
/// ```
/// # use std::{net::Ipv4Addr, sync::Arc};
/// # use gitpod_routing::{MemoryProvider, MemoryStarter, OwnerToken, RunState, Wakes, WorkspaceInfo};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let workspaces = MemoryProvider::new();
/// # let info = Arc::new(WorkspaceInfo::new("pink-panda-ns35kd21".parse()?, "i-1".parse()?, OwnerToken::new("t")));
/// # workspaces.insert(WorkspaceInfo::clone(&info));
/// # let starter = MemoryStarter::new(workspaces.clone(), Ipv4Addr::LOCALHOST.into());
/// let wakes = Wakes::new(Arc::new(starter.clone()), Arc::new(workspaces));
/// let (one, other) = tokio::join!(wakes.wake(&info), wakes.wake(&info));
/// assert_eq!((one?.state, other?.state), (RunState::Running, RunState::Running));
/// assert_eq!(starter.starts(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Wakes(Arc<Shared>);

struct Shared {
    starter: Arc<dyn Starter>,
    provider: Arc<dyn WorkspaceInfoProvider>,
    limits: WakeLimits,
    table: Mutex<Table>,
    /// Entries of the table, so that an empty one costs nothing.
    entries: AtomicUsize,
    /// Nobody is held any more.
    closed: watch::Sender<bool>,
}

#[derive(Default)]
struct Table {
    workspaces: HashMap<WorkspaceId, Entry, RandomState>,
    held: usize,
}

/// What is remembered of one workspace after somebody came to it while it did not run.
struct Entry {
    began: Instant,
    end: watch::Receiver<Option<End>>,
    held: usize,
    former: Option<Former>,
}

/// How a start ended.
#[derive(Clone)]
enum End {
    Running(Arc<WorkspaceInfo>),
    Failed(Failure),
    /// Somebody asked for that meanwhile.
    Stopped,
    /// There is no such workspace any more.
    Gone,
    TimedOut,
}

/// A start that came to nothing.
#[derive(Clone)]
struct Failure {
    at: Instant,
    /// The last run that was seen.
    last: Arc<WorkspaceInfo>,
}

impl Failure {
    fn of(last: &Arc<WorkspaceInfo>) -> Self {
        Self {
            at: Instant::now(),
            last: Arc::clone(last),
        }
    }

    /// Whether it says anything of the workspace as `info` knows it: not once somebody else
    /// has started another run.
    fn concerns(&self, info: &WorkspaceInfo, now: Instant) -> bool {
        let is_newer =
            info.instance != self.last.instance && info.created_at > self.last.created_at;
        now < self.at + FAILURE_PAUSE && !is_newer
    }
}

/// The run before the one that was started here: who was its owner still is.
#[derive(Clone, Debug)]
pub(crate) struct Former {
    pub(crate) instance: InstanceId,
    pub(crate) token: OwnerToken,
    /// The run that was started, once it runs, with its token.
    next: Option<(InstanceId, OwnerToken)>,
    until: Instant,
}

impl Former {
    /// Whether `info` is of the run that was started after this one. With a new token the
    /// owner has taken back what older ones opened.
    fn is_before(&self, info: &WorkspaceInfo) -> bool {
        self.instance != info.instance
            && self.next.as_ref().is_none_or(|(instance, token)| {
                *instance == info.instance && token.matches(info.owner_token.expose().as_bytes())
            })
    }
}

impl Wakes {
    /// Starts with `starter`, and sees from `provider` what runs.
    #[must_use]
    pub fn new(starter: Arc<dyn Starter>, provider: Arc<dyn WorkspaceInfoProvider>) -> Self {
        Self(Arc::new(Shared {
            starter,
            provider,
            limits: WakeLimits::new(),
            table: Mutex::default(),
            entries: AtomicUsize::new(0),
            closed: watch::Sender::new(false),
        }))
    }

    /// Within `limits`, in the place of the default ones. Forgets what is on its way.
    #[must_use]
    pub fn with_limits(self, limits: WakeLimits) -> Self {
        Self(Arc::new(Shared {
            starter: Arc::clone(&self.0.starter),
            provider: Arc::clone(&self.0.provider),
            limits,
            table: Mutex::default(),
            entries: AtomicUsize::new(0),
            closed: watch::Sender::new(false),
        }))
    }

    /// Starts the workspace of `info` unless it is on its way already, and waits until it
    /// runs: what is known of it then. Whether the caller may start it is up to the caller;
    /// see [`WorkspaceInfo::wake`](crate::WorkspaceInfo). Giving up does not undo the start.
    ///
    /// # Errors
    ///
    /// [`NotWoken`] if it does not run in time, or too many wait.
    pub async fn wake(&self, info: &Arc<WorkspaceInfo>) -> Result<Arc<WorkspaceInfo>, NotWoken> {
        self.hold(info, self.0.limits.deadline).await
    }

    /// Lets nobody wait any longer: for a process that ends, and has to answer before. Starts
    /// that are under way go on.
    pub fn close(&self) {
        self.0.closed.send_replace(true);
    }

    /// As [`wake`](Self::wake), for at most `patience`.
    pub(crate) async fn hold(
        &self,
        info: &Arc<WorkspaceInfo>,
        patience: Duration,
    ) -> Result<Arc<WorkspaceInfo>, NotWoken> {
        let until = Instant::now() + patience.min(self.0.limits.deadline);
        let (mut end, _place) = self.join(info)?;
        let mut closed = self.0.closed.subscribe();
        let ended = tokio::select! {
            biased;
            ended = timeout_at(until, end.wait_for(Option::is_some)) => ended,
            _ = closed.wait_for(|closed| *closed) => return Err(NotWoken::TimedOut),
        };
        match ended.map(|end| end.ok().and_then(|end| end.clone())) {
            Ok(Some(End::Running(info))) => Ok(info),
            Ok(Some(End::Failed(_)) | None) => Err(NotWoken::Failed),
            Ok(Some(End::Stopped)) => Err(NotWoken::Stopped),
            Ok(Some(End::Gone)) => Err(NotWoken::Gone),
            Ok(Some(End::TimedOut)) | Err(_) => Err(NotWoken::TimedOut),
        }
    }

    pub(crate) fn limits(&self) -> &WakeLimits {
        &self.0.limits
    }

    /// Whether workspace `id` is being brought up here.
    pub(crate) fn is_under_way(&self, id: &WorkspaceId) -> bool {
        let table = self.0.lock();
        let entry = table.workspaces.get(id);
        entry.is_some_and(|entry| entry.end.borrow().is_none())
    }

    /// With a server of workspace `id` that may still be on its way up, because the workspace was
    /// started here.
    pub(crate) fn patience(&self, id: &WorkspaceId) -> Option<Patience> {
        let settles = self.settles_at(id)?;
        Some(self.patience_until(settles, id))
    }

    /// With a server of workspace `id`, until `settles`.
    pub(crate) fn patience_until(&self, settles: Instant, id: &WorkspaceId) -> Patience {
        Patience::new(self.clone(), id.clone(), settles)
    }

    /// Until when a server of workspace `id` may still be on its way up.
    fn settles_at(&self, id: &WorkspaceId) -> Option<Instant> {
        if self.0.entries.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let table = self.0.lock();
        let settled = table.workspaces.get(id)?.began + self.0.limits.deadline;
        (Instant::now() < settled).then_some(settled)
    }

    /// The run of the workspace before that of `info`, if that was started here a while ago.
    pub(crate) fn former(&self, info: &WorkspaceInfo) -> Option<Former> {
        if self.0.entries.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let former = self.0.lock().workspaces.get(&info.id)?.former.clone();
        former.filter(|former| Instant::now() < former.until && former.is_before(info))
    }

    /// The run that was started in the place of that of `ended`, once it runs.
    pub(crate) fn after(&self, ended: &WorkspaceInfo) -> Option<WorkspaceInfo> {
        let former = self.0.lock().workspaces.get(&ended.id)?.former.clone();
        let former = former.filter(|former| {
            let is_same = former.instance == ended.instance && Instant::now() < former.until;
            is_same && former.token.matches(ended.owner_token.expose().as_bytes())
        });
        let (instance, owner_token) = former?.next?;
        let mut next = ended.clone();
        (next.instance, next.owner_token) = (instance, owner_token);
        Some(next)
    }

    /// Takes a place among those who wait for workspace `info`, and sees to its start.
    fn join(
        &self,
        info: &Arc<WorkspaceInfo>,
    ) -> Result<(watch::Receiver<Option<End>>, Place), NotWoken> {
        let now = Instant::now();
        let limits = &self.0.limits;
        let mut table = self.0.lock();
        let table = &mut *table;
        if table.held >= limits.held {
            return Err(NotWoken::QueueFull); // nor is anything started for it
        }
        let entry = match table.workspaces.get_mut(&info.id) {
            Some(entry) if entry.is_of_use(info, now) => entry,
            _ => {
                let limits = limits.clone();
                table
                    .workspaces
                    .retain(|_, entry| !entry.is_over(&limits, now));
                let before = table.workspaces.remove(&info.id);
                let entry = Entry {
                    began: now,
                    end: flight::begin(Arc::clone(&self.0), Arc::clone(info)),
                    held: before.as_ref().map_or(0, |entry| entry.held),
                    former: before.and_then(|entry| entry.former),
                };
                table.workspaces.entry(info.id.clone()).or_insert(entry)
            }
        };
        let end = entry.end.clone();
        self.0
            .entries
            .store(table.workspaces.len(), Ordering::Relaxed);
        let place = self.0.place(table, &info.id)?;
        Ok((end, place))
    }
}

impl Entry {
    /// Whether who comes now is answered by this start: it goes on, or has just failed.
    fn is_of_use(&self, info: &WorkspaceInfo, now: Instant) -> bool {
        match &*self.end.borrow() {
            None => true,
            Some(End::Failed(failure)) => failure.concerns(info, now),
            Some(End::Running(_) | End::Stopped | End::Gone | End::TimedOut) => false,
        }
    }

    /// Whether what became of its start is told to whoever comes.
    fn is_told(&self, now: Instant) -> bool {
        match &*self.end.borrow() {
            None => true,
            Some(End::Failed(failure)) => now < failure.at + FAILURE_PAUSE,
            Some(_) => false,
        }
    }

    fn is_over(&self, limits: &WakeLimits, now: Instant) -> bool {
        let is_known = self
            .former
            .as_ref()
            .is_some_and(|former| now < former.until);
        let is_settled = now >= self.began + limits.deadline;
        self.held == 0 && !is_known && is_settled && !self.is_told(now)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing in the table is half done when a thread panics.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place among those in `table` who wait for workspace `id`.
    fn place(self: &Arc<Self>, table: &mut Table, id: &WorkspaceId) -> Result<Place, NotWoken> {
        let entry = table.workspaces.get_mut(id);
        let held = entry.as_ref().map_or(0, |entry| entry.held);
        if table.held >= self.limits.held || held >= self.limits.held_per_workspace {
            return Err(NotWoken::QueueFull);
        }
        if let Some(entry) = entry {
            entry.held += 1;
        }
        table.held += 1;
        metrics::gauge!("gitpod_ws_proxy_held_requests").increment(1.0);
        Ok(Place(Arc::clone(self), id.clone()))
    }

    /// Whether somebody waits for workspace `id`, and may go on waiting.
    fn is_awaited(&self, id: &WorkspaceId) -> bool {
        let held = self.lock().workspaces.get(id).map(|entry| entry.held);
        held.is_some_and(|held| held > 0) && !*self.closed.borrow()
    }

    /// Remembers `info` as the run before the one that is about to start; but the one before
    /// that if `info` never ran, since nobody has heard of its token.
    fn remember(&self, info: &WorkspaceInfo) {
        if let Some(entry) = self.lock().workspaces.get_mut(&info.id) {
            let now = Instant::now();
            let before = entry.former.as_ref();
            if before.is_some_and(|former| former.next.is_none() && now < former.until) {
                return;
            }
            entry.former = Some(Former {
                instance: info.instance.clone(),
                token: info.owner_token.clone(),
                next: None,
                until: Instant::now() + FORMER_OWNER,
            });
        }
    }

    /// Remembers `info` as the run that was started.
    fn remember_next(&self, info: &WorkspaceInfo) {
        let mut table = self.lock();
        let entry = table.workspaces.get_mut(&info.id);
        let former = entry.and_then(|entry| entry.former.as_mut());
        if let Some(former) = former.filter(|former| former.next.is_none()) {
            former.next = Some((info.instance.clone(), info.owner_token.clone()));
        }
    }
}

/// Of one who waits.
#[derive(Debug)]
pub(crate) struct Place(Arc<Shared>, WorkspaceId);

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.0.lock();
        table.held = table.held.saturating_sub(1);
        if let Some(entry) = table.workspaces.get_mut(&self.1) {
            entry.held = entry.held.saturating_sub(1);
        }
        drop(table);
        metrics::gauge!("gitpod_ws_proxy_held_requests").decrement(1.0);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("starter", &self.starter)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Wakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wakes").field(&self.0).finish()
    }
}

/// How much may wait for workspaces that start, and for how long.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct WakeLimits {
    /// How long a request is held: until the workspace runs and the server in it answers.
    pub deadline: Duration,
    /// How many requests wait for one workspace at a time.
    pub held_per_workspace: usize,
    /// How many wait altogether.
    pub held: usize,
    /// Bytes of body that a request may announce. Bodies are not read while it waits.
    pub body: u64,
}

impl WakeLimits {
    /// 60 s, as long as proxies in front usually wait; 1000 requests for a workspace, more
    /// than a browser with many tabs has; 10 000 altogether, which take some 100 MB; bodies
    /// of 1 MiB, since clients send more of one before they notice that nobody reads.
    #[must_use]
    pub fn new() -> Self {
        Self {
            deadline: Duration::from_secs(60),
            held_per_workspace: 1000,
            held: 10_000,
            body: 1024 * 1024,
        }
    }

    /// Holding for `deadline` at most.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Holding `requests` for one workspace.
    #[must_use]
    pub fn with_held_per_workspace(mut self, requests: usize) -> Self {
        self.held_per_workspace = requests;
        self
    }

    /// Holding `requests` altogether.
    #[must_use]
    pub fn with_held(mut self, requests: usize) -> Self {
        self.held = requests;
        self
    }

    /// Holding requests whose body is of `bytes` at most.
    #[must_use]
    pub fn with_body(mut self, bytes: u64) -> Self {
        self.body = bytes;
        self
    }
}

impl Default for WakeLimits {
    fn default() -> Self {
        Self::new()
    }
}

/// After a start failed, so that clients who try again do not start it again and again.
const FAILURE_PAUSE: Duration = Duration::from_secs(10);

/// How long the cookie of the run before makes its owner known: browsers come back with it
/// once, and get the new one.
const FORMER_OWNER: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests;
