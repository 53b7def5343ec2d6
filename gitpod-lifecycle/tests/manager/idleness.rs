//! Who is used stays, who is not used stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gitpod_lifecycle::{
    Activity, Adapters, Changes, Clock, GoDuration, Listing, Manager, MemoryRecords, Phase, Record,
    RecordError, Records, Spec, Status, TimeoutKind, UpdatePhase,
};
use gitpod_routing::InstanceId;
use jiff::Timestamp;

use crate::world::{World, id, last_update, phases_until, settings, spec};

/// Records of a disk that is full now and then.
#[derive(Clone, Debug)]
struct FullAtTimes {
    inner: MemoryRecords,
    is_full: Arc<AtomicBool>,
}

#[async_trait]
impl Records for FullAtTimes {
    async fn create(&self, spec: Spec, status: Status) -> Result<Record, RecordError> {
        self.inner.create(spec, status).await
    }

    async fn get(&self, instance: &InstanceId) -> Result<Option<Record>, RecordError> {
        self.inner.get(instance).await
    }

    async fn replace(&self, record: Record) -> Result<Record, RecordError> {
        match self.is_full.load(Ordering::Relaxed) {
            true => Err(RecordError::Full(record.spec.instance)),
            false => self.inner.replace(record).await,
        }
    }

    async fn delete(&self, instance: &InstanceId) -> Result<(), RecordError> {
        self.inner.delete(instance).await
    }

    async fn list(&self) -> Result<Listing, RecordError> {
        self.inner.list().await
    }

    fn changes(&self) -> Changes {
        self.inner.changes()
    }
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

#[tokio::test(start_paused = true)]
async fn unused_workspace_stops_by_itself_and_says_why() {
    let world = World::new();
    let manager = world.open().await;
    let mut updates = manager.subscribe();
    manager.start(spec("i1")).await.unwrap();
    phases_until(&mut updates, UpdatePhase::Running).await;
    manager
        .mark_active(&id("i1"), Activity::Used)
        .await
        .unwrap();
    let half_minute = GoDuration::from(Duration::from_secs(30));
    manager
        .set_timeout(&id("i1"), TimeoutKind::Inactivity, half_minute)
        .await
        .unwrap();
    let before = tokio::time::Instant::now();
    let last = last_update(&mut updates).await;
    assert!(
        (29..32).contains(&before.elapsed().as_secs()),
        "{:?}",
        before.elapsed()
    );
    assert!(
        last.conditions.timeout.contains("inactivity"),
        "{}",
        last.conditions.timeout
    );
}

#[tokio::test(start_paused = true)]
async fn use_puts_the_end_off() {
    let world = World::new();
    let manager = world.open().await;
    let mut updates = manager.subscribe();
    let mut wanted = spec("i1");
    wanted.timeouts.inactivity = Some(Duration::from_secs(60));
    manager.start(wanted).await.unwrap();
    phases_until(&mut updates, UpdatePhase::Running).await;
    for _ in 0..10 {
        manager
            .mark_active(&id("i1"), Activity::Used)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_secs(50)).await;
    }
    let described = manager.describe(&id("i1")).await.unwrap();
    assert_eq!(described.update.phase, UpdatePhase::Running);
    assert!(described.explanation.stops_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn use_that_could_not_be_recorded_keeps_a_workspace_alive_and_is_explained() {
    let world = World::new();
    let records = FullAtTimes {
        inner: world.records.clone(),
        is_full: Arc::default(),
    };
    let is_full = Arc::clone(&records.is_full);
    let adapters = Adapters::new(records, world.cluster.clone(), world.content.clone());
    let clock = Clock::of_runtime(Timestamp::UNIX_EPOCH);
    let manager = Manager::open(adapters, settings(), clock).await.unwrap();
    let mut updates = manager.subscribe();
    manager.start(spec("i1")).await.unwrap();
    phases_until(&mut updates, UpdatePhase::Running).await;
    manager
        .mark_active(&id("i1"), Activity::Used)
        .await
        .unwrap();

    tokio::time::sleep(minutes(20)).await;
    is_full.store(true, Ordering::Relaxed);
    let lost = manager.mark_active(&id("i1"), Activity::Used).await;
    assert!(lost.unwrap_err().is_transient());
    is_full.store(false, Ordering::Relaxed);

    tokio::time::sleep(minutes(25)).await; // the limit is half an hour
    let told = manager.describe(&id("i1")).await.unwrap();
    assert_eq!(told.record.status.phase, Phase::Running);
    let because = told.explanation.alive_because.unwrap();
    assert_eq!(because, "it was last used 25m0s ago");
    tokio::time::sleep(minutes(6)).await;
    assert!(manager.describe(&id("i1")).await.is_err()); // and no longer than that
}

#[tokio::test(start_paused = true)]
async fn workspace_in_constant_use_outlives_the_shortest_limit() {
    let world = World::new();
    let manager = world.open().await;
    let mut updates = manager.subscribe();
    manager.start(spec("i1")).await.unwrap();
    phases_until(&mut updates, UpdatePhase::Running).await;
    let limit = "2s".parse::<GoDuration>().unwrap();
    let kind = TimeoutKind::Inactivity;
    manager
        .mark_active(&id("i1"), Activity::Used)
        .await
        .unwrap();
    manager.set_timeout(&id("i1"), kind, limit).await.unwrap();
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_millis(1900)).await; // to the moment
        manager
            .mark_active(&id("i1"), Activity::Used)
            .await
            .unwrap();
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(manager.describe(&id("i1")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn time_in_which_nobody_could_see_it_does_not_count_and_is_told() {
    let world = World::new();
    let manager = world.open().await;
    let mut updates = manager.subscribe();
    let mut never_used = spec("i2");
    never_used.workspace = "grey-wolf-ns35kd21".into();
    never_used.timeouts.inactivity = Some(minutes(90)); // longer than it may take to start
    for spec in [spec("i1"), never_used] {
        manager.start(spec).await.unwrap();
        phases_until(&mut updates, UpdatePhase::Running).await;
    }
    let limit = "20s".parse::<GoDuration>().unwrap();
    let kind = TimeoutKind::Inactivity;
    manager
        .mark_active(&id("i1"), Activity::Used)
        .await
        .unwrap();
    manager.set_timeout(&id("i1"), kind, limit).await.unwrap();

    tokio::time::sleep(Duration::from_secs(5)).await;
    tokio::time::advance(minutes(120)).await; // with nothing done: this process did not run
    tokio::time::sleep(Duration::from_secs(10)).await;
    let told = manager.describe(&id("i1")).await.unwrap();
    assert_eq!(told.record.status.phase, Phase::Running);
    let because = told.explanation.alive_because.unwrap();
    let expected = "it was last used 2h0m15s ago; 2h0m";
    assert!(because.starts_with(expected), "{because}");
    assert!(because.contains(" of that do not count"), "{because}");
    assert!(manager.describe(&id("i2")).await.is_ok());

    tokio::time::sleep(Duration::from_secs(15)).await;
    assert!(manager.describe(&id("i1")).await.is_err()); // has had its twenty seconds
    assert!(manager.describe(&id("i2")).await.is_ok());
}
