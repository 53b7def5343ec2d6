//! MarkActive, SetTimeout, ControlPort, ControlAdmission, UpdateSSHKey.

use gitpod_lifecycle::grpc::client::*;
use gitpod_lifecycle::{ConditionType, Record};
use gitpod_routing::Admission;

use crate::system::System;

async fn running() -> System {
    let mut system = System::new().await;
    system.start("i1", "w1").await;
    system.reaches("i1", WorkspacePhase::Running).await;
    system
}

async fn record(system: &System) -> Record {
    let id = "i1".parse().unwrap();
    system.manager.describe(&id).await.unwrap().record
}

fn mark(closed: bool, ignore_if_active: bool) -> MarkActiveRequest {
    let id = "i1".to_owned();
    MarkActiveRequest {
        id,
        closed,
        ignore_if_active,
    }
}

#[tokio::test]
async fn activity_is_recorded_closes_and_reopens() {
    let mut system = running().await;
    let closed = |record: &Record| record.status.conditions.is_true(&ConditionType::Closed);

    system.client.mark_active(mark(true, true)).await.unwrap();
    let first = record(&system).await;
    assert!(closed(&first), "nobody had used it before");
    assert!(first.status.last_activity.is_some());
    let shown = system.describe("i1").await.unwrap().conditions.unwrap();
    assert!(shown.first_user_activity.is_some());

    system.client.mark_active(mark(false, true)).await.unwrap();
    assert!(
        closed(&record(&system).await),
        "somebody had used it before"
    );
    system.client.mark_active(mark(false, false)).await.unwrap();
    assert!(!closed(&record(&system).await));
    system.client.mark_active(mark(true, true)).await.unwrap();
    assert!(
        !closed(&record(&system).await),
        "somebody had used it before"
    );
    system.client.mark_active(mark(true, false)).await.unwrap();
    assert!(closed(&record(&system).await));
}

#[tokio::test]
async fn timeout_of_its_own_disables_the_one_after_closing() {
    let mut system = running().await;
    let set = |duration: &str, kind: TimeoutType| SetTimeoutRequest {
        id: "i1".to_owned(),
        duration: duration.to_owned(),
        r#type: kind.into(),
    };
    let own = set("3h", TimeoutType::WorkspaceTimeout);
    system.client.set_timeout(own).await.unwrap();
    let spec = system.describe("i1").await.unwrap().spec.unwrap();
    assert_eq!((&*spec.timeout, &*spec.closed_timeout), ("3h0m0s", "0s"));

    let after_closing = set("90s", TimeoutType::ClosedTimeout);
    system.client.set_timeout(after_closing).await.unwrap();
    let spec = system.describe("i1").await.unwrap().spec.unwrap();
    assert_eq!((&*spec.timeout, &*spec.closed_timeout), ("3h0m0s", "1m30s"));
}

#[tokio::test]
async fn port_is_exposed_moved_to_the_end_and_hidden() {
    let mut system = running().await;
    let mut control = async |expose: bool, port: PortSpec| {
        let id = "i1".to_owned();
        let request = ControlPortRequest {
            id,
            expose,
            spec: Some(port),
        };
        system.client.control_port(request).await.unwrap();
        let spec = system.describe("i1").await.unwrap().spec.unwrap();
        let shown = spec.exposed_ports.into_iter();
        let shown = shown.map(|p| (p.port, p.visibility, p.protocol, p.url));
        shown.collect::<Vec<_>>()
    };
    let port = |port| PortSpec {
        port,
        ..PortSpec::default()
    };
    let public = PortSpec {
        visibility: PortVisibility::Public.into(),
        protocol: PortProtocol::Https.into(),
        ..port(3000)
    };
    let url = |port: u32| format!("https://{port}-w1.ws.example.com");

    assert_eq!(control(true, port(3000)).await, [(3000, 0, 0, url(3000))]);
    let two = control(true, port(65535)).await;
    assert_eq!(two, [(3000, 0, 0, url(3000)), (65535, 0, 0, url(65535))]);
    let moved = control(true, public).await;
    assert_eq!(moved, [(65535, 0, 0, url(65535)), (3000, 1, 1, url(3000))]);
    assert_eq!(control(false, port(65535)).await, [(3000, 1, 1, url(3000))]);
    assert_eq!(control(false, port(1)).await, [(3000, 1, 1, url(3000))]);
}

#[tokio::test]
async fn exposing_a_port_again_keeps_its_name_and_description() {
    let mut system = running().await;
    let mut known = gitpod_lifecycle::PortSpec::new(3000);
    "web".clone_into(&mut known.name);
    "the web".clone_into(&mut known.description);
    let id = "i1".parse().unwrap();
    system.manager.declare_ports(&id, &[known]).await.unwrap();
    let request = ControlPortRequest {
        id: "i1".to_owned(),
        expose: true,
        spec: Some(PortSpec {
            port: 3000,
            visibility: 1,
            ..PortSpec::default()
        }),
    };
    system.client.control_port(request).await.unwrap();
    let port = record(&system).await.spec.ports.remove(0);
    assert_eq!((&*port.name, &*port.description), ("web", "the web"));
}

#[tokio::test]
async fn admission_and_keys_are_replaced_and_keys_may_be_emptied() {
    let mut system = running().await;
    let id = || "i1".to_owned();
    for (level, expected) in [(1, Admission::Everyone), (0, Admission::Owner)] {
        let request = ControlAdmissionRequest { id: id(), level };
        system.client.control_admission(request).await.unwrap();
        assert_eq!(record(&system).await.spec.admission, expected);
        let auth = system.describe("i1").await.unwrap().auth.unwrap();
        assert_eq!(auth.admission, level);
    }
    let unknown = ControlAdmissionRequest { id: id(), level: 7 };
    let refused = system.client.control_admission(unknown).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    for keys in [vec!["k1".to_owned(), "k2".to_owned()], Vec::new()] {
        let request = UpdateSshKeyRequest {
            id: id(),
            keys: keys.clone(),
        };
        system.client.update_ssh_key(request).await.unwrap();
        assert_eq!(record(&system).await.spec.ssh_public_keys, keys);
    }
}
