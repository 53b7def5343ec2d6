//! A store or a cluster that is out of reach for a while costs time, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use gitpod_bridge::{
    Apply, Bridge, Decide, InstancePhase, InstanceRow, InstanceStore, MemorySource, MemoryStore,
    Origin, Outcome, Plan, SourceError, StatusSource, StatusStream, StoreError,
};
use gitpod_lifecycle::{StatusUpdate, UpdatePhase};
use gitpod_routing::InstanceId;
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Fails so often before it works.
#[derive(Debug)]
struct Flaky {
    store: MemoryStore,
    failures: AtomicU32,
    transient: bool,
}

#[async_trait]
impl InstanceStore for Flaky {
    async fn transact(&self, id: &InstanceId, decide: Decide<'_>) -> Result<Plan, StoreError> {
        let left = self.failures.load(Ordering::Relaxed);
        if left > 0 {
            self.failures.store(left - 1, Ordering::Relaxed);
            return Err(match self.transient {
                true => StoreError::Unavailable("told to".into()),
                false => StoreError::Other("told to".into()),
            });
        }
        self.store.transact(id, decide).await
    }
    async fn instance(&self, id: &InstanceId) -> Result<Option<InstanceRow>, StoreError> {
        self.store.instance(id).await
    }
    async fn live_instances(&self) -> Result<Vec<InstanceRow>, StoreError> {
        self.store.live_instances().await
    }
}

fn flaky(failures: u32, transient: bool) -> Arc<Flaky> {
    let store = MemoryStore::new();
    let workspace = "pink-panda-ns35kd21".parse().unwrap();
    let id = "i1".parse().unwrap();
    store.put_instance(InstanceRow::new(id, workspace, "c1", Timestamp::UNIX_EPOCH));
    let failures = AtomicU32::new(failures);
    Arc::new(Flaky {
        store,
        failures,
        transient,
    })
}

fn running(version: u64) -> StatusUpdate {
    let mut status = StatusUpdate::new("i1", UpdatePhase::Running);
    status.status_version = version;
    status
}

async fn phase(store: &Flaky) -> InstancePhase {
    let row = store.instance(&"i1".parse().unwrap()).await.unwrap();
    row.unwrap().state.phase
}

