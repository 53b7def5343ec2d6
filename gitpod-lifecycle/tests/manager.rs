//! What the manager promises, on adapters in memory and a paused clock.
#![cfg(feature = "runtime")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gitpod_lifecycle::{
    Activity, Adapters, Changes, Clock, ContentSource, GitSource, GoDuration, Listing, Maintenance,
    ManageError, Manager, MemoryCluster, MemoryContent, MemoryRecords, Phase, PortSpec, Record,
    RecordError, Records, Settings, Spec, Status, StatusUpdate, StopPolicy, Subscription,
    Termination, TimeoutKind, UpdateBool, UpdatePhase,
};
use gitpod_routing::InstanceId;
use jiff::Timestamp;

struct World {
    records: MemoryRecords,
    cluster: MemoryCluster,
    content: MemoryContent,
}

impl World {
    fn new() -> Self {
        Self {
            records: MemoryRecords::new(),
            cluster: MemoryCluster::new(),
            content: MemoryContent::new(),
        }
    }

    async fn open(&self) -> Manager {
        let clock = Clock::of_runtime(Timestamp::UNIX_EPOCH);
        let manager = Manager::open(self.adapters(), settings(), clock).await;
        manager.unwrap()
    }

    fn adapters(&self) -> Adapters {
        Adapters::new(
            self.records.clone(),
            self.cluster.clone(),
            self.content.clone(),
        )
    }
}

fn settings() -> Settings {
    let workspace = "http://{{ .Prefix }}.ws.localhost/".parse().unwrap();
    Settings::new(
        workspace,
        "http://{{ .WorkspacePort }}-{{ .Prefix }}.ws.localhost/"
            .parse()
            .unwrap(),
    )
}

fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

fn spec(instance: &str) -> Spec {
    Spec::new(
        id(instance),
        "pink-panda-ns35kd21".into(),
        Timestamp::UNIX_EPOCH,
    )
}

async fn next(updates: &mut Subscription<StatusUpdate>) -> StatusUpdate {
    let update = tokio::time::timeout(Duration::from_secs(1_000_000), updates.next()).await;
    update.unwrap().unwrap().unwrap()
}

/// Phases in order until `last`, each once.
async fn phases_until(
    updates: &mut Subscription<StatusUpdate>,
    last: UpdatePhase,
) -> Vec<UpdatePhase> {
    let mut phases = Vec::new();
    while phases.last() != Some(&last) {
        let phase = next(updates).await.phase;
        if phases.last() != Some(&phase) {
            phases.push(phase);
        }
    }
    phases
}

