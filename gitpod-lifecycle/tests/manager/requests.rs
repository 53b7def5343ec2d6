//! What may be asked of an instance, and what is refused.

use gitpod_lifecycle::{
    Activity, GoDuration, Maintenance, ManageError, PortSpec, StopPolicy, TimeoutKind,
};

use crate::world::{World, id, spec};

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
