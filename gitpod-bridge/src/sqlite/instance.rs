//! [`InstanceStore`] over SQLite.

use async_trait::async_trait;
use gitpod_routing::{InstanceId, WorkspaceId};
use serde_json::Value;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::transact::{self, metrics_of};
use super::{SqliteStore, row};
use crate::plan::Plan;
use crate::record::InstanceRow;
use crate::store::{Decide, InstanceStore, StoreError};

#[async_trait]
impl InstanceStore for SqliteStore {
    async fn transact(&self, id: &InstanceId, decide: Decide<'_>) -> Result<Plan, StoreError> {
        self.transact_row(id, decide).await
    }

    async fn instance(&self, id: &InstanceId) -> Result<Option<InstanceRow>, StoreError> {
        let mut connection = self.connect(&self.reader).await?;
        let found = transact::read(&mut connection, id).await;
        found.map_err(|error| self.place.explain(error))
    }

    async fn live_instances(&self) -> Result<Vec<InstanceRow>, StoreError> {
        let mut connection = self.connect(&self.reader).await?;
        let rows = live(&mut connection).await;
        rows.map_err(|error| self.place.explain(error))
    }
}

impl SqliteStore {
    /// Sizes and durations of instance `id`, if any were reported.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when they cannot be read.
    pub async fn metrics(&self, id: &InstanceId) -> Result<Option<Value>, StoreError> {
        let mut connection = self.connect(&self.reader).await?;
        let found = metrics_of(&mut connection, id).await;
        found.map_err(|error| self.place.explain(error))
    }

    /// The newest instance of workspace `id` that ever ran.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be read.
    pub async fn last_that_ran(&self, id: &WorkspaceId) -> Result<Option<InstanceRow>, StoreError> {
        let mut connection = self.connect(&self.reader).await?;
        let found = last_that_ran(&mut connection, id).await;
        found.map_err(|error| self.place.explain(error))
    }

    pub(super) async fn connect(
        &self,
        pool: &SqlitePool,
    ) -> Result<sqlx::pool::PoolConnection<sqlx::Sqlite>, StoreError> {
        let connection = pool.acquire().await;
        connection.map_err(|error| self.place.explain(error))
    }
}

async fn live(connection: &mut SqliteConnection) -> Result<Vec<InstanceRow>, sqlx::Error> {
    let query = sqlx::query(
        "SELECT i.*, w.owner_id FROM workspace_instance i
         JOIN workspace w ON w.id = i.workspace_id
         WHERE i.phase <> 'stopped' ORDER BY i.created_at, i.id",
    );
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(row::instance).collect()
}

async fn last_that_ran(
    connection: &mut SqliteConnection,
    id: &WorkspaceId,
) -> Result<Option<InstanceRow>, sqlx::Error> {
    let query = sqlx::query(
        "SELECT i.*, w.owner_id FROM workspace_instance i
         JOIN workspace w ON w.id = i.workspace_id
         WHERE i.workspace_id = ? AND i.started_at IS NOT NULL
         ORDER BY i.created_at DESC LIMIT 1",
    );
    let found = query.bind(id.as_str()).fetch_optional(connection).await?;
    found.as_ref().map(row::instance).transpose()
}