async fn last_update(updates: &mut Subscription<StatusUpdate>) -> StatusUpdate {
    loop {
        let update = next(updates).await;
        if update.phase == UpdatePhase::Stopped {
            return update;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn workspace_starts_runs_stops_and_leaves_nothing_but_its_files() {
    use UpdatePhase::*;
    let world = World::new();
    let manager = world.open().await;
    let mut updates = manager.subscribe();
    let access = manager.start(spec("i1")).await.unwrap();
    assert_eq!(access.url, "http://pink-panda-ns35kd21.ws.localhost/");
    let phases = phases_until(&mut updates, Running).await;
    assert_eq!(phases, [Unknown, Pending, Creating, Initializing, Running]);

    manager.stop(&id("i1"), StopPolicy::Normally).await.unwrap();
    let phases = phases_until(&mut updates, Stopped).await;
    assert_eq!(phases[phases.len() - 2..], [Stopping, Stopped]);
    manager.gone(&id("i1")).await.unwrap();
    assert_eq!(world.cluster.runner_count(), 0);
    assert!(world.records.list().await.unwrap().records.is_empty());
    assert!(world.content.has(&"pink-panda-ns35kd21".into()));

    manager
        .delete_content(&"pink-panda-ns35kd21".into())
        .await
        .unwrap();
    assert!(!world.content.has(&"pink-panda-ns35kd21".into()));
}

#[tokio::test(start_paused = true)]
async fn versions_only_grow_and_the_final_backup_is_told() {
    let world = World::new();
    let manager = world.open().await;
    let mut updates = manager.subscribe();
    manager.start(spec("i1")).await.unwrap();
    let mut seen = vec![next(&mut updates).await];
    while seen.last().unwrap().phase != UpdatePhase::Running {
        seen.push(next(&mut updates).await);
    }
    manager.stop(&id("i1"), StopPolicy::Normally).await.unwrap();
    while seen.last().unwrap().phase != UpdatePhase::Stopped {
        seen.push(next(&mut updates).await);
    }
    assert!(
        seen.windows(2)
            .all(|pair| pair[0].status_version < pair[1].status_version)
    );
    let last = &seen.last().unwrap().conditions;
    assert_eq!(last.final_backup_complete, UpdateBool::True);
    assert_eq!(last.stopped_by_request, UpdateBool::True);
    assert_eq!(last.failed, "");
}

#[tokio::test(start_paused = true)]
async fn same_start_again_answers_the_same_and_another_instance_is_refused() {
    let world = World::new();
    let manager = world.open().await;
    let first = manager.start(spec("i1")).await.unwrap();
    assert_eq!(manager.start(spec("i1")).await.unwrap(), first);
    let refused = manager.start(spec("i2")).await.unwrap_err();
    assert!(matches!(refused, ManageError::AlreadyRuns { instance, .. } if instance == id("i1")));

    manager
        .stop(&id("i1"), StopPolicy::Immediately)
        .await
        .unwrap();
    manager.gone(&id("i1")).await.unwrap();
    let second = manager.start(spec("i2")).await.unwrap();
    assert_ne!(second.owner_token, first.owner_token);
}

#[tokio::test(start_paused = true)]
async fn many_starts_at_once_make_one_instance() {
    let world = World::new();
    let manager = world.open().await;
    let starts = (0..20).map(|n| {
        let manager = manager.clone();
        tokio::spawn(async move { manager.start(spec(&format!("i{n}"))).await.is_ok() })
    });
    let mut started = 0;
    for start in starts.collect::<Vec<_>>() {
        started += u32::from(start.await.unwrap());
    }
    assert_eq!(started, 1);
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
async fn manager_that_is_opened_later_goes_on_with_what_runs() {
    let world = World::new();
    let first = world.open().await;
    let mut updates = first.subscribe();
    let access = first.start(spec("i1")).await.unwrap();
    phases_until(&mut updates, UpdatePhase::Running).await;
    drop(first);

    let second = world.open().await;
    assert_eq!(second.start(spec("i1")).await.unwrap(), access);
    let described = second.describe(&id("i1")).await.unwrap();
    assert_eq!(described.update.phase, UpdatePhase::Running);
    second.stop(&id("i1"), StopPolicy::Normally).await.unwrap();
    second.gone(&id("i1")).await.unwrap();
    assert_eq!(world.cluster.runner_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn missing_repository_fails_the_instance_and_says_so() {
    let world = World::new();
    let manager = world.open().await;
    let mut updates = manager.subscribe();
    let mut wanted = spec("i1");
    wanted.content = ContentSource::Git(GitSource::new(""));
    manager.start(wanted).await.unwrap();
    let last = last_update(&mut updates).await;
    assert!(last.conditions.failed.ends_with("no repository was named"));
}

#[tokio::test(start_paused = true)]
async fn runner_that_ends_or_vanishes_by_itself_stops_the_instance() {
    for vanishes in [false, true] {
        let world = World::new();
        let manager = world.open().await;
        let mut updates = manager.subscribe();
        manager.start(spec("i1")).await.unwrap();
        phases_until(&mut updates, UpdatePhase::Running).await;
        match vanishes {
            true => world.cluster.lose(&id("i1")),
            false => world
                .cluster
                .end(&id("i1"), Termination::exited(3, "broke\n")),
        }
        let last = last_update(&mut updates).await;
        assert_ne!(last.conditions.failed, "");
        manager.gone(&id("i1")).await.unwrap();
        assert_eq!(world.cluster.runner_count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn ports_are_added_changed_and_removed() {
    let world = World::new();
    let manager = world.open().await;
    manager.start(spec("i1")).await.unwrap();
    manager
        .expose_port(&id("i1"), PortSpec::new(3000))
        .await
        .unwrap();
    let declared = [PortSpec::new(8080), PortSpec::new(3000)];
    manager.declare_ports(&id("i1"), &declared).await.unwrap();
    let ports = async || {
        let described = manager.describe(&id("i1")).await.unwrap();
        described
            .record
            .spec
            .ports
            .iter()
            .map(|port| port.port)
            .collect::<Vec<_>>()
    };
    assert_eq!(ports().await, [3000, 8080]);
    manager.hide_port(&id("i1"), 3000).await.unwrap();
    manager.hide_port(&id("i1"), 3000).await.unwrap();
    assert_eq!(ports().await, [8080]);
    let refused = manager
        .expose_port(&id("i1"), PortSpec::new(0))
        .await
        .unwrap_err();
    assert!(matches!(refused, ManageError::Invalid(_)));
}

#[tokio::test(start_paused = true)]
async fn maintenance_refuses_starts_and_stops() {
    let world = World::new();
    let manager = world.open().await;
    manager.start(spec("i1")).await.unwrap();
    manager.set_maintenance(Maintenance::On);
    for refused in [
        manager.start(spec("i2")).await.map(drop).unwrap_err(),
        manager
            .stop(&id("i1"), StopPolicy::Normally)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(refused.to_string(), "under maintenance");
    }
    manager.set_maintenance(Maintenance::Off);
    manager.stop(&id("i1"), StopPolicy::Normally).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn unknown_instances_are_not_found() {
    let world = World::new();
    let manager = world.open().await;
    let nobody = id("nobody");
    for refused in [
        manager
            .stop(&nobody, StopPolicy::Normally)
            .await
            .unwrap_err(),
        manager
            .mark_active(&nobody, Activity::Used)
            .await
            .unwrap_err(),
        manager.describe(&nobody).await.map(drop).unwrap_err(),
    ] {
        assert!(matches!(refused, ManageError::NotFound(_)));
    }
    manager.gone(&nobody).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn timeouts_that_make_no_sense_are_refused() {
    let world = World::new();
    let manager = world.open().await;
    manager.start(spec("i1")).await.unwrap();
    for (kind, limit, accepted) in [
        (TimeoutKind::Inactivity, 0, false),
        (TimeoutKind::AfterClosed, 0, true), // disables it
        (TimeoutKind::Inactivity, -1, false),
        (TimeoutKind::AfterClosed, 999_999, false), // below a millisecond
        (TimeoutKind::Inactivity, 1_000_000, true),
    ] {
        let answer = manager
            .set_timeout(&id("i1"), kind, GoDuration::from_nanos(limit))
            .await;
        assert_eq!(answer.is_ok(), accepted, "{kind:?} {limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_subscriber_is_told_that_it_missed_something() {
    let world = World::new();
    let manager = world.open().await;
    let mut slow = manager.subscribe();
    let mut updates = manager.subscribe();
    manager.start(spec("i1")).await.unwrap();
    phases_until(&mut updates, UpdatePhase::Running).await;
    for port in 1..300 {
        manager
            .expose_port(&id("i1"), PortSpec::new(port))
            .await
            .unwrap();
        while next(&mut updates).await.spec.exposed_ports.len() < usize::from(port) {}
    }
    let lost = slow.next().await.unwrap().unwrap_err().lost;
    assert!(lost > 0);
    assert!(slow.next().await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn manager_that_ends_at_any_moment_is_replaced_without_harm() {
    let world = World::new();
    for steps in 0..60 {
        let manager = world.open().await;
        if steps == 0 {
            manager.start(spec("i1")).await.unwrap();
        }
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
        assert!(world.cluster.runner_count() <= 1);
    }
    let last = world.open().await;
    let mut updates = last.subscribe();
    while last.describe(&id("i1")).await.unwrap().update.phase != UpdatePhase::Running {
        next(&mut updates).await;
    }
    last.stop(&id("i1"), StopPolicy::Normally).await.unwrap();
    for steps in 0..60 {
        let manager = world.open().await;
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
        drop(manager);
    }
    last.gone(&id("i1")).await.unwrap();
    assert_eq!(world.cluster.runner_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_subscribes_before_a_manager_begins_misses_no_status_of_an_earlier_one() {
    let world = World::new();
    {
        let manager = world.open().await;
        let mut updates = manager.subscribe();
        manager.start(spec("i1")).await.unwrap();
        phases_until(&mut updates, UpdatePhase::Running).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await; // nobody looks any more
    world.cluster.end(&id("i1"), Termination::exited(0, ""));
    let clock = Clock::of_runtime(Timestamp::UNIX_EPOCH);
    let manager = Manager::at_rest(world.adapters(), settings(), clock).await;
    let manager = manager.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let record = world.records.get(&id("i1")).await.unwrap().unwrap();
    assert_eq!(record.status.phase, Phase::Running); // nothing was done for it

    let mut updates = manager.subscribe();
    manager.begin().await.unwrap();
    let phases = phases_until(&mut updates, UpdatePhase::Stopped).await;
    assert_eq!(phases[0], UpdatePhase::Running);
    manager.gone(&id("i1")).await.unwrap();
}

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

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
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
        tokio::time::sleep(Duration::from_millis(900)).await;
        manager
            .mark_active(&id("i1"), Activity::Used)
            .await
            .unwrap();
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(manager.describe(&id("i1")).await.is_err());
}
