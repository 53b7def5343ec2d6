//! Dashboards made for the reference bridge find their metrics here.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use gitpod_bridge::{
    Apply, InstanceRow, InstanceStore, MemoryPublisher, MemoryStore, Origin, Relay, StopOrigin,
    stop_instance,
};
use gitpod_lifecycle::{StatusUpdate, UpdatePhase};
use jiff::Timestamp;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Remembers which metrics were written, with their labels.
#[derive(Default)]
struct Seen(Mutex<BTreeSet<String>>);

impl Seen {
    fn note(&self, key: &Key) {
        let labels = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()));
        let labels: Vec<_> = labels.collect();
        let line = format!("{}{{{}}}", key.name(), labels.join(","));
        self.0.lock().unwrap().insert(line);
    }
}

impl Recorder for Seen {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.note(key);
        Counter::noop()
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.note(key);
        Gauge::noop()
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.note(key);
        Histogram::noop()
    }
}

async fn live(store: Arc<MemoryStore>) {
    let apply = Apply::new(
        Arc::clone(&store) as Arc<dyn InstanceStore>,
        Origin::new("c1"),
    );
    for (version, phase) in [(2, UpdatePhase::Running), (1, UpdatePhase::Creating)] {
        let mut status = StatusUpdate::new("i1", phase);
        status.status_version = version;
        apply.take(&status).await.unwrap();
    }
    apply
        .take(&StatusUpdate::new("i2", UpdatePhase::Running))
        .await
        .unwrap();
    let id = "i1".parse().unwrap();
    stop_instance(&*store, &id, StopOrigin::Inferred, "silent")
        .await
        .unwrap();
    let outbox: Arc<MemoryStore> = store;
    Relay::new(outbox, Arc::new(MemoryPublisher::default()))
        .drain()
        .await
        .unwrap();
}

#[test]
fn names_and_labels_are_those_of_the_reference() {
    let store = Arc::new(MemoryStore::new());
    let workspace = "pink-panda-ns35kd21".parse().unwrap();
    let row = InstanceRow::new(
        "i1".parse().unwrap(),
        workspace,
        "c1",
        Timestamp::UNIX_EPOCH,
    );
    store.put_instance(row);
    let seen = Seen::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    metrics::with_local_recorder(&seen, || runtime.block_on(live(store)));
    let bridge = "gitpod_ws_manager_bridge";
    let expected = [
        "gitpod_redis_updates_published_total{type=event,error=false}".to_owned(),
        "gitpod_redis_updates_published_total{type=workspace-instances,error=false}".to_owned(),
        "gitpod_ws_instances_marked_stopped_total{previous_phase=running}".to_owned(),
        format!("{bridge}_stale_status_updates_total{{}}"),
        format!("{bridge}_status_updates_total{{workspace_cluster=c1,known_instance=false}}"),
        format!("{bridge}_status_updates_total{{workspace_cluster=c1,known_instance=true}}"),
        format!(
            "{bridge}_workspace_instance_update_completed_seconds{{workspace_cluster=c1,workspace_instance_type=regular,outcome=skipped}}"
        ),
        format!(
            "{bridge}_workspace_instance_update_completed_seconds{{workspace_cluster=c1,workspace_instance_type=regular,outcome=success}}"
        ),
        format!(
            "{bridge}_workspace_instance_update_started_total{{workspace_cluster=c1,workspace_instance_type=regular}}"
        ),
        "workspace_startup_time{neededImageBuild=false,region=c1}".to_owned(),
    ];
    assert_eq!(*seen.0.lock().unwrap(), BTreeSet::from(expected));
}
