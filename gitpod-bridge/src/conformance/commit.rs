//! Promises about one transaction, and about several at once.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};

use gitpod_lifecycle::{
    InitializerMetrics, StatusUpdate, UpdateImageInfo, UpdatePhase, UpdatePort, UpdateRuntime,
};
use gitpod_routing::InstanceId;
use jiff::Timestamp;

use super::history::{CLUSTER, Shuffle, history, names, pending, status};
use super::{Broken, Store, drain, ensure};
use crate::map::{Origin, plan};
use crate::phase::{InstancePhase, StopOrigin};
use crate::plan::{Outcome, Plan};
use crate::publish::{CHANNEL_EVENTS, CHANNEL_INSTANCES, Message};
use crate::record::InstanceRow;
use crate::store::StoreError;
use crate::sweep::mark_stopped;

async fn take(store: &impl Store, status: &StatusUpdate) -> Result<Plan, StoreError> {
    let (_, id) = names()?;
    let origin = Origin::new(CLUSTER);
    store
        .transact(&id, &|row, now| plan(row, status, now, &origin))
        .await
}

async fn row(store: &impl Store, id: &InstanceId) -> Result<InstanceRow, StoreError> {
    let found = store.instance(id).await?;
    found.ok_or_else(|| StoreError::NotFound(format!("instance {id}")))
}

pub(super) async fn change_and_announcements_come_together(
    store: &impl Store,
) -> Result<(), Broken> {
    let (_, id) = pending(store).await?;
    let running = status(&id, UpdatePhase::Running, 4);
    let taken = take(store, &running).await?;
    ensure(
        "a status is applied",
        taken.outcome == Outcome::Applied,
        &taken,
    )?;
    let after = row(store, &id).await?;
    let written = taken.change.as_deref() == Some(&after.state) && after.row_version == 1;
    ensure("the row is what was planned", written, &after)?;
    let told = drain(store).await?;
    let channels: Vec<_> = told
        .iter()
        .map(|message| message.channel.as_str())
        .collect();
    let both = channels == [CHANNEL_EVENTS, CHANNEL_INSTANCES];
    ensure("event and change are announced, in order", both, &told)?;
    let again = take(store, &running).await?;
    ensure(
        "a status is applied once",
        again.outcome == Outcome::Duplicate,
        again,
    )?;
    let unchanged = row(store, &id).await? == after && drain(store).await?.is_empty();
    ensure("a duplicate changes and announces nothing", unchanged, ())
}

pub(super) async fn life_events_are_told_once(store: &impl Store) -> Result<(), Broken> {
    let (_, id) = pending(store).await?;
    take(store, &status(&id, UpdatePhase::Running, 1)).await?;
    let believed = |row: Option<&InstanceRow>, now: Timestamp| match row {
        Some(row) => mark_stopped(row, now, StopOrigin::Inferred, "silent"),
        None => Plan::nothing(Outcome::UnknownInstance),
    };
    store.transact(&id, &believed).await?;
    take(store, &status(&id, UpdatePhase::Running, 2)).await?;
    let revived = row(store, &id).await?;
    let alive = revived.state.phase == InstancePhase::Running && revived.state.stopped_at.is_none();
    ensure(
        "an inferred stop is undone by a report of life",
        alive,
        revived,
    )?;
    take(store, &status(&id, UpdatePhase::Stopped, 3)).await?;
    let events: Vec<_> = drain(store).await?;
    let events = events
        .iter()
        .filter(|message| message.channel == CHANNEL_EVENTS);
    let events: Vec<_> = events.map(|message| message.topic.as_str()).collect();
    let once = events == ["event/bridge-wsrun-run-1", "event/bridge-wsstopped-run-1"];
    ensure("each life event is told once", once, events)
}

pub(super) async fn unknown_instance_is_not_made(store: &impl Store) -> Result<(), Broken> {
    let (_, id) = names()?;
    let taken = take(store, &status(&id, UpdatePhase::Running, 1)).await?;
    let unknown = taken.outcome == Outcome::UnknownInstance;
    ensure(
        "a status without row is of an unknown instance",
        unknown,
        taken,
    )?;
    let made = store.instance(&id).await?;
    ensure("a status does not make a row", made.is_none(), made)?;
    let told = drain(store).await?;
    ensure(
        "a status without row announces nothing",
        told.is_empty(),
        told,
    )
}

