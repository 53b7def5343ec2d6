//! What a cluster reports ends in the store, and is announced, whatever happens in between.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::Duration;

use gitpod_bridge::{
    Bridge, Heard, InstancePhase, InstanceRow, InstanceStore, MemoryPublisher, MemorySource,
    NewInstance, NewWorkspace, Origin, Relay, SqliteStore, Subscription, WorkspaceStore,
};
use gitpod_lifecycle::{StatusUpdate, UpdatePhase};
use gitpod_routing::{InstanceId, WorkspaceId};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A store, a cluster, and what runs between them.
struct System {
    directory: tempfile::TempDir,
    store: SqliteStore,
    source: MemorySource,
    listener: Subscription,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl System {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gitpod.db");
        let store = SqliteStore::open(path).await.unwrap();
        let publisher = MemoryPublisher::default();
        let listener = publisher.subscribe();
        let mut system = Self {
            directory,
            store,
            source: MemorySource::new(),
            listener,
            stop: CancellationToken::new(),
            tasks: Vec::new(),
        };
        let relay = Relay::new(Arc::new(system.store.clone()), Arc::new(publisher));
        system
            .tasks
            .push(tokio::spawn(relay.run(system.stop.clone())));
        system
    }

    fn start_bridge(&mut self) {
        let (source, store) = (self.source.clone(), self.store.clone());
        let bridge = Bridge::new(Arc::new(source), Arc::new(store), Origin::new("local"));
        self.tasks.push(tokio::spawn(bridge.run(self.stop.clone())));
    }

    async fn make(&self, workspace: &str, instance: &str) -> InstanceId {
        let workspace: WorkspaceId = workspace.parse().unwrap();
        let new = NewWorkspace::new(workspace.clone(), "/repo").with_owner("me");
        self.store.create_workspace(new).await.unwrap();
        let id: InstanceId = instance.parse().unwrap();
        let new = NewInstance::new(id.clone(), workspace, "local");
        self.store.create_instance(new).await.unwrap();
        id
    }

    fn report(&self, id: &InstanceId, phase: UpdatePhase, version: u64) {
        let mut status = StatusUpdate::new(id.as_str(), phase);
        status.status_version = version;
        self.source.report(status);
    }

    /// The row of `id` once it is in `phase`. Wakes up with each announcement.
    async fn reaches(&mut self, id: &InstanceId, phase: InstancePhase) -> InstanceRow {
        let reached = async {
            loop {
                let row = self.store.instance(id).await.unwrap().unwrap();
                if row.state.phase == phase {
                    return row;
                }
                assert!(matches!(
                    self.listener.next().await,
                    Some(Heard::Message(_))
                ));
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reached)
            .await
            .expect("never announced")
    }

    async fn stop(self) -> tempfile::TempDir {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
        self.store.close().await;
        self.directory
    }
}

#[tokio::test]
async fn life_is_stored_and_announced_and_survives_a_restart() {
    let mut system = System::new().await;
    system.start_bridge();
    let id = system.make("pink-panda-ns35kd21", "run-1").await;
    system.report(&id, UpdatePhase::Creating, 1);
    system.reaches(&id, InstancePhase::Creating).await;
    system.report(&id, UpdatePhase::Running, 2);
    system.reaches(&id, InstancePhase::Running).await;
    system.report(&id, UpdatePhase::Stopped, 3);
    let row = system.reaches(&id, InstancePhase::Stopped).await;
    let directory = system.stop().await;
    let path = directory.path().join("gitpod.db");
    let store = SqliteStore::open(path).await.unwrap();
    assert_eq!(store.instance(&id).await.unwrap(), Some(row));
}

#[tokio::test]
async fn statuses_from_before_the_bridge_started_are_taken_from_the_list() {
    let mut system = System::new().await;
    let id = system.make("pink-panda-ns35kd21", "run-1").await;
    system.report(&id, UpdatePhase::Running, 5);
    system.start_bridge();
    system.reaches(&id, InstancePhase::Running).await;
    system.stop().await;
}

#[tokio::test]
async fn status_that_came_while_the_stream_was_lost_is_taken_after() {
    let mut system = System::new().await;
    let id = system.make("pink-panda-ns35kd21", "run-1").await;
    system.report(&id, UpdatePhase::Running, 5);
    system.start_bridge();
    system.reaches(&id, InstancePhase::Running).await;
    system.source.disconnect();
    system.report(&id, UpdatePhase::Stopped, 6);
    system.reaches(&id, InstancePhase::Stopped).await;
    system.stop().await;
}

#[tokio::test]
async fn stop_during_work_finishes_what_has_arrived() {
    let mut system = System::new().await;
    let mut ids = Vec::new();
    for number in 10..40 {
        let workspace = format!("pink-panda-ns35kd{number}");
        ids.push(system.make(&workspace, &format!("run-{number}")).await);
    }
    system.start_bridge();
    for id in &ids {
        system.report(id, UpdatePhase::Running, 1);
    }
    let last = ids.last().unwrap().clone();
    system.reaches(&last, InstancePhase::Running).await;
    let store = system.store.clone();
    system.stop.cancel();
    for task in system.tasks.drain(..) {
        task.await.unwrap();
    }
    for id in &ids {
        let row = store.instance(id).await.unwrap().unwrap();
        assert_eq!(row.state.phase, InstancePhase::Running);
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attack_49_several_bridges_and_relays_apply_each_status_once() {
    let mut system = System::new().await;
    for _ in 0..3 {
        system.start_bridge();
    }
    let id = system.make("pink-panda-ns35kd21", "run-1").await;
    for (version, phase) in (1..).zip([
        UpdatePhase::Creating,
        UpdatePhase::Initializing,
        UpdatePhase::Running,
        UpdatePhase::Stopping,
        UpdatePhase::Stopped,
    ]) {
        system.report(&id, phase, version);
    }
    let row = system.reaches(&id, InstancePhase::Stopped).await;
    assert!(
        row.row_version <= 5,
        "applied more often than reported: {row:?}"
    );
    assert_eq!(row.state.status_version, 5);
    system.stop().await;
}
