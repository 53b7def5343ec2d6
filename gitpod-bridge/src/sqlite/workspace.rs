//! [`WorkspaceStore`] over SQLite.

use async_trait::async_trait;
use gitpod_routing::WorkspaceId;
use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;

use super::error::is_taken;
use super::write::Write;
use super::{SqliteStore, row, transact};
use crate::map::time;
use crate::record::InstanceRow;
use crate::store::{StoreError, WorkspaceStore};
use crate::workspace::{NewInstance, NewWorkspace, Workspace, WorkspaceRecord, created_after};

#[async_trait]
impl WorkspaceStore for SqliteStore {
    async fn create_workspace(&self, new: NewWorkspace) -> Result<Workspace, StoreError> {
        let workspace = Workspace {
            id: new.id,
            owner_id: new.owner_id,
            context_url: new.context_url,
            description: new.description,
            created_at: self.clock.now(),
            definition: new.definition,
        };
        let mut write = Write::begin(self).await?;
        let inserted = insert_workspace(&mut write, &workspace).await;
        write.finish(inserted).await??;
        Ok(workspace)
    }

    async fn create_instance(&self, new: NewInstance) -> Result<InstanceRow, StoreError> {
        let mut write = Write::begin(self).await?;
        let inserted = insert_instance(&mut write, &new, self.clock.now()).await;
        write.finish(inserted).await?
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceRecord>, StoreError> {
        let mut connection = self.connect(&self.reader).await?;
        let found = all(&mut connection).await;
        found.map_err(|error| self.place.explain(error))
    }

    async fn workspace(&self, id: &WorkspaceId) -> Result<Option<WorkspaceRecord>, StoreError> {
        let mut connection = self.connect(&self.reader).await?;
        let found = one(&mut connection, id).await;
        found.map_err(|error| self.place.explain(error))
    }

    async fn redefine_workspace(
        &self,
        id: &WorkspaceId,
        definition: serde_json::Value,
    ) -> Result<bool, StoreError> {
        let mut write = Write::begin(self).await?;
        let redefined = redefine(&mut write, id, &definition.to_string()).await;
        write.finish(redefined).await
    }

    async fn delete_workspace(&self, id: &WorkspaceId) -> Result<bool, StoreError> {
        let mut write = Write::begin(self).await?;
        let deleted = delete(&mut write, id).await;
        write.finish(deleted).await
    }
}

async fn insert_workspace(
    connection: &mut SqliteConnection,
    workspace: &Workspace,
) -> Result<Result<(), StoreError>, sqlx::Error> {
    let query = sqlx::query(
        "INSERT INTO workspace (id, owner_id, context_url, description, definition, created_at)
         VALUES (?, ?, ?, ?, ?, ?)",
    );
    let query = query
        .bind(workspace.id.as_str())
        .bind(&workspace.owner_id)
        .bind(&workspace.context_url)
        .bind(&workspace.description)
        .bind(workspace.definition.to_string())
        .bind(time::text(workspace.created_at));
    let name = || format!("workspace {}", workspace.id);
    unless_taken(query.execute(connection).await, name)
}

fn unless_taken<T>(
    result: Result<T, sqlx::Error>,
    name: impl FnOnce() -> String,
) -> Result<Result<(), StoreError>, sqlx::Error> {
    match result {
        Ok(_) => Ok(Ok(())),
        Err(error) if is_taken(&error) => Ok(Err(StoreError::AlreadyExists(name()))),
        Err(error) => Err(error),
    }
}

async fn insert_instance(
    connection: &mut SqliteConnection,
    new: &NewInstance,
    now: Timestamp,
) -> Result<Result<InstanceRow, StoreError>, sqlx::Error> {
    if let Some(refusal) = refusal(connection, new).await? {
        return Ok(Err(refusal));
    }
    let earlier = latest(connection, &new.workspace_id).await?;
    let created_at = created_after(earlier.map(|row| row.created_at), now);
    let query = sqlx::query(
        "INSERT INTO workspace_instance (id, workspace_id, region, created_at, phase)
         VALUES (?, ?, ?, ?, 'pending')",
    );
    let query = query
        .bind(new.id.as_str())
        .bind(new.workspace_id.as_str())
        .bind(&new.region)
        .bind(time::text(created_at));
    let inserted = query.execute(&mut *connection).await;
    if let Err(taken) = unless_taken(inserted, || format!("instance {}", new.id))? {
        return Ok(Err(taken));
    }
    let row = transact::read(connection, &new.id).await?;
    Ok(row.ok_or_else(|| StoreError::NotFound(format!("instance {}", new.id))))
}

async fn refusal(
    connection: &mut SqliteConnection,
    new: &NewInstance,
) -> Result<Option<StoreError>, sqlx::Error> {
    let workspace = &new.workspace_id;
    let query = sqlx::query("SELECT 1 FROM workspace WHERE id = ?").bind(workspace.as_str());
    if query.fetch_optional(&mut *connection).await?.is_none() {
        let name = format!("workspace {workspace}");
        return Ok(Some(StoreError::NotFound(name)));
    }
    let query = sqlx::query(
        "SELECT id FROM workspace_instance WHERE workspace_id = ? AND phase <> 'stopped' LIMIT 1",
    );
    let query = query.bind(workspace.as_str());
    let Some(found) = query.fetch_optional(connection).await? else {
        return Ok(None);
    };
    let workspace = workspace.clone();
    let instance = row::word(&found, "id")?;
    Ok(Some(StoreError::StillRuns {
        workspace,
        instance,
    }))
}

async fn redefine(
    connection: &mut SqliteConnection,
    id: &WorkspaceId,
    definition: &str,
) -> Result<bool, sqlx::Error> {
    let query = sqlx::query("UPDATE workspace SET definition = ? WHERE id = ?");
    let query = query.bind(definition).bind(id.as_str());
    Ok(query.execute(connection).await?.rows_affected() > 0)
}

async fn delete(connection: &mut SqliteConnection, id: &WorkspaceId) -> Result<bool, sqlx::Error> {
    let query = sqlx::query("DELETE FROM workspace WHERE id = ?").bind(id.as_str());
    Ok(query.execute(connection).await?.rows_affected() > 0)
}

/// Two queries in one transaction, so that both see the same moment.
async fn all(connection: &mut SqliteConnection) -> Result<Vec<WorkspaceRecord>, sqlx::Error> {
    let mut moment = sqlx::Connection::begin(connection).await?;
    let workspaces = sqlx::query("SELECT * FROM workspace ORDER BY created_at, id");
    let workspaces = workspaces.fetch_all(&mut *moment).await?;
    let latest = sqlx::query(
        "SELECT i.*, w.owner_id FROM workspace_instance i
         JOIN workspace w ON w.id = i.workspace_id
         WHERE i.id = (SELECT id FROM workspace_instance
                       WHERE workspace_id = i.workspace_id
                       ORDER BY created_at DESC LIMIT 1)",
    );
    let latest = latest.fetch_all(&mut *moment).await?;
    moment.commit().await?;
    let mut latest: std::collections::HashMap<_, _> = latest
        .iter()
        .map(|found| row::instance(found).map(|row| (row.workspace_id.clone(), row)))
        .collect::<Result<_, _>>()?;
    let record = |found| {
        let workspace = row::workspace(found)?;
        let latest = latest.remove(&workspace.id);
        Ok(WorkspaceRecord::new(workspace, latest))
    };
    workspaces.iter().map(record).collect()
}

async fn one(
    connection: &mut SqliteConnection,
    id: &WorkspaceId,
) -> Result<Option<WorkspaceRecord>, sqlx::Error> {
    let mut moment = sqlx::Connection::begin(connection).await?;
    let query = sqlx::query("SELECT * FROM workspace WHERE id = ?").bind(id.as_str());
    let Some(found) = query.fetch_optional(&mut *moment).await? else {
        return Ok(None);
    };
    let latest = latest(&mut moment, id).await?;
    moment.commit().await?;
    Ok(Some(WorkspaceRecord::new(row::workspace(&found)?, latest)))
}

async fn latest(
    connection: &mut SqliteConnection,
    id: &WorkspaceId,
) -> Result<Option<InstanceRow>, sqlx::Error> {
    let query = sqlx::query(
        "SELECT i.*, w.owner_id FROM workspace_instance i
         JOIN workspace w ON w.id = i.workspace_id
         WHERE i.workspace_id = ? ORDER BY i.created_at DESC LIMIT 1",
    );
    let found = query.bind(id.as_str()).fetch_optional(connection).await?;
    found.as_ref().map(row::instance).transpose()
}