pub(super) async fn every_column_is_read_back(store: &impl Store) -> Result<(), Broken> {
    let (_, id) = pending(store).await?;
    let mut full = status(&id, UpdatePhase::Stopped, 7);
    full.spec.url = "https://ws.example.com".to_owned();
    full.spec.timeout = "30m".to_owned();
    full.spec.exposed_ports = vec![UpdatePort::new(3000, "https://3000-ws.example.com")];
    full.message = "said".to_owned();
    full.runtime = Some(UpdateRuntime::new("n1", "ws-1", "10.0.0.1"));
    full.auth.owner_token = Some("s3cret".into());
    full.metadata.image = Some(UpdateImageInfo::new(9, 7));
    full.initializer_metrics = Some(InitializerMetrics::default());
    full.conditions.failed = "oom".to_owned();
    full.conditions.timeout = "30m".to_owned();
    full.conditions.headless_task_failed = "exit 1".to_owned();
    full.conditions.first_user_activity = Timestamp::from_millisecond(1_234).ok();
    let taken = take(store, &full).await?;
    let after = row(store, &id).await?;
    let same = taken.change.as_deref() == Some(&after.state);
    ensure(
        "every column is read back as it was written",
        same,
        (taken, after),
    )
}

/// Adds one to a counter in the row, many times at once.
pub(super) async fn row_is_locked_from_reading_to_commit<S: Store>(
    store: Arc<S>,
) -> Result<(), Broken> {
    let (_, id) = pending(&*store).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..ADDERS {
        let (store, id) = (Arc::clone(&store), id.clone());
        tasks.spawn(async move { store.transact(&id, &|row, _| add_one(row)).await.map(drop) });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| StoreError::Other(error.into()))??;
    }
    let sum = row(&*store, &id).await?.state.status_version;
    ensure(
        "no transaction writes over another one's",
        sum == ADDERS,
        sum,
    )
}

const ADDERS: i64 = 40;

fn add_one(row: Option<&InstanceRow>) -> Plan {
    let Some(row) = row else {
        return Plan::nothing(Outcome::UnknownInstance);
    };
    let mut state = row.state.clone();
    state.status_version += 1;
    Plan::changing(Outcome::Applied, state)
}

/// Eight replicas get the same history, each in its own order.
pub(super) async fn shuffled_histories_end_in_the_newest_status<S: Store>(
    store: Arc<S>,
) -> Result<(), Broken> {
    let (_, id) = pending(&*store).await?;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for seed in 1..=8 {
        let (store, id, seen) = (Arc::clone(&store), id.clone(), Arc::clone(&seen));
        let statuses = Shuffle::new(seed).with_repetitions(&history(&id));
        tasks.spawn(async move { deliver(&*store, &id, &statuses, &seen).await });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| StoreError::Other(error.into()))??;
    }
    let end = row(&*store, &id).await?;
    let newest = (end.state.phase, end.state.status_version);
    let stopped = newest == (InstancePhase::Stopped, 6);
    ensure("any order ends in the newest status", stopped, &end)?;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let rising = seen.windows(2).all(|pair| matches!(pair, [a, b] if a <= b));
    ensure("versions in the row never fall", rising, &seen)?;
    let told = drain(&*store).await?;
    let stops = told
        .iter()
        .filter(|message| message.topic == "event/bridge-wsstopped-run-1");
    let stops = stops.count();
    ensure("the stop is told once", stops == 1, told)
}

async fn deliver(
    store: &impl Store,
    id: &InstanceId,
    statuses: &[StatusUpdate],
    seen: &Mutex<Vec<i64>>,
) -> Result<(), StoreError> {
    let origin = Origin::new(CLUSTER);
    for status in statuses {
        let decide = |row: Option<&InstanceRow>, now: Timestamp| {
            let version = row.map_or(0, |row| row.state.status_version);
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(version);
            plan(row, status, now, &origin)
        };
        store.transact(id, &decide).await?;
    }
    Ok(())
}

/// Gives a transaction up after 0, 1, 2 … polls, as a process that dies would.
pub(super) async fn dropped_transaction_leaves_all_or_nothing(
    store: &impl Store,
) -> Result<(), Broken> {
    let (_, id) = pending(store).await?;
    let mut committed = 0;
    for version in 1..60 {
        let before = row(store, &id).await?;
        let mut status = status(&id, UpdatePhase::Running, version);
        status.message = format!("step {version}");
        poll_then_drop(take(store, &status), version % 12).await;
        // The next one waits for what the dropped one left to be cleared up.
        store
            .transact(&id, &|_, _| Plan::nothing(Outcome::Kept))
            .await?;
        let after = row(store, &id).await?;
        let told = drain(store).await?;
        let changed = after.row_version > before.row_version;
        let about_change = |message: &&Message| message.channel == CHANNEL_INSTANCES;
        let announced = told.iter().filter(about_change).count();
        let whole = announced == usize::from(changed);
        ensure(
            "a dropped transaction is whole or nothing",
            whole,
            (after, told),
        )?;
        committed += announced;
    }
    ensure(
        "transactions that were not dropped are committed",
        committed > 0,
        committed,
    )
}

/// Polls as often, whether or not something has happened in between.
async fn poll_then_drop(future: impl Future, polls: u64) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if future.as_mut().poll(&mut context).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
        tokio::time::sleep(std::time::Duration::from_micros(200)).await;
    }
}
