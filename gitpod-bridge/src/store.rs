//! Where instances and the outbox are kept.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gitpod_routing::{InstanceId, WorkspaceId};
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::BoxError;
use crate::plan::Plan;
use crate::publish::Message;
use crate::record::InstanceRow;
use crate::workspace::{NewInstance, NewWorkspace, Workspace, WorkspaceRecord};

/// Decides over one row: what is to be done, given the row and the store's clock.
///
/// Called with the row locked, and again if the store has to try again; so it
/// must only decide.
pub type Decide<'a> = &'a (dyn Fn(Option<&InstanceRow>, Timestamp) -> Plan + Send + Sync);

/// Keeps instances: the row and its announcements, in one transaction.
///
/// The bridge calls [`transact`](Self::transact) once for each status. Implement
/// it over your own tables; [`MemoryStore`](crate::MemoryStore) and
/// `SqliteStore` (feature `sqlite`) are at hand, and `conformance` (feature
/// `testing`) tells whether yours is right.
///
/// # Contract
///
/// - The row is locked from reading to commit: of two calls for one instance,
///   one waits for the other. Calls for other instances may run beside it.
/// - What [`Plan`] says is committed as a whole, or not at all: the columns of
///   [`InstanceState`](crate::InstanceState), and of no other writer; the
///   effects; one outbox entry for each announcement, never merged with an
///   earlier one; one outbox entry for each life event whose key is new.
/// - `Ok(plan)`: committed. `Err(_)`: not committed, or not known; calling again
///   is harmless, since a status that was taken is a duplicate.
///
/// Dropping the future rolls back, unless the commit had begun: then it may
/// have been committed.
///
/// # Source
///
/// Bridge specification, sections 18.2 and 18.5.
#[async_trait]
pub trait InstanceStore: fmt::Debug + Send + Sync + 'static {
    /// Locks row `id`, asks `decide`, and does what it says.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; whether to try again tells [`StoreError::is_transient`].
    async fn transact(&self, id: &InstanceId, decide: Decide<'_>) -> Result<Plan, StoreError>;

    /// The row of `id`, as last committed.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be read.
    async fn instance(&self, id: &InstanceId) -> Result<Option<InstanceRow>, StoreError>;

    /// All instances that have not stopped, the oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when they cannot be read.
    async fn live_instances(&self) -> Result<Vec<InstanceRow>, StoreError>;
}

/// Keeps workspaces, and makes instances of them.
///
/// What an installation without a database of its own needs beside
/// [`InstanceStore`]; the bridge itself never calls it.
///
/// # Contract
///
/// Each call is one transaction; when its future is dropped, it has happened or not.
///
/// # Source
///
/// Chosen by us: the reference system's server writes these rows.
#[async_trait]
pub trait WorkspaceStore: fmt::Debug + Send + Sync + 'static {
    /// Makes a workspace.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyExists`] if there is one of that name.
    async fn create_workspace(&self, new: NewWorkspace) -> Result<Workspace, StoreError>;

    /// Makes an instance, in phase `Pending`. Do this before you tell a manager to
    /// start it: reports of instances without row are not kept.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] if there is no such workspace,
    /// [`StoreError::StillRuns`] if an instance of it has not stopped,
    /// [`StoreError::AlreadyExists`] if there is an instance of that name.
    async fn create_instance(&self, new: NewInstance) -> Result<InstanceRow, StoreError>;

    /// All workspaces with their newest instances, the oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when they cannot be read.
    async fn workspaces(&self) -> Result<Vec<WorkspaceRecord>, StoreError>;

    /// Workspace `id` with its newest instance.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be read.
    async fn workspace(&self, id: &WorkspaceId) -> Result<Option<WorkspaceRecord>, StoreError>;

    /// Gives workspace `id` another [definition](Workspace::definition); whether there
    /// was one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be written.
    async fn redefine_workspace(
        &self,
        id: &WorkspaceId,
        definition: serde_json::Value,
    ) -> Result<bool, StoreError>;

    /// Forgets workspace `id` and all its instances; whether there was one.
    /// Entries of the outbox stay.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be deleted.
    async fn delete_workspace(&self, id: &WorkspaceId) -> Result<bool, StoreError>;
}

