//! A transaction that either commits, or leaves nothing behind.

use std::ops::{Deref, DerefMut};

use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnection;

use super::SqliteStore;
use super::error::Place;
use crate::store::StoreError;

/// A transaction that holds the write lock from its start.
///
/// Dropped before its commit, it closes its connection, which rolls back
/// whatever was written. The connection is not used again: SQLite ends a
/// transaction by itself when there is no space left, and a connection that is
/// told so late would take the next transaction for a part of this one.
#[derive(Debug)]
pub(super) struct Write {
    connection: PoolConnection<Sqlite>,
    place: Place,
    open: bool,
}

impl Write {
    pub(super) async fn begin(store: &SqliteStore) -> Result<Self, StoreError> {
        let connection = store.connect(&store.writer).await?;
        let mut write = Self {
            connection,
            place: store.place.clone(),
            open: true,
        };
        let begun = write.execute("BEGIN IMMEDIATE").await;
        begun.map_err(|error| write.place.explain(error))?;
        Ok(write)
    }

    /// Commits if `done` is `Ok`, and rolls back otherwise.
    pub(super) async fn finish<T>(mut self, done: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        let done = done.map_err(|error| self.place.explain(error))?;
        let committed = self.execute("COMMIT").await;
        committed.map_err(|error| self.place.explain(error))?;
        self.open = false;
        Ok(done)
    }

    async fn execute(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(sql).execute(&mut **self).await.map(drop)
    }
}

impl Deref for Write {
    type Target = SqliteConnection;

    fn deref(&self) -> &Self::Target {
        &self.connection
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.connection
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        if self.open {
            self.connection.close_on_drop();
        }
    }
}
