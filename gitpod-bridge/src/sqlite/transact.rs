//! One transaction: row, effects and outbox.

use gitpod_routing::InstanceId;
use jiff::Timestamp;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::write::Write;
use super::{SqliteStore, row};
use crate::effect::Effect;
use crate::map::{merge_metrics, time};
use crate::plan::Plan;
use crate::publish::Message;
use crate::record::{InstanceRow, InstanceState};
use crate::store::{Decide, StoreError};

impl SqliteStore {
    pub(super) async fn transact_row(
        &self,
        id: &InstanceId,
        decide: Decide<'_>,
    ) -> Result<Plan, StoreError> {
        let mut write = Write::begin(self).await?;
        let plan = apply(&mut write, id, decide, self.clock.now()).await;
        let plan = write.finish(plan).await?;
        if plan.announces() {
            self.appended.notify_one();
        }
        Ok(plan)
    }
}

async fn apply(
    connection: &mut SqliteConnection,
    id: &InstanceId,
    decide: Decide<'_>,
    now: Timestamp,
) -> Result<Plan, sqlx::Error> {
    let row = read(connection, id).await?;
    let plan = decide(row.as_ref(), now);
    if let Some(state) = &plan.change {
        update(connection, id, state).await?;
    }
    for effect in &plan.effects {
        follow(connection, id, effect, now).await?;
    }
    Ok(plan)
}

/// The row of `id`.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    id: &InstanceId,
) -> Result<Option<InstanceRow>, sqlx::Error> {
    let query = sqlx::query(SELECT_INSTANCE).bind(id.as_str());
    let found: Option<SqliteRow> = query.fetch_optional(connection).await?;
    found.as_ref().map(row::instance).transpose()
}

async fn update(
    connection: &mut SqliteConnection,
    id: &InstanceId,
    state: &InstanceState,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(UPDATE_STATE)
        .bind(state.phase.as_str())
        .bind(state.stop_origin.map(crate::StopOrigin::as_str))
        .bind(state.source_epoch)
        .bind(state.status_version)
        .bind(state.status_digest.map(|digest| digest.0.to_vec()))
        .bind(state.last_status_at.map(time::text))
        .bind(state.deployed_at.map(time::text))
        .bind(state.started_at.map(time::text))
        .bind(state.stopping_at.map(time::text))
        .bind(state.stopped_at.map(time::text))
        .bind(&state.ide_url)
        .bind(&state.message)
        .bind(&state.timeout)
        .bind(&state.node_name)
        .bind(&state.pod_name)
        .bind(&state.node_ip)
        .bind(state.owner_token.as_ref().map(|token| token.expose()))
        .bind(as_text(&state.exposed_ports)?)
        .bind(as_text(&state.conditions)?)
        .bind(state.image_total_size)
        .bind(state.image_workspace_size)
        .bind(id.as_str());
    query.execute(connection).await?;
    Ok(())
}

async fn follow(
    connection: &mut SqliteConnection,
    id: &InstanceId,
    effect: &Effect,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    match effect {
        Effect::StoreMetrics(metrics) => add_metrics(connection, id, metrics.to_document()).await,
        Effect::RevokeTokens {
            owner_id,
            instance_id,
        } => revoke(connection, owner_id, instance_id).await,
        Effect::Once(event) => {
            let new = remember(connection, &event.key(), now).await?;
            if new {
                append(connection, &event.to_message(), now).await?;
            }
            Ok(())
        }
        // No prebuilds are kept here.
        Effect::StopPrebuild { .. } => Ok(()),
        Effect::Announce(announcement) => append(connection, &announcement.to_message(), now).await,
    }
}

async fn add_metrics(
    connection: &mut SqliteConnection,
    id: &InstanceId,
    update: Value,
) -> Result<(), sqlx::Error> {
    let known = metrics_of(connection, id).await?;
    let merged = merge_metrics(known.unwrap_or_default(), update);
    let query = sqlx::query(
        "INSERT INTO workspace_instance_metrics (instance_id, metrics) VALUES (?, ?)
         ON CONFLICT (instance_id) DO UPDATE SET metrics = excluded.metrics",
    );
    let query = query.bind(id.as_str()).bind(merged.to_string());
    query.execute(connection).await?;
    Ok(())
}

/// Sizes and durations that are kept of `id`.
pub(super) async fn metrics_of(
    connection: &mut SqliteConnection,
    id: &InstanceId,
) -> Result<Option<Value>, sqlx::Error> {
    let query = sqlx::query("SELECT metrics FROM workspace_instance_metrics WHERE instance_id = ?");
    let found = query.bind(id.as_str()).fetch_optional(connection).await?;
    let found = found.as_ref().map(|found| row::document(found, "metrics"));
    found.transpose()
}

/// `substr`, not `LIKE`: an id may hold what `LIKE` takes for a pattern.
async fn revoke(
    connection: &mut SqliteConnection,
    owner_id: &str,
    instance_id: &InstanceId,
) -> Result<(), sqlx::Error> {
    let prefix = format!("{instance_id}-");
    let query = sqlx::query(
        "DELETE FROM gitpod_token WHERE user_id = ?1 AND substr(name, 1, length(?2)) = ?2",
    );
    query
        .bind(owner_id)
        .bind(prefix)
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether `key` was not known.
async fn remember(
    connection: &mut SqliteConnection,
    key: &str,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(
        "INSERT INTO bridge_once (key, created_at) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
    );
    let inserted = query
        .bind(key)
        .bind(time::text(now))
        .execute(connection)
        .await?;
    Ok(inserted.rows_affected() > 0)
}

async fn append(
    connection: &mut SqliteConnection,
    message: &Message,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "INSERT INTO bridge_outbox (channel, topic, payload, available_at) VALUES (?, ?, ?, ?)",
    );
    let query = query
        .bind(&message.channel)
        .bind(&message.topic)
        .bind(message.payload.to_string())
        .bind(time::text(now));
    query.execute(connection).await?;
    Ok(())
}

fn as_text(value: &impl serde::Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// An instance with the owner of its workspace.
pub(super) const SELECT_INSTANCE: &str = "SELECT i.*, w.owner_id FROM workspace_instance i
     JOIN workspace w ON w.id = i.workspace_id WHERE i.id = ?";

/// The columns of the bridge, and no others.
const UPDATE_STATE: &str = "UPDATE workspace_instance SET
     phase = ?, stop_origin = ?, source_epoch = ?, status_version = ?, status_digest = ?,
     last_status_at = ?, deployed_at = ?, started_at = ?, stopping_at = ?, stopped_at = ?,
     ide_url = ?, message = ?, timeout = ?, node_name = ?, pod_name = ?, node_ip = ?,
     owner_token = ?, exposed_ports = ?, conditions = ?, image_total_size = ?,
     image_workspace_size = ?, row_version = row_version + 1
     WHERE id = ?";
