//! What subscribers are told.

use std::time::Duration;

use gitpod_lifecycle::{
    Clock, Manager, Phase, PortSpec, Records, StopPolicy, Termination, UpdateBool, UpdatePhase,
};
use jiff::Timestamp;

use crate::world::{World, id, next, phases_until, settings, spec};

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
