//! Group `outbox`: what the relay does with what is committed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use gitpod_bridge::{
    Announcement, Effect, InstancePhase, InstanceRow, InstanceState, InstanceStore, MemoryStore,
    Message, Outbox, Outcome, Plan, PublishError, Publisher, Relay, RelaySettings, StopOrigin,
    stop_instance,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Case, row};

/// The four situations differ in what the case gives.
pub(super) fn replay(case: &Case<'_>) -> Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build()?;
    runtime.block_on(async {
        if case.input.get("once").is_some() {
            return once(case).await;
        }
        if case.input.get("redis").is_some() {
            return failures(case).await;
        }
        match case.input.get("crash").and_then(Value::as_str) {
            Some("after_publish") => crash_after_publish(case).await,
            Some(other) => anyhow::bail!("crash `{other}`"),
            None => batch(case).await,
        }
    })
}

async fn batch(case: &Case<'_>) -> Result<Value> {
    let outbox = OutboxInTest::with_rows(case).await?;
    let publisher = Arc::new(Redis::default());
    let deleted = outbox.relay(&publisher).drain().await?;
    Ok(json!({ "published": publisher.topics(), "deleted": deleted }))
}

/// Each key of the case ends the life of the instance that it names.
async fn once(case: &Case<'_>) -> Result<Value> {
    let outbox = OutboxInTest::new();
    let publisher = Arc::new(Redis::default());
    let mut created = 0;
    for key in texts(case, "once")? {
        let name = key
            .strip_prefix("bridge-wsstopped-")
            .context("another event")?;
        let instance = live(name)?;
        outbox.store.put_instance(instance.clone());
        stop_instance(&outbox.store, &instance.id, StopOrigin::Inferred, "silent").await?;
        outbox.relay(&publisher).drain().await?;
        let events = publisher.topics();
        created = events
            .iter()
            .filter(|topic| topic.starts_with("event/"))
            .count();
    }
    Ok(json!({ "rows_created": created }))
}

async fn failures(case: &Case<'_>) -> Result<Value> {
    let outbox = OutboxInTest::with_rows(case).await?;
    let mut answers = texts(case, "redis")?;
    answers.reverse();
    let publisher = Arc::new(Redis {
        answers: Mutex::new(answers),
        ..Redis::default()
    });
    let millis = |key: &str| {
        case.input
            .get(key)
            .and_then(Value::as_u64)
            .map(Duration::from_millis)
    };
    let mut settings = RelaySettings::default();
    settings.first_wait = millis("base_backoff_ms").unwrap_or(settings.first_wait);
    settings.longest_wait = millis("max_backoff_ms").unwrap_or(settings.longest_wait);
    let (mut attempts, mut waits) = (0, Vec::new());
    loop {
        attempts += 1;
        let relay = outbox.relay(&publisher).with_settings(settings);
        relay.drain().await?;
        let Some(wait) = outbox.store.due_in().await? else {
            break;
        };
        waits.push(wait.as_millis());
        outbox.pass(wait);
    }
    Ok(json!({ "attempts": attempts, "waits_ms": waits, "published": publisher.topics() }))
}

async fn crash_after_publish(case: &Case<'_>) -> Result<Value> {
    let outbox = OutboxInTest::with_rows(case).await?;
    let publisher = Arc::new(Redis::default());
    let hold = Duration::from_secs(5);
    for entry in outbox.store.take(100, hold).await? {
        publisher.publish(&entry.message).await?;
    }
    outbox.pass(hold);
    outbox.relay(&publisher).drain().await?;
    Ok(json!({ "published": publisher.topics() }))
}

/// A store whose clock stands still until it is told to pass.
struct OutboxInTest {
    store: MemoryStore,
    now: Arc<Mutex<Timestamp>>,
}

impl OutboxInTest {
    fn new() -> Self {
        let now = Arc::new(Mutex::new(Timestamp::UNIX_EPOCH));
        let clock = Arc::clone(&now);
        let tell = move || *clock.lock().unwrap_or_else(PoisonError::into_inner);
        let store = MemoryStore::new().with_clock(tell);
        Self { store, now }
    }

    /// With one committed change for each row of the case.
    async fn with_rows(case: &Case<'_>) -> Result<Self> {
        let outbox = Self::new();
        for topic in texts(case, "rows")? {
            let name = topic.strip_prefix("instance/").context("another topic")?;
            let row = live(name)?;
            let told = [Effect::Announce(Announcement::of_instance(&row))];
            let plan = Plan::nothing(Outcome::Applied).with_effects(told.into());
            outbox.store.transact(&row.id, &|_, _| plan.clone()).await?;
        }
        Ok(outbox)
    }

    fn pass(&self, time: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_add(time).unwrap_or(*now);
    }

    fn relay(&self, publisher: &Arc<Redis>) -> Relay {
        let publisher: Arc<Redis> = Arc::clone(publisher);
        Relay::new(Arc::new(self.store.clone()), publisher)
    }
}

fn live(name: &str) -> Result<InstanceRow> {
    let workspace = row::workspace_id("w1")?;
    let id = name.parse().context("name of an instance")?;
    let state = InstanceState::new(InstancePhase::Running);
    Ok(InstanceRow::new(id, workspace, "c1", Timestamp::UNIX_EPOCH).with_state(state))
}

fn texts(case: &Case<'_>, key: &str) -> Result<Vec<String>> {
    let list = case
        .input
        .get(key)
        .cloned()
        .with_context(|| format!("no {key}"))?;
    Ok(serde_json::from_value(list)?)
}

/// Answers as the case says, and `ok` after that.
#[derive(Debug, Default)]
struct Redis {
    answers: Mutex<Vec<String>>,
    heard: Mutex<Vec<String>>,
}

impl Redis {
    fn topics(&self) -> Vec<String> {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait]
impl Publisher for Redis {
    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.pop().is_some_and(|answer| answer != "ok") {
            return Err(PublishError::new("the case says so"));
        }
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push(message.topic.clone());
        Ok(())
    }
}
