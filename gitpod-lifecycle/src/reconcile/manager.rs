//! The manager: what others ask to make, change and end instances.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use gitpod_routing::InstanceId;
use jiff::Timestamp;
use tokio::sync::{Mutex as AsyncMutex, Notify, RwLock, RwLockReadGuard, watch};
use tracing::warn;

use super::clock::Clock;
use super::error::ManageError;
use super::watched::{INTERVAL, Watched};
use super::worker::Worker;
use crate::change::Change;
use crate::cluster::Cluster;
use crate::content::ContentStore;
use crate::explain::{Explanation, explain_but};
use crate::facts::Maintenance;
use crate::memory::lock;
use crate::records::{Record, RecordError, Records};
use crate::settings::Settings;
use crate::spec::WorkspaceName;
use crate::status::update::StatusUpdate;
use crate::subscribe::{ContentProgress, Publisher, Subscription};

/// What a [`Manager`] works with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Adapters {
    /// Keeps specs and statuses.
    pub records: Arc<dyn Records>,
    /// Runs runners.
    pub cluster: Arc<dyn Cluster>,
    /// Keeps files.
    pub content: Arc<dyn ContentStore>,
}

impl Adapters {
    /// These three.
    pub fn new(records: impl Records, cluster: impl Cluster, content: impl ContentStore) -> Self {
        Self {
            records: Arc::new(records),
            cluster: Arc::new(cluster),
            content: Arc::new(content),
        }
    }
}

/// Starts, watches, changes and stops instances.
///
/// Everything it knows is in its [`Records`] and [`Cluster`]: one that is opened
/// on those of an earlier one goes on with its instances. Cloning shares it; the
/// instances run on when the last clone is dropped, and nobody looks after them.
///
/// ```
/// use std::sync::Arc;
/// use gitpod_lifecycle::{Adapters, Clock, Manager, MemoryCluster, MemoryContent, MemoryRecords};
/// # fn settings() -> gitpod_lifecycle::Settings {
/// #     let template = "http://{{ .Prefix }}.localhost/".parse().unwrap_or_else(|_| unreachable!());
/// #     let ports = "http://{{ .WorkspacePort }}-{{ .Prefix }}.localhost/".parse().unwrap_or_else(|_| unreachable!());
/// #     gitpod_lifecycle::Settings::new(template, ports)
/// # }
///
/// # async fn example() -> Result<(), gitpod_lifecycle::ManageError> {
/// let adapters = Adapters::new(MemoryRecords::new(), MemoryCluster::new(), MemoryContent::new());
/// let manager = Manager::open(adapters, settings(), Clock::system()).await?;
/// assert!(manager.list().await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Manager {
    pub(super) shared: Arc<Shared>,
    /// Workers end when it is gone.
    alive: Arc<watch::Sender<()>>,
    broken: Arc<Vec<RecordError>>,
}

/// What the manager and its workers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) adapters: Adapters,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) publisher: Publisher,
    /// Held while it is decided whether a workspace may get another instance.
    pub(super) starting: AsyncMutex<()>,
    maintenance: Mutex<Maintenance>,
    workers: Mutex<HashMap<InstanceId, Arc<Notify>>>,
    /// When each was last used, also where that is not recorded: because it was just
    /// before, or because the record could not be kept.
    used: Mutex<HashMap<InstanceId, Timestamp>>,
    /// When it could see who is used.
    watched: Mutex<Watched>,
    /// Told whenever a worker has ended.
    ended: Notify,
    alive: watch::Receiver<()>,
    /// Held while something is changed; false once it was [closed](Manager::close).
    open: RwLock<bool>,
}

impl Manager {
    /// A manager that goes on with the instances of `adapters`. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    ///
    /// If the records cannot be listed. Single records that cannot be read are no
    /// error: see [`broken_records`](Self::broken_records).
    pub async fn open(
        adapters: Adapters,
        settings: Settings,
        clock: Clock,
    ) -> Result<Self, ManageError> {
        let manager = Self::at_rest(adapters, settings, clock).await?;
        manager.begin().await?;
        Ok(manager)
    }