#[tokio::test(start_paused = true)]
async fn store_out_of_reach_is_asked_again_until_it_answers() {
    let store = flaky(6, true);
    let began = Instant::now();
    let apply = Apply::new(
        Arc::clone(&store) as Arc<dyn InstanceStore>,
        Origin::new("c1"),
    );
    assert_eq!(apply.take(&running(1)).await.unwrap(), Outcome::Applied);
    let waited = began.elapsed();
    assert!(
        waited >= Duration::from_millis(100 + 200 + 400 + 800 + 1600 + 3200),
        "{waited:?}"
    );
    assert!(waited <= Duration::from_secs(60), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn patience_ends() {
    let store = flaky(u32::MAX, true);
    let apply = Apply::new(
        Arc::clone(&store) as Arc<dyn InstanceStore>,
        Origin::new("c1"),
    );
    let began = Instant::now();
    assert!(apply.take(&running(1)).await.unwrap_err().is_transient());
    assert!(
        began.elapsed() <= Duration::from_secs(300),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn what_will_not_get_better_is_not_tried_again() {
    let store = flaky(1, false);
    let apply = Apply::new(
        Arc::clone(&store) as Arc<dyn InstanceStore>,
        Origin::new("c1"),
    );
    assert!(!apply.take(&running(1)).await.unwrap_err().is_transient());
    assert_eq!(store.failures.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn status_that_ran_out_of_patience_is_taken_from_the_next_list() {
    let store = flaky(200, true);
    let source = MemorySource::new();
    source.report(running(1));
    let stop = CancellationToken::new();
    let bridge = Bridge::new(
        Arc::new(source),
        Arc::clone(&store) as Arc<dyn InstanceStore>,
        Origin::new("c1"),
    );
    let task = tokio::spawn(bridge.run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(phase(&store).await, InstancePhase::Running);
    stop.cancel();
    task.await.unwrap();
}

/// Writes down what is asked of it.
#[derive(Debug, Default)]
struct Scripted {
    lists: Mutex<VecDeque<Result<Vec<StatusUpdate>, ()>>>,
    streams: Mutex<VecDeque<Vec<StatusUpdate>>>,
    asked: Mutex<Vec<(&'static str, Duration)>>,
    began: Mutex<Option<Instant>>,
}

impl Scripted {
    fn note(&self, what: &'static str) {
        let began = *self.began.lock().unwrap().get_or_insert_with(Instant::now);
        self.asked.lock().unwrap().push((what, began.elapsed()));
    }
}

#[async_trait]
impl StatusSource for Scripted {
    async fn subscribe(&self) -> Result<StatusStream, SourceError> {
        self.note("subscribe");
        match self.streams.lock().unwrap().pop_front() {
            // Panics if it is polled after its end.
            Some(statuses) => Ok(stream::unfold(statuses.into_iter(), |mut rest| async {
                rest.next().map(|status| (Ok(status), rest))
            })
            .boxed()),
            None => Ok(stream::pending().boxed()),
        }
    }
    async fn list(&self) -> Result<Vec<StatusUpdate>, SourceError> {
        self.note("list");
        let list = self.lists.lock().unwrap().pop_front();
        list.unwrap_or(Ok(Vec::new()))
            .map_err(|()| SourceError::new("told to"))
    }
}

#[tokio::test(start_paused = true)]
async fn stream_is_opened_before_the_list_and_waits_grow() {
    let source = Arc::new(Scripted::default());
    source
        .lists
        .lock()
        .unwrap()
        .extend([Ok(vec![running(1)]), Err(()), Err(())]);
    source
        .streams
        .lock()
        .unwrap()
        .extend([vec![running(2)], vec![], vec![], vec![]]);
    let store = flaky(0, true);
    let stop = CancellationToken::new();
    let bridge = Bridge::new(
        Arc::clone(&source) as Arc<dyn StatusSource>,
        Arc::clone(&store) as Arc<dyn InstanceStore>,
        Origin::new("c1"),
    );
    let task = tokio::spawn(bridge.run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(59)).await;
    stop.cancel();
    task.await.unwrap();
    let asked = source.asked.lock().unwrap().clone();
    let order: Vec<_> = asked.iter().map(|(what, _)| *what).collect();
    assert_eq!(order, ["subscribe", "list"].repeat(5));
    let opened: Vec<_> = asked.iter().step_by(2).map(|(_, at)| *at).collect();
    let waits: Vec<_> = opened.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (wait, least) in waits.iter().zip([1, 2, 4, 8]) {
        let least = Duration::from_secs(least);
        assert!(
            *wait >= least && *wait <= 2 * least + Duration::from_millis(10),
            "{waits:?}"
        );
    }
    let row = store
        .instance(&"i1".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.state.status_version, 2);
}

#[tokio::test(start_paused = true)]
async fn healthy_stream_is_followed_by_a_list_every_ten_minutes() {
    let source = Arc::new(Scripted::default());
    let stop = CancellationToken::new();
    let bridge = Bridge::new(
        Arc::clone(&source) as Arc<dyn StatusSource>,
        flaky(0, true) as Arc<dyn InstanceStore>,
        Origin::new("c1"),
    );
    let task = tokio::spawn(bridge.run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(3601)).await;
    stop.cancel();
    task.await.unwrap();
    let asked = source.asked.lock().unwrap().clone();
    let count = |wanted| asked.iter().filter(|(what, _)| *what == wanted).count();
    assert_eq!((count("subscribe"), count("list")), (1, 7), "{asked:?}");
}
