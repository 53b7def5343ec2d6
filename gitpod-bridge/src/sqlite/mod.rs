//! Instances and outbox in one SQLite file.

mod error;
mod instance;
mod migrate;
mod outbox;
mod row;
mod transact;
mod workspace;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::sync::Notify;

use self::error::Place;
use crate::clock::Clock;
use crate::store::StoreError;

/// Keeps instances and outbox in one SQLite file.
///
/// What was committed survives the end of the process and of the machine: the
/// file is written ahead and synchronised at each commit. One connection writes,
/// another one reads beside it; other processes may have the same file open.
/// The file holds owner tokens, so it is readable for its owner only. Clones
/// share their connections.
///
/// ```no_run
/// use gitpod_bridge::{SqliteStore, StoreError, WorkspaceStore};
///
/// async fn print_phases() -> Result<(), StoreError> {
///     let store = SqliteStore::open("gitpod.db").await?;
///     for record in store.workspaces().await? {
///         let phase = record.latest.map(|row| row.state.phase);
///         println!("{} {phase:?}", record.workspace.id);
///     }
///     store.close().await;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    reader: SqlitePool,
    appended: Arc<Notify>,
    clock: Clock,
    place: Place,
}

/// How to open a [`SqliteStore`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SqliteOptions {
    path: PathBuf,
    busy_timeout: Duration,
    max_pages: Option<u32>,
    clock: Clock,
}

impl SqliteOptions {
    /// The file at `path`; made if there is none.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            busy_timeout: Duration::from_secs(5),
            max_pages: None,
            clock: Clock::default(),
        }
    }

    /// How long to wait for another process that writes: 5 s by default.
    #[must_use]
    pub fn with_busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Lets the file grow to at most `pages` pages of 4096 bytes. No limit by default.
    #[must_use]
    pub fn with_max_pages(mut self, pages: u32) -> Self {
        self.max_pages = Some(pages);
        self
    }

    /// Takes the time from `tell`, not from the system.
    #[must_use]
    pub fn with_clock(mut self, tell: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(tell);
        self
    }

    /// Opens the file, and brings its tables up to date.
    ///
    /// # Errors
    ///
    /// [`StoreError::Inaccessible`], [`StoreError::Damaged`],
    /// [`StoreError::NewerSchema`] or [`StoreError::Full`]; each says what to do.
    pub async fn open(self) -> Result<SqliteStore, StoreError> {
        let place = Place::new(&self.path);
        make_private(&self.path).map_err(|error| place.inaccessible(error))?;
        let options = self.connect_options();
        let writer = pool(options.clone()).await;
        let writer = writer.map_err(|error| place.explain(error))?;
        migrate::up_to_date(&writer, &place).await?;
        let reader = pool(options).await;
        Ok(SqliteStore {
            writer,
            reader: reader.map_err(|error| place.explain(error))?,
            appended: Arc::new(Notify::new()),
            clock: self.clock,
            place,
        })
    }

    fn connect_options(&self) -> SqliteConnectOptions {
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(self.busy_timeout);
        match self.max_pages {
            Some(pages) => options.pragma("max_page_count", pages.to_string()),
            None => options,
        }
    }
}

/// One connection, which stays: nothing wakes up to look after it.
async fn pool(options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.idle_timeout(None).max_lifetime(None);
    pool.test_before_acquire(false).connect_with(options).await
}

/// Makes the file if there is none, and lets nobody else read it.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        file.set_permissions(private)?;
    }
    file.sync_all()?;
    // Its name must survive a power failure, too; SQLite sees to all others.
    #[cfg(unix)]
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::File::open(dir)?.sync_all()?;
    }
    Ok(())
}

impl SqliteStore {
    /// Opens the file at `path`, or makes it; see [`SqliteOptions`] for more.
    ///
    /// # Errors
    ///
    /// As [`SqliteOptions::open`].
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        SqliteOptions::new(path).open().await
    }

    /// Waits for what is being written, and closes the file. Calls after this fail.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_commit_is_on_the_disk_before_it_is_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path().join("gitpod.db"))
            .await
            .unwrap();
        for pool in [&store.writer, &store.reader] {
            let synchronous: i64 = pragma(pool, "PRAGMA synchronous").await;
            assert_eq!(synchronous, 2); // full: the log is synchronised at each commit
            let journal: String = pragma(pool, "PRAGMA journal_mode").await;
            assert_eq!(journal, "wal");
        }
    }

    async fn pragma<T>(pool: &SqlitePool, sql: &'static str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + Send + Unpin,
    {
        let row = sqlx::query(sql).fetch_one(pool).await.unwrap();
        sqlx::Row::get(&row, 0)
    }
}