    /// The same, but that nothing is done for the instances of an earlier manager until
    /// [`begin`](Self::begin): whoever must see every status subscribes in between.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn at_rest(
        adapters: Adapters,
        settings: Settings,
        clock: Clock,
    ) -> Result<Self, ManageError> {
        let (alive_sender, alive) = watch::channel(());
        let shared = Arc::new(Shared {
            adapters,
            settings,
            watched: Mutex::new(Watched::from(clock.now())),
            clock,
            publisher: Publisher::new(),
            starting: AsyncMutex::new(()),
            maintenance: Mutex::default(),
            workers: Mutex::default(),
            used: Mutex::default(),
            ended: Notify::new(),
            alive,
            open: RwLock::new(true),
        });
        tokio::spawn(dispatch(
            Arc::downgrade(&shared),
            shared.changes(),
            shared.alive.clone(),
        ));
        tokio::spawn(watch(Arc::downgrade(&shared), shared.alive.clone()));
        let listing = shared.adapters.records.list().await?;
        Ok(Self {
            shared,
            alive: Arc::new(alive_sender),
            broken: Arc::new(listing.broken),
        })
    }

    /// Goes on with the instances of an earlier manager. Asked again, it looks at all
    /// instances once more, which does no harm.
    ///
    /// # Errors
    ///
    /// If the records cannot be listed.
    pub async fn begin(&self) -> Result<(), ManageError> {
        let listing = self.shared.adapters.records.list().await?;
        for record in &listing.records {
            self.shared.wake(&record.spec.instance);
        }
        Ok(())
    }

    /// Lets go of all instances, for another manager to look after, maybe in another process:
    /// waits until nothing is under way, and refuses with [`ManageError::Closed`] whatever is to be
    /// changed from then on. The instances run on.
    pub async fn close(&self) {
        *self.shared.open.write().await = false;
        self.alive.send_replace(());
        loop {
            let ended = self.shared.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if lock(&self.shared.workers).is_empty() {
                return;
            }
            ended.await;
        }
    }

    /// Why some records could not be read when it was opened. Their instances are
    /// not looked after.
    #[must_use]
    pub fn broken_records(&self) -> &[RecordError] {
        &self.broken
    }

    /// What is the same for all instances.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Everything about `instance`.
    ///
    /// # Errors
    ///
    /// [`ManageError::NotFound`] if there is no such instance, or none any more.
    pub async fn describe(&self, instance: &InstanceId) -> Result<Description, ManageError> {
        let record = self.shared.record(instance).await?;
        Ok(self.description(record))
    }

    /// Everything about all instances, in no order.
    ///
    /// # Errors
    ///
    /// If the records cannot be listed.
    pub async fn list(&self) -> Result<Vec<Description>, ManageError> {
        let listing = self.shared.adapters.records.list().await?;
        Ok(listing
            .records
            .into_iter()
            .map(|record| self.description(record))
            .collect())
    }

    fn description(&self, mut record: Record) -> Description {
        self.shared.add_last_use(&mut record);
        let (settings, now) = (&self.shared.settings, self.shared.now());
        let missed = self.shared.missed(&record);
        Description {
            update: self.shared.update_of(&record),
            explanation: explain_but(&record.spec, &record.status, settings, missed, now),
            record,
        }
    }

    /// The status of every instance each time it changes.
    #[must_use]
    pub fn subscribe(&self) -> Subscription<StatusUpdate> {
        self.shared.publisher.subscribe()
    }

    /// How far content is that is being put in place.
    #[must_use]
    pub fn subscribe_progress(&self) -> Subscription<ContentProgress> {
        self.shared.publisher.subscribe_progress()
    }

    /// Waits until nothing is left of `instance`. Returns at once if there is no
    /// such instance.
    ///
    /// # Errors
    ///
    /// If the records cannot be read.
    pub async fn gone(&self, instance: &InstanceId) -> Result<(), ManageError> {
        loop {
            let ended = self.shared.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.shared.adapters.records.get(instance).await?.is_none() {
                return Ok(());
            }
            ended.await;
        }
    }

    /// Removes the files of `workspace`.
    ///
    /// # Errors
    ///
    /// [`ManageError::AlreadyRuns`] if it has an instance; and if the files
    /// cannot be removed.
    pub async fn delete_content(&self, workspace: &WorkspaceName) -> Result<(), ManageError> {
        let _open = self.shared.enter().await?;
        let _starting = self.shared.starting.lock().await;
        let listing = self.shared.adapters.records.list().await?;
        if let Some(record) = listing
            .records
            .iter()
            .find(|r| r.spec.workspace == *workspace)
        {
            return Err(ManageError::AlreadyRuns {
                workspace: workspace.clone(),
                instance: record.spec.instance.clone(),
            });
        }
        Ok(self.shared.adapters.content.delete(workspace).await?)
    }

    /// Whether maintenance is on.
    #[must_use]
    pub fn maintenance(&self) -> Maintenance {
        self.shared.maintenance()
    }

    /// Begins or ends maintenance: while it is on, nothing is started or stopped.
    pub fn set_maintenance(&self, maintenance: Maintenance) {
        *lock(&self.shared.maintenance) = maintenance;
        self.shared.wake_all();
    }
}

