//! Rows of SQLite → our types. What cannot be read is a damaged file, not a panic.

use std::str::FromStr;

use gitpod_routing::WorkspaceId;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::record::{InstanceRow, InstanceState, StatusDigest};
use crate::workspace::Workspace;
use crate::{BoxError, InstancePhase};

/// The row of an instance, as `SELECT_INSTANCE` gives it.
pub(super) fn instance(row: &SqliteRow) -> Result<InstanceRow, sqlx::Error> {
    let created_at = word(row, "created_at")?;
    let id = word(row, "id")?;
    let workspace_id = word(row, "workspace_id")?;
    let region: String = row.try_get("region")?;
    let mut found = InstanceRow::new(id, workspace_id, region, created_at)
        .with_owner(row.try_get::<String, _>("owner_id")?)
        .with_state(state(row)?);
    found.needed_image_build = row.try_get("needed_image_build")?;
    found.row_version = row.try_get("row_version")?;
    Ok(found)
}

fn state(row: &SqliteRow) -> Result<InstanceState, sqlx::Error> {
    let phase: InstancePhase = word(row, "phase")?;
    let digest: Option<Vec<u8>> = row.try_get("status_digest")?;
    let token: Option<String> = row.try_get("owner_token")?;
    Ok(InstanceState {
        phase,
        stop_origin: optional_word(row, "stop_origin")?,
        source_epoch: row.try_get("source_epoch")?,
        status_version: row.try_get("status_version")?,
        status_digest: digest.map(digest_of).transpose()?,
        last_status_at: optional_word(row, "last_status_at")?,
        deployed_at: optional_word(row, "deployed_at")?,
        started_at: optional_word(row, "started_at")?,
        stopping_at: optional_word(row, "stopping_at")?,
        stopped_at: optional_word(row, "stopped_at")?,
        ide_url: row.try_get("ide_url")?,
        message: row.try_get("message")?,
        timeout: row.try_get("timeout")?,
        node_name: row.try_get("node_name")?,
        pod_name: row.try_get("pod_name")?,
        node_ip: row.try_get("node_ip")?,
        owner_token: token.map(Into::into),
        exposed_ports: document(row, "exposed_ports")?,
        conditions: document(row, "conditions")?,
        image_total_size: row.try_get("image_total_size")?,
        image_workspace_size: row.try_get("image_workspace_size")?,
    })
}

fn digest_of(bytes: Vec<u8>) -> Result<StatusDigest, sqlx::Error> {
    let bytes = <[u8; 32]>::try_from(bytes);
    let bytes = bytes.map_err(|_| unreadable("status_digest", "not 32 bytes"))?;
    Ok(StatusDigest::from(bytes))
}

/// The row of a workspace.
pub(super) fn workspace(row: &SqliteRow) -> Result<Workspace, sqlx::Error> {
    let id: WorkspaceId = word(row, "id")?;
    let created_at: Timestamp = word(row, "created_at")?;
    Ok(Workspace {
        id,
        owner_id: row.try_get("owner_id")?,
        context_url: row.try_get("context_url")?,
        description: row.try_get("description")?,
        created_at,
        definition: document(row, "definition")?,
    })
}

/// What the text in `column` stands for.
pub(super) fn word<T>(row: &SqliteRow, column: &'static str) -> Result<T, sqlx::Error>
where
    T: FromStr,
    T::Err: Into<BoxError>,
{
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|error| unreadable(column, error))
}

fn optional_word<T>(row: &SqliteRow, column: &'static str) -> Result<Option<T>, sqlx::Error>
where
    T: FromStr,
    T::Err: Into<BoxError>,
{
    let text: Option<&str> = row.try_get(column)?;
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|error| unreadable(column, error))
}

/// The JSON in `column`.
pub(super) fn document<T: DeserializeOwned>(
    row: &SqliteRow,
    column: &'static str,
) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    serde_json::from_str(text).map_err(|error| unreadable(column, error))
}

fn unreadable(column: &'static str, error: impl Into<BoxError>) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: error.into(),
    }
}
