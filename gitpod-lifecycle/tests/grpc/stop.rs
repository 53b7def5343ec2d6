//! StopWorkspace.

use gitpod_lifecycle::Maintenance;
use gitpod_lifecycle::grpc::client::*;
use tonic::Code;

use crate::system::System;

#[tokio::test]
async fn each_policy_stops_and_abort_says_so() {
    for (policy, aborted) in [(0, false), (1, false), (2, true), (9, false)] {
        let mut system = System::new().await;
        system.start("i1", "w1").await;
        system.reaches("i1", WorkspacePhase::Running).await;
        let mut updates = system.client.subscribe(SubscribeRequest::default()).await;
        let updates = updates.as_mut().unwrap().get_mut();

        let request = StopWorkspaceRequest {
            id: "i1".to_owned(),
            policy,
        };
        system.client.stop_workspace(request).await.unwrap();
        let mut last = None;
        while last
            .as_ref()
            .is_none_or(|s: &WorkspaceStatus| s.phase() != WorkspacePhase::Stopped)
        {
            last = updates.message().await.unwrap().unwrap().status;
        }
        let conditions = last.unwrap().conditions.unwrap();
        assert_eq!(
            conditions.stopped_by_request(),
            WorkspaceConditionBool::True
        );
        let expected = if aborted {
            WorkspaceConditionBool::True
        } else {
            WorkspaceConditionBool::False
        };
        assert_eq!(conditions.aborted(), expected, "policy {policy}");

        system.manager.gone(&"i1".parse().unwrap()).await.unwrap();
        assert_eq!(system.describe("i1").await, Err(Code::NotFound));
    }
}

#[tokio::test]
async fn stop_works_again_once_maintenance_is_over() {
    let mut system = System::new().await;
    system.start("i1", "w1").await;
    let request = || StopWorkspaceRequest {
        id: "i1".to_owned(),
        policy: 0,
    };
    system.manager.set_maintenance(Maintenance::On);
    let refused = system.client.stop_workspace(request()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    system.manager.set_maintenance(Maintenance::Off);
    system.client.stop_workspace(request()).await.unwrap();
    system.manager.gone(&"i1".parse().unwrap()).await.unwrap();
}