/// Announcements that are committed and not yet published.
///
/// Any number of [`Relay`](crate::Relay)s, in any number of processes, take
/// entries, publish them and remove them.
///
/// # Contract
///
/// - [`take`](Self::take) gives an entry to one caller; to the others only after
///   `hold`, in case the first one has died. So each is published at least once.
/// - Entries are given in the order in which they were appended, as far as that
///   is known.
///
/// # Source
///
/// Bridge specification, section 18.5. It holds a row lock while it publishes; a
/// term of holding (chosen by us) does the same without an open transaction.
#[async_trait]
pub trait Outbox: fmt::Debug + Send + Sync + 'static {
    /// Takes at most `limit` entries that are due, and keeps them from others for `hold`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when they cannot be read.
    async fn take(&self, limit: u32, hold: Duration) -> Result<Vec<OutboxEntry>, StoreError>;

    /// Removes entries that were published.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when they cannot be removed; they are published again then.
    async fn remove(&self, ids: &[i64]) -> Result<(), StoreError>;

    /// Gives entries back that could not be published; they are due after `wait`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when that cannot be written; they are due after their hold then.
    async fn give_back(&self, ids: &[i64], wait: Duration) -> Result<(), StoreError>;

    /// How long until an entry is due; `None` if there is none at all.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when that cannot be read.
    async fn due_in(&self) -> Result<Option<Duration>, StoreError>;

    /// Is notified after each commit of this process that appended entries.
    /// Commits of other processes are found by asking now and then.
    fn appended(&self) -> Arc<Notify>;
}

/// One announcement in the outbox.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OutboxEntry {
    /// Its number; entries that were appended later have larger ones.
    pub id: i64,
    /// How often it was taken before.
    pub attempts: u32,
    /// What to publish.
    pub message: Message,
}

impl OutboxEntry {
    /// Entry `id`, which was taken `attempts` times before.
    #[must_use]
    pub fn new(id: i64, attempts: u32, message: Message) -> Self {
        Self {
            id,
            attempts,
            message,
        }
    }
}

/// Why a store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It is busy or out of reach. Trying again may help.
    #[error("database is busy or out of reach")]
    Unavailable(#[source] BoxError),
    /// There is no room for more. Nothing was lost; trying again helps once there is.
    #[error("no space left for {}; free some, nothing was lost", path.display())]
    Full {
        /// The file that cannot grow.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: BoxError,
    },
    /// The file is no database, or a damaged one.
    #[error(
        "{} is damaged or not a database; move it away and start again, or put a copy in its place",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: BoxError,
    },
    /// The file was written by a newer version of this program.
    #[error(
        "{} was written by a newer version (step {found}, this one knows {known}); \
         use that version, or another file",
        path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Number of the step that this version does not know.
        found: i64,
        /// Number of the last step that it knows.
        known: i64,
    },
    /// The file cannot be opened or written.
    #[error("cannot open {} for reading and writing", path.display())]
    Inaccessible {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: BoxError,
    },
    /// There is one of that name already.
    #[error("{0} exists already")]
    AlreadyExists(String),
    /// There is none of that name.
    #[error("{0} does not exist")]
    NotFound(String),
    /// An earlier instance of the workspace has not stopped.
    #[error("instance {instance} of {workspace} has not stopped")]
    StillRuns {
        /// The workspace.
        workspace: WorkspaceId,
        /// The instance that has not stopped.
        instance: InstanceId,
    },
    /// Something that should not happen.
    #[error("database refused")]
    Other(#[source] BoxError),
}

impl StoreError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full { .. })
    }
}