/// Everything about one instance.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Description {
    /// What is wanted, and what has come of it.
    pub record: Record,
    /// The same as subscribers are told.
    pub update: StatusUpdate,
    /// Why it is alive, and when it stops.
    pub explanation: Explanation,
}

impl Shared {
    fn changes(&self) -> crate::change::Changes {
        let records = self.adapters.records.changes();
        Box::pin(stream::select(records, self.adapters.cluster.changes()))
    }

    /// Whoever changes something holds what is returned meanwhile.
    pub(super) async fn enter(&self) -> Result<RwLockReadGuard<'_, bool>, ManageError> {
        let open = self.open.read().await;
        match *open {
            true => Ok(open),
            false => Err(ManageError::Closed),
        }
    }

    pub(super) async fn record(&self, instance: &InstanceId) -> Result<Record, ManageError> {
        let found = self.adapters.records.get(instance).await?;
        found.ok_or_else(|| ManageError::NotFound(instance.clone()))
    }

    pub(super) fn update_of(&self, record: &Record) -> StatusUpdate {
        StatusUpdate::of(&record.spec, &record.status, record.version, &self.settings)
    }

    pub(super) fn maintenance(&self) -> Maintenance {
        *lock(&self.maintenance)
    }

    /// Lets the worker of `instance` look again; makes one if there is none.
    pub(super) fn wake(self: &Arc<Self>, instance: &InstanceId) {
        let mut workers = lock(&self.workers);
        if self.is_closed() {
            return; // somebody else looks after it
        }
        if let Some(wake) = workers.get(instance) {
            return wake.notify_one();
        }
        let wake = Arc::new(Notify::new());
        workers.insert(instance.clone(), Arc::clone(&wake));
        drop(workers);
        let worker = Worker::new(Arc::clone(self), instance.clone(), wake);
        tokio::spawn(worker.run(self.alive.clone()));
    }

    /// Whether it was closed, or is about to be; asked with `workers` locked.
    fn is_closed(&self) -> bool {
        self.open.try_read().is_ok_and(|open| !*open)
    }

    /// `instance`, which exists, is used.
    pub(super) fn note_use(&self, instance: &InstanceId, now: Timestamp) {
        let mut used = lock(&self.used);
        let last = used.entry(instance.clone()).or_insert(now);
        *last = now.max(*last);
    }

    /// What is recorded of the last use may be older than what is known.
    pub(super) fn add_last_use(&self, record: &mut Record) {
        if self.settings.rules.are_improved() {
            let known = lock(&self.used).get(&record.spec.instance).copied();
            record.status.last_activity = record.status.last_activity.max(known);
        }
    }

    /// What time it is, for whoever decides by it. That this process did not run is noticed
    /// here, so that nobody is stopped before it is.
    pub(super) fn now(&self) -> Timestamp {
        let now = self.clock.now();
        if let Some(missed) = lock(&self.watched).look(now) {
            warn!(
                ?missed,
                "this process did not run; that time counts for no limit on idleness"
            );
        }
        now
    }

    /// How much of the time since the last use of `record`, or else since it was made, nobody
    /// could see whether it is used.
    pub(super) fn missed(&self, record: &Record) -> Duration {
        if !self.settings.rules.are_improved() {
            return Duration::ZERO;
        }
        let since = record.status.last_activity;
        lock(&self.watched).missed_since(since.unwrap_or(record.spec.created_at))
    }

    fn wake_all(&self) {
        lock(&self.workers)
            .values()
            .for_each(|wake| wake.notify_one());
    }

    /// The worker of `instance` has nothing more to do.
    pub(super) fn worker_ended(&self, instance: &InstanceId) {
        lock(&self.workers).remove(instance);
        lock(&self.used).remove(instance);
        self.ended.notify_waiters();
    }
}

/// Looks at the clock, as long as there is a manager.
async fn watch(shared: Weak<Shared>, mut alive: watch::Receiver<()>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            _ = alive.changed() => return,
        }
        match shared.upgrade() {
            Some(shared) => shared.now(),
            None => return,
        };
    }
}

/// Wakes the worker of each instance that changes, as long as there is a manager.
async fn dispatch(
    shared: Weak<Shared>,
    mut changes: crate::change::Changes,
    mut alive: watch::Receiver<()>,
) {
    loop {
        let change = tokio::select! {
            change = changes.next() => change,
            _ = alive.changed() => return,
        };
        let (Some(change), Some(shared)) = (change, shared.upgrade()) else {
            return;
        };
        match change {
            Change::Of(instance) => shared.wake(&instance),
            Change::OfAny => match shared.adapters.records.list().await {
                Ok(all) => all
                    .records
                    .iter()
                    .for_each(|r| shared.wake(&r.spec.instance)),
                Err(why) => warn!(%why, "records cannot be listed"),
            },
        }
    }
}
