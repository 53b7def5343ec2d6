//! [`Outbox`] over SQLite.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use tokio::sync::Notify;

use super::write::Write;
use super::{SqliteStore, row};
use crate::clock::{between, later};
use crate::map::time;
use crate::publish::Message;
use crate::store::{Outbox, OutboxEntry, StoreError};

#[async_trait]
impl Outbox for SqliteStore {
    async fn take(&self, limit: u32, hold: Duration) -> Result<Vec<OutboxEntry>, StoreError> {
        // Only a look while there is nothing: an idle relay does not write.
        if self.due_in().await?.is_none_or(|due| due > Duration::ZERO) {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        let mut write = Write::begin(self).await?;
        let taken = take(&mut write, limit, now, later(now, hold)).await;
        write.finish(taken).await
    }

    async fn remove(&self, ids: &[i64]) -> Result<(), StoreError> {
        let mut write = Write::begin(self).await?;
        let removed = remove(&mut write, ids).await;
        write.finish(removed).await
    }

    async fn give_back(&self, ids: &[i64], wait: Duration) -> Result<(), StoreError> {
        let due = later(self.clock.now(), wait);
        let mut write = Write::begin(self).await?;
        let given = give_back(&mut write, ids, due).await;
        write.finish(given).await
    }

    async fn due_in(&self) -> Result<Option<Duration>, StoreError> {
        let now = self.clock.now();
        let mut connection = self.connect(&self.reader).await?;
        let first = first_due(&mut connection).await;
        let first = first.map_err(|error| self.place.explain(error))?;
        Ok(first.map(|first| between(now, first)))
    }

    fn appended(&self) -> Arc<Notify> {
        Arc::clone(&self.appended)
    }
}

async fn take(
    connection: &mut SqliteConnection,
    limit: u32,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<OutboxEntry>, sqlx::Error> {
    let query = sqlx::query(
        "UPDATE bridge_outbox SET available_at = ?, attempts = attempts + 1
         WHERE id IN (SELECT id FROM bridge_outbox WHERE available_at <= ? ORDER BY id LIMIT ?)
         RETURNING id, channel, topic, payload, attempts - 1 AS attempts_before",
    );
    let query = query
        .bind(time::text(until))
        .bind(time::text(now))
        .bind(limit);
    let rows = query.fetch_all(connection).await?;
    let mut entries: Vec<_> = rows.iter().map(entry).collect::<Result<_, _>>()?;
    // RETURNING gives them in no particular order.
    entries.sort_by_key(|entry| entry.id);
    Ok(entries)
}

fn entry(found: &SqliteRow) -> Result<OutboxEntry, sqlx::Error> {
    let channel: String = found.try_get("channel")?;
    let topic: String = found.try_get("topic")?;
    let message = Message::new(channel, topic, row::document(found, "payload")?);
    let attempts = found.try_get("attempts_before")?;
    Ok(OutboxEntry::new(found.try_get("id")?, attempts, message))
}

async fn remove(connection: &mut SqliteConnection, ids: &[i64]) -> Result<(), sqlx::Error> {
    for id in ids {
        let query = sqlx::query("DELETE FROM bridge_outbox WHERE id = ?");
        query.bind(id).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn give_back(
    connection: &mut SqliteConnection,
    ids: &[i64],
    due: Timestamp,
) -> Result<(), sqlx::Error> {
    for id in ids {
        let query = sqlx::query("UPDATE bridge_outbox SET available_at = ? WHERE id = ?");
        let query = query.bind(time::text(due)).bind(id);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn first_due(connection: &mut SqliteConnection) -> Result<Option<Timestamp>, sqlx::Error> {
    let query = sqlx::query("SELECT available_at FROM bridge_outbox ORDER BY available_at LIMIT 1");
    let found = query.fetch_optional(connection).await?;
    let first = found.as_ref().map(|found| row::word(found, "available_at"));
    first.transpose()
}
