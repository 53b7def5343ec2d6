use async_trait::async_trait;
use tokio::time::{Duration, timeout};

use super::*;
use crate::info::RunState;
use crate::memory::MemoryProvider;

fn stopped() -> Arc<WorkspaceInfo> {
    let id = "pink-panda-ns35kd21".parse().unwrap();
    let token = OwnerToken::new("s3cret");
    Arc::new(WorkspaceInfo::new(id, "i-1".parse().unwrap(), token))
}

fn in_state(state: RunState, instance: &str) -> WorkspaceInfo {
    let mut info = WorkspaceInfo::clone(&stopped());
    info.state = state;
    info.instance = instance.parse().unwrap();
    info
}

fn wakes(reaches: RunState) -> (MemoryProvider, MemoryStarter, Wakes) {
    let workspaces = MemoryProvider::new();
    workspaces.insert(WorkspaceInfo::clone(&stopped()));
    let starter = MemoryStarter::new(workspaces.clone(), [127, 0, 0, 1].into()).reaching(reaches);
    let wakes = Wakes::new(Arc::new(starter.clone()), Arc::new(workspaces.clone()));
    (workspaces, starter, wakes)
}

#[tokio::test(start_paused = true)]
async fn workspace_is_started_once_and_whoever_waits_goes_on_when_it_runs() {
    let (workspaces, starter, wakes) = wakes(RunState::Starting);
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let wakes = wakes.clone();
            tokio::spawn(async move { wakes.wake(&stopped()).await })
        })
        .collect();
    let _time = timeout(Duration::from_secs(5), std::future::pending::<()>()).await;
    assert!(waiting.iter().all(|one| !one.is_finished()));
    workspaces.insert(in_state(RunState::Running, "run-1"));
    for one in waiting {
        assert_eq!(one.await.unwrap().unwrap().instance.as_str(), "run-1");
    }
    // Who comes with an older snapshot starts nothing.
    assert!(wakes.wake(&stopped()).await.is_ok());
    assert_eq!(starter.starts(), 1);
}

#[tokio::test(start_paused = true)]
async fn start_goes_on_when_nobody_waits_any_more() {
    let (workspaces, starter, wakes) = wakes(RunState::Starting);
    let one = wakes.hold(&stopped(), Duration::from_millis(10)).await;
    assert_eq!(one.unwrap_err(), NotWoken::TimedOut);
    assert_eq!(starter.starts(), 1);
    workspaces.insert(in_state(RunState::Running, "run-1"));
    assert!(wakes.wake(&stopped()).await.is_ok());
    assert_eq!(starter.starts(), 1);
}

#[tokio::test(start_paused = true)]
async fn workspace_that_stops_is_started_once_it_has_stopped() {
    let (workspaces, starter, wakes) = wakes(RunState::Running);
    workspaces.insert(in_state(RunState::Stopping, "i-1"));
    let stopping = Arc::new(in_state(RunState::Stopping, "i-1"));
    let early = wakes.hold(&stopping, Duration::from_secs(1)).await;
    assert_eq!(
        (early.unwrap_err(), starter.starts()),
        (NotWoken::TimedOut, 0)
    );
    workspaces.insert(in_state(RunState::Stopped, "i-1"));
    assert!(wakes.wake(&stopping).await.is_ok());
    assert_eq!(starter.starts(), 1);
}

#[tokio::test(start_paused = true)]
async fn start_of_somebody_else_is_waited_for_and_not_repeated() {
    let (workspaces, starter, wakes) = wakes(RunState::Running);
    workspaces.insert(in_state(RunState::Starting, "i-2"));
    let starting = Arc::new(in_state(RunState::Starting, "i-2"));
    let early = wakes.hold(&starting, Duration::from_secs(1)).await;
    assert_eq!(early.unwrap_err(), NotWoken::TimedOut);
    workspaces.insert(in_state(RunState::Stopped, "i-2"));
    assert_eq!(wakes.wake(&starting).await.unwrap_err(), NotWoken::Failed);
    assert_eq!(starter.starts(), 0);
}

