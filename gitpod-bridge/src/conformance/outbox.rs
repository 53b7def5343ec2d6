//! Promises about the outbox.

use std::time::Duration;

use gitpod_lifecycle::UpdatePhase;

use super::history::{CLUSTER, pending, status};
use super::{Broken, Store, drain, ensure};
use crate::map::{Origin, plan};
use crate::publish::CHANNEL_INSTANCES;
use crate::store::StoreError;

/// Announces `changes` changes of one instance.
async fn announce(store: &impl Store, changes: u64) -> Result<(), StoreError> {
    let (_, id) = pending(store).await?;
    let origin = Origin::new(CLUSTER);
    for version in 1..=changes {
        let mut status = status(&id, UpdatePhase::Creating, version);
        status.message = format!("step {version}");
        store
            .transact(&id, &|row, now| plan(row, &status, now, &origin))
            .await?;
    }
    Ok(())
}

pub(super) async fn entries_are_never_merged(store: &impl Store) -> Result<(), Broken> {
    announce(store, 3).await?;
    let told = drain(store).await?;
    let channel = |message: &crate::Message| message.channel == CHANNEL_INSTANCES;
    let each = told.len() == 3 && told.iter().all(channel);
    ensure("each change has an entry of its own", each, told)
}

pub(super) async fn taken_entry_is_kept_from_others(store: &impl Store) -> Result<(), Broken> {
    announce(store, 3).await?;
    let first = store.take(2, LONG).await?;
    let (second, third) = (
        store.take(2, Duration::ZERO).await?,
        store.take(2, LONG).await?,
    );
    let numbers: Vec<_> = first.iter().chain(&second).map(|entry| entry.id).collect();
    let rising = numbers
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if a < b));
    let split = (first.len(), second.len()) == (2, 1) && rising;
    ensure(
        "entries are taken in order, each by one",
        split,
        (&first, &second),
    )?;
    let again = third.iter().map(|entry| (entry.id, entry.attempts));
    let expected = second.iter().map(|entry| (entry.id, entry.attempts + 1));
    ensure(
        "an entry is due again once its hold is over",
        again.eq(expected),
        &third,
    )?;
    store.remove(&numbers).await?;
    let due = store.due_in().await?;
    ensure("what is removed is not due", due.is_none(), due)
}

pub(super) async fn entry_given_back_waits(store: &impl Store) -> Result<(), Broken> {
    announce(store, 1).await?;
    let now = store.due_in().await?;
    ensure(
        "a new entry is due at once",
        now == Some(Duration::ZERO),
        now,
    )?;
    let taken = store.take(10, LONG).await?;
    let ids: Vec<_> = taken.iter().map(|entry| entry.id).collect();
    store.give_back(&ids, LONG).await?;
    let early = store.take(10, LONG).await?;
    ensure("an entry given back waits", early.is_empty(), early)?;
    let due = store.due_in().await?;
    let soon = due.is_some_and(|due| due > LONG / 2 && due <= LONG);
    ensure("it tells how long", soon, due)?;
    store.give_back(&ids, Duration::ZERO).await?;
    let late = store.take(10, LONG).await?;
    let attempts: Vec<_> = late.iter().map(|entry| entry.attempts).collect();
    ensure(
        "it comes back and counts its attempts",
        attempts == [1],
        late,
    )
}

pub(super) async fn append_is_notified(store: &impl Store) -> Result<(), Broken> {
    let appended = store.appended();
    announce(store, 1).await?;
    let heard = tokio::time::timeout(Duration::from_secs(5), appended.notified()).await;
    ensure("a commit wakes the relay", heard.is_ok(), heard)
}

const LONG: Duration = Duration::from_secs(600);
