//! A manager that takes over from one that has ended.

use gitpod_lifecycle::{Activity, ManageError, StopPolicy, UpdatePhase};

use crate::world::{World, id, next, phases_until, spec};

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
async fn attack_49_manager_that_has_let_go_changes_nothing_any_more_while_its_successor_does() {
    let world = World::new();
    let first = world.open().await;
    let mut updates = first.subscribe();
    first.start(spec("i1")).await.unwrap();
    phases_until(&mut updates, UpdatePhase::Running).await;
    first.close().await;

    let refused = [
        first.start(spec("i2")).await.map(drop),
        first.stop(&id("i1"), StopPolicy::Immediately).await,
        first.mark_active(&id("i1"), Activity::Closed).await,
        first.delete_content(&"w".into()).await,
    ];
    for refused in refused {
        assert!(matches!(refused, Err(ManageError::Closed)), "{refused:?}");
    }
    // Also by the way of one that is woken: nobody looks after the instance here.
    first.begin().await.unwrap();
    assert_eq!(world.cluster.runner_count(), 1);

    let second = world.open().await;
    second.stop(&id("i1"), StopPolicy::Normally).await.unwrap();
    second.gone(&id("i1")).await.unwrap();
    assert_eq!(world.cluster.runner_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn manager_lets_go_at_any_moment_of_a_start_and_a_stop() {
    let world = World::new();
    for steps in 0..60 {
        let manager = world.open().await;
        match steps {
            0 => drop(manager.start(spec("i1")).await.unwrap()),
            30 => manager.stop(&id("i1"), StopPolicy::Normally).await.unwrap(),
            _ => {}
        }
        for _ in 0..steps % 30 {
            tokio::task::yield_now().await;
        }
        manager.close().await;
    }
    let last = world.open().await;
    last.gone(&id("i1")).await.unwrap();
    assert_eq!(world.cluster.runner_count(), 0);
}
