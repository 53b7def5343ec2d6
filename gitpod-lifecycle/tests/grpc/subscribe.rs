//! Subscribe: what is streamed, to whom, and what happens to the slow.

use std::time::Duration;

use gitpod_lifecycle::grpc::WorkspaceManagerService;
use gitpod_lifecycle::grpc::client::*;
use tonic::Code;

use crate::list::filter;
use crate::system::System;

#[tokio::test]
async fn stream_shows_every_phase_of_the_wanted_workspace_only() {
    let mut system = System::new().await;
    let request = SubscribeRequest {
        must_match: Some(filter("o1", "w2", "blue")),
    };
    let mut updates = system.client.subscribe(request).await.unwrap().into_inner();
    system.start("i1", "w1").await;
    system.start("i2", "w2").await;
    system.reaches("i1", WorkspacePhase::Running).await;
    system.reaches("i2", WorkspacePhase::Running).await;
    let stop = StopWorkspaceRequest {
        id: "i2".to_owned(),
        policy: 0,
    };
    system.client.stop_workspace(stop).await.unwrap();

    let (mut phases, mut version) = (Vec::new(), 0);
    while phases.last() != Some(&WorkspacePhase::Stopped) {
        let update = updates.message().await.unwrap().unwrap();
        assert!(update.header.is_empty());
        let status = update.status.unwrap();
        assert_eq!(status.id, "i2");
        assert!(status.status_version > version, "versions must rise");
        version = status.status_version;
        if phases.last() != Some(&status.phase()) {
            phases.push(status.phase());
        }
    }
    assert!(phases.is_sorted(), "{phases:?}");
    assert!(phases.contains(&WorkspacePhase::Running));
}

#[tokio::test]
async fn change_of_admission_is_streamed() {
    let mut system = System::new().await;
    system.start("i1", "w1").await;
    system.reaches("i1", WorkspacePhase::Running).await;
    let all = SubscribeRequest::default();
    let mut updates = system.client.subscribe(all).await.unwrap().into_inner();
    let open = ControlAdmissionRequest {
        id: "i1".to_owned(),
        level: 1,
    };
    system.client.control_admission(open).await.unwrap();
    loop {
        let status = updates.message().await.unwrap().unwrap().status.unwrap();
        if status.auth.unwrap().admission() == AdmissionLevel::AdmitEveryone {
            break;
        }
    }
}

/// In one process, so that no buffer of a connection hides that nobody reads.
#[tokio::test]
async fn slow_subscriber_is_told_and_the_stream_ends() {
    let mut system = System::new().await;
    system.start("i1", "w1").await;
    system.reaches("i1", WorkspacePhase::Running).await;
    let service = WorkspaceManagerService::new(system.manager.clone());
    let mut near = over(service);
    let all = SubscribeRequest::default();
    let mut slow = near.subscribe(all).await.unwrap().into_inner();

    let mut quick = system.manager.subscribe();
    for round in 0..300 {
        let level = i32::from(round % 2 == 0);
        let change = ControlAdmissionRequest {
            id: "i1".to_owned(),
            level,
        };
        system.client.control_admission(change).await.unwrap();
        quick.next().await.unwrap().unwrap();
    }
    let end = loop {
        match slow.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a word"),
            Err(why) => break why,
        }
    };
    assert_eq!(end.code(), Code::ResourceExhausted);
    assert!(end.message().contains("subscribe again"), "{end:?}");
    assert!(slow.message().await.unwrap().is_none());
}

#[tokio::test]
async fn subscriber_that_leaves_disturbs_nobody() {
    let mut system = System::new().await;
    let all = SubscribeRequest::default();
    drop(system.client.subscribe(all).await.unwrap());
    system.start("i1", "w1").await;
    let running = system.reaches("i1", WorkspacePhase::Running);
    tokio::time::timeout(Duration::from_secs(30), running)
        .await
        .unwrap();
}
