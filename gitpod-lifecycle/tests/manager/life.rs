//! From start to stop, with and without trouble.

use gitpod_lifecycle::{
    ContentSource, GitSource, ManageError, Records, StopPolicy, Termination, UpdatePhase,
};

use crate::world::{World, id, last_update, phases_until, spec};

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
async fn attack_49_many_starts_at_once_make_one_instance() {
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