/// Starts nothing, and counts how often it was asked to.
#[derive(Debug, Default)]
struct Unwilling(AtomicUsize);

#[async_trait]
impl Starter for Unwilling {
    async fn start(&self, _info: &WorkspaceInfo) -> Result<(), StartError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(StartError::new("disk is full"))
    }
}

#[tokio::test(start_paused = true)]
async fn start_that_failed_is_not_tried_again_at_once() {
    let workspaces = MemoryProvider::new();
    workspaces.insert(WorkspaceInfo::clone(&stopped()));
    let starter = Arc::new(Unwilling::default());
    let wakes = Wakes::new(
        Arc::clone(&starter) as Arc<dyn Starter>,
        Arc::new(workspaces),
    );
    for _ in 0..3 {
        assert_eq!(wakes.wake(&stopped()).await.unwrap_err(), NotWoken::Failed);
    }
    assert_eq!(starter.0.load(Ordering::SeqCst), 1);
    tokio::time::advance(FAILURE_PAUSE).await;
    assert_eq!(wakes.wake(&stopped()).await.unwrap_err(), NotWoken::Failed);
    assert_eq!(starter.0.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_wait_and_only_for_so_long() {
    let (_workspaces, _starter, wakes) = wakes(RunState::Starting);
    let limits = WakeLimits::new()
        .with_held_per_workspace(2)
        .with_deadline(Duration::from_secs(5));
    let wakes = wakes.with_limits(limits);
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let wakes = wakes.clone();
            tokio::spawn(async move { wakes.wake(&stopped()).await })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(
        wakes.wake(&stopped()).await.unwrap_err(),
        NotWoken::QueueFull
    );
    for one in waiting {
        assert_eq!(one.await.unwrap().unwrap_err(), NotWoken::TimedOut);
    }
    assert_eq!(wakes.0.lock().held, 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_one_who_ends() {
    let (_workspaces, starter, wakes) = wakes(RunState::Starting);
    let waiting = tokio::spawn({
        let wakes = wakes.clone();
        async move { wakes.wake(&stopped()).await }
    });
    tokio::task::yield_now().await;
    let began = Instant::now();
    wakes.close();
    let told = waiting.await.unwrap().unwrap_err();
    assert_eq!(
        (told, began.elapsed()),
        (NotWoken::TimedOut, Duration::ZERO)
    );
    assert_eq!(starter.starts(), 1, "what has begun goes on");
}

#[tokio::test(start_paused = true)]
async fn owner_of_the_run_before_is_known_for_a_while() {
    let (_workspaces, _starter, wakes) = wakes(RunState::Running);
    let id = &stopped().id;
    assert!(wakes.former(&stopped()).is_none());
    let next = wakes.wake(&stopped()).await.unwrap();
    let former = wakes.former(&next).unwrap();
    assert_eq!(former.instance.as_str(), "i-1");
    assert!(former.token.matches(b"s3cret"));
    assert!(wakes.settles_at(id).is_some());
    let mut other_token = WorkspaceInfo::clone(&next);
    other_token.owner_token = OwnerToken::new("another");
    let other_run = in_state(RunState::Running, "i-9");
    for info in [&other_token, &other_run, &stopped()] {
        assert!(wakes.former(info).is_none(), "{info:?}");
    }
    tokio::time::advance(FORMER_OWNER).await;
    assert!(wakes.former(&next).is_none() && wakes.settles_at(id).is_none());
}

/// Starts runs that never run; says of those that end that somebody asked for it.
#[derive(Debug)]
struct Stopped {
    inner: MemoryStarter,
    is_asked: bool,
}

#[async_trait]
impl Starter for Stopped {
    async fn start(&self, info: &WorkspaceInfo) -> Result<(), StartError> {
        self.inner.start(info).await
    }

    async fn was_asked_to_stop(&self, _ended: &WorkspaceInfo) -> bool {
        self.is_asked
    }
}

/// Starts that are ended by whoever looks on.
fn ended_starts(is_asked: bool) -> (MemoryProvider, MemoryStarter, Wakes) {
    let (workspaces, inner, _) = wakes(RunState::Starting);
    let starter = Stopped {
        inner: inner.clone(),
        is_asked,
    };
    let wakes = Wakes::new(Arc::new(starter), Arc::new(workspaces.clone()));
    (workspaces, inner, wakes)
}

async fn turns() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn stop_that_was_asked_for_is_no_failed_start_and_whoever_waits_comes_after_it() {
    let (workspaces, starter, wakes) = ended_starts(true);
    let waiting = || {
        let wakes = wakes.clone();
        tokio::spawn(async move { wakes.wake(&stopped()).await })
    };
    let first = waiting();
    turns().await;
    workspaces.insert(in_state(RunState::Stopped, "run-1"));
    turns().await;
    assert_eq!(starter.starts(), 2, "is started anew");
    // Whoever was the owner before all that still is, of what never ran nobody has heard.
    let second_run = in_state(RunState::Running, "run-2");
    assert_eq!(wakes.former(&second_run).unwrap().instance.as_str(), "i-1");

    workspaces.insert(in_state(RunState::Stopped, "run-2"));
    assert_eq!(first.await.unwrap().unwrap_err(), NotWoken::Stopped);
    assert_eq!(starter.starts(), 2, "once");
    let next = waiting();
    turns().await;
    assert_eq!(starter.starts(), 3, "nobody has to wait for ten seconds");
    workspaces.insert(in_state(RunState::Running, "run-3"));
    assert!(next.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn stop_that_nobody_waits_for_starts_nothing() {
    let (workspaces, starter, wakes) = ended_starts(true);
    let gone = wakes.hold(&stopped(), Duration::from_millis(10)).await;
    assert_eq!(gone.unwrap_err(), NotWoken::TimedOut);
    workspaces.insert(in_state(RunState::Stopped, "run-1"));
    turns().await;
    assert_eq!(starter.starts(), 1);
    assert!(!wakes.is_under_way(&stopped().id));
}

#[tokio::test(start_paused = true)]
async fn start_that_failed_says_nothing_of_newer_runs() {
    let (workspaces, starter, wakes) = ended_starts(false);
    let first = tokio::spawn({
        let wakes = wakes.clone();
        async move { wakes.wake(&stopped()).await }
    });
    turns().await;
    workspaces.insert(in_state(RunState::Stopped, "run-1"));
    assert_eq!(first.await.unwrap().unwrap_err(), NotWoken::Failed);
    let again = Arc::new(in_state(RunState::Stopped, "run-1"));
    assert_eq!(wakes.wake(&again).await.unwrap_err(), NotWoken::Failed);
    assert_eq!(starter.starts(), 1);
    // Somebody has started it by hand, and it was stopped again.
    let mut newer = in_state(RunState::Stopped, "i-9");
    newer.created_at += Duration::from_secs(1);
    workspaces.insert(newer.clone());
    let newer = Arc::new(newer);
    let early = wakes.hold(&newer, Duration::from_millis(10)).await;
    assert_eq!(early.unwrap_err(), NotWoken::TimedOut);
    assert_eq!(starter.starts(), 2);
}

#[tokio::test(start_paused = true)]
async fn deletion_while_it_starts_is_told_as_such() {
    let (workspaces, starter, wakes) = wakes(RunState::Starting);
    let waiting = tokio::spawn({
        let wakes = wakes.clone();
        async move { wakes.wake(&stopped()).await }
    });
    turns().await;
    workspaces.remove(&stopped().id);
    assert_eq!(waiting.await.unwrap().unwrap_err(), NotWoken::Gone);
    assert_eq!(starter.starts(), 1);
}
