//! Adapters in memory, and a manager on them.

use std::time::Duration;

use gitpod_lifecycle::{
    Adapters, Clock, Manager, MemoryCluster, MemoryContent, MemoryRecords, Settings, Spec,
    StatusUpdate, Subscription, UpdatePhase,
};
use gitpod_routing::InstanceId;
use jiff::Timestamp;

pub(crate) struct World {
    pub(crate) records: MemoryRecords,
    pub(crate) cluster: MemoryCluster,
    pub(crate) content: MemoryContent,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            records: MemoryRecords::new(),
            cluster: MemoryCluster::new(),
            content: MemoryContent::new(),
        }
    }

    pub(crate) async fn open(&self) -> Manager {
        let clock = Clock::of_runtime(Timestamp::UNIX_EPOCH);
        let manager = Manager::open(self.adapters(), settings(), clock).await;
        manager.unwrap()
    }

    pub(crate) fn adapters(&self) -> Adapters {
        Adapters::new(
            self.records.clone(),
            self.cluster.clone(),
            self.content.clone(),
        )
    }
}

pub(crate) fn settings() -> Settings {
    let workspace = "http://{{ .Prefix }}.ws.localhost/".parse().unwrap();
    Settings::new(
        workspace,
        "http://{{ .WorkspacePort }}-{{ .Prefix }}.ws.localhost/"
            .parse()
            .unwrap(),
    )
}

pub(crate) fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

pub(crate) fn spec(instance: &str) -> Spec {
    Spec::new(
        id(instance),
        "pink-panda-ns35kd21".into(),
        Timestamp::UNIX_EPOCH,
    )
}

pub(crate) async fn next(updates: &mut Subscription<StatusUpdate>) -> StatusUpdate {
    let update = tokio::time::timeout(Duration::from_secs(1_000_000), updates.next()).await;
    update.unwrap().unwrap().unwrap()
}

/// Phases in order until `last`, each once.
pub(crate) async fn phases_until(
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

pub(crate) async fn last_update(updates: &mut Subscription<StatusUpdate>) -> StatusUpdate {
    loop {
        let update = next(updates).await;
        if update.phase == UpdatePhase::Stopped {
            return update;
        }
    }
}
