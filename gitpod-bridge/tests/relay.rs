//! What is committed is published at least once, and nobody wakes up for nothing.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use gitpod_bridge::{
    InstanceRow, InstanceStore, MemoryStore, Message, Origin, Outbox, OutboxEntry, PublishError,
    Publisher, Relay, RelaySettings, StoreError, plan,
};
use gitpod_lifecycle::{StatusUpdate, UpdatePhase};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What the publisher does with the next messages; it takes those after.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Fail,
    Hang,
}

#[derive(Debug, Default)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    heard: Mutex<Vec<(Duration, String)>>,
    began: Mutex<Option<Instant>>,
}

impl Script {
    fn new(answers: &[Answer]) -> Arc<Self> {
        let script = Self::default();
        script.answers.lock().unwrap().extend(answers);
        *script.began.lock().unwrap() = Some(Instant::now());
        Arc::new(script)
    }

    fn topics(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|(_, topic)| topic.clone()).collect()
    }
}

#[async_trait]
impl Publisher for Script {
    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            Some(Answer::Fail) => return Err(PublishError::new("told to fail")),
            Some(Answer::Hang) => std::future::pending().await,
            None => {}
        }
        let after = self.began.lock().unwrap().unwrap().elapsed();
        let heard = (after, message.topic.clone());
        self.heard.lock().unwrap().push(heard);
        Ok(())
    }
}

/// A store whose clock is the one that tests move.
fn store() -> MemoryStore {
    let began = Instant::now();
    MemoryStore::new().with_clock(move || {
        let passed = SignedDuration::try_from(began.elapsed()).unwrap();
        Timestamp::UNIX_EPOCH + passed
    })
}

fn known(store: &MemoryStore, name: &str) {
    let workspace = "pink-panda-ns35kd21".parse().unwrap();
    let id = name.parse().unwrap();
    store.put_instance(InstanceRow::new(id, workspace, "c1", Timestamp::UNIX_EPOCH));
}

async fn change(store: &MemoryStore, name: &str, version: u64) {
    let mut status = StatusUpdate::new(name, UpdatePhase::Creating);
    status.status_version = version;
    status.message = format!("step {version}");
    let decide =
        |row: Option<&InstanceRow>, now: Timestamp| plan(row, &status, now, &Origin::new("c1"));
    store
        .transact(&name.parse().unwrap(), &decide)
        .await
        .unwrap();
}

fn relay(store: &MemoryStore, publisher: &Arc<Script>) -> Relay {
    let publisher: Arc<Script> = Arc::clone(publisher);
    Relay::new(Arc::new(store.clone()), publisher)
}

#[tokio::test(start_paused = true)]
async fn entries_about_one_instance_in_one_batch_are_published_once() {
    let (store, publisher) = (store(), Script::new(&[]));
    for (name, version) in [("i1", 1), ("i2", 1), ("i1", 2)] {
        known(&store, name);
        change(&store, name, version).await;
    }
    assert_eq!(relay(&store, &publisher).drain().await.unwrap(), 3);
    assert_eq!(publisher.topics(), ["instance/i1", "instance/i2"]);
    assert_eq!(store.due_in().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn failure_keeps_the_entry_and_waits_longer_each_time() {
    let (store, publisher) = (store(), Script::new(&[Answer::Fail, Answer::Fail]));
    known(&store, "i1");
    change(&store, "i1", 1).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(relay(&store, &publisher).run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(5)).await;
    stop.cancel();
    running.await.unwrap();
    let heard = publisher.heard.lock().unwrap().clone();
    let [(after, topic)] = heard.as_slice() else {
        panic!("heard {heard:?}")
    };
    assert_eq!(topic, "instance/i1");
    assert!(
        (600..610).contains(&after.as_millis()),
        "200 ms and 400 ms, not {after:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn publisher_that_hangs_is_given_up_and_holds_nothing_up_for_ever() {
    let (store, publisher) = (store(), Script::new(&[Answer::Hang]));
    for name in ["i1", "i2"] {
        known(&store, name);
        change(&store, name, 1).await;
    }
    let stop = CancellationToken::new();
    let running = tokio::spawn(relay(&store, &publisher).run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(publisher.topics(), ["instance/i2", "instance/i1"]);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn relay_that_dies_between_publish_and_remove_publishes_again() {
    let (store, publisher) = (store(), Script::new(&[]));
    known(&store, "i1");
    change(&store, "i1", 1).await;
    // What a relay does before it dies.
    for entry in store.take(10, Duration::from_secs(5)).await.unwrap() {
        publisher.publish(&entry.message).await.unwrap();
    }
    assert_eq!(
        relay(&store, &publisher).drain().await.unwrap(),
        0,
        "still held"
    );
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(relay(&store, &publisher).drain().await.unwrap(), 1);
    assert_eq!(publisher.topics(), ["instance/i1", "instance/i1"]);
}

#[tokio::test(start_paused = true)]
async fn commit_wakes_the_relay_at_once() {
    let (store, publisher) = (store(), Script::new(&[]));
    known(&store, "i1");
    let stop = CancellationToken::new();
    let running = tokio::spawn(relay(&store, &publisher).run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(7)).await;
    change(&store, "i1", 1).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let heard = publisher.heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 1);
    assert!(
        heard.iter().all(|(after, _)| after.as_millis() < 7010),
        "{heard:?}"
    );
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stop_publishes_what_is_due() {
    let (store, publisher) = (store(), Script::new(&[]));
    known(&store, "i1");
    let stop = CancellationToken::new();
    stop.cancel();
    change(&store, "i1", 1).await;
    relay(&store, &publisher).run(stop).await;
    assert_eq!(publisher.topics(), ["instance/i1"]);
}

/// Counts how often anybody asks.
#[derive(Debug, Default)]
struct Counting {
    asked: Mutex<u32>,
    appended: Arc<Notify>,
}

#[async_trait]
impl Outbox for Counting {
    async fn take(&self, _: u32, _: Duration) -> Result<Vec<OutboxEntry>, StoreError> {
        *self.asked.lock().unwrap() += 1;
        Ok(Vec::new())
    }
    async fn remove(&self, _: &[i64]) -> Result<(), StoreError> {
        Ok(())
    }
    async fn give_back(&self, _: &[i64], _: Duration) -> Result<(), StoreError> {
        Ok(())
    }
    async fn due_in(&self) -> Result<Option<Duration>, StoreError> {
        Ok(None)
    }
    fn appended(&self) -> Arc<Notify> {
        Arc::clone(&self.appended)
    }
}

#[tokio::test(start_paused = true)]
async fn idle_relay_asks_twice_a_minute() {
    let outbox = Arc::new(Counting::default());
    let stop = CancellationToken::new();
    let relay = Relay::new(Arc::clone(&outbox) as Arc<dyn Outbox>, Script::new(&[]));
    let running = tokio::spawn(relay.run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(600)).await;
    stop.cancel();
    running.await.unwrap();
    let asked = *outbox.asked.lock().unwrap();
    assert!(
        (20..=22).contains(&asked),
        "asked {asked} times in ten minutes"
    );
}

#[test]
fn waits_double_up_to_the_longest() {
    let settings = RelaySettings::default();
    let waits =
        [1, 2, 3, 8, 9, 40, u32::MAX].map(|failures| settings.wait_after(failures).as_millis());
    assert_eq!(waits, [200, 400, 800, 25_600, 30_000, 30_000, 30_000]);
}
