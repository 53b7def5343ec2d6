//! GetWorkspaces, DescribeWorkspace, DescribeCluster.

use std::collections::HashMap;

use gitpod_lifecycle::StatusUpdate;
use gitpod_lifecycle::grpc::client::*;
use gitpod_lifecycle::grpc::{Policy, ResourceClass};
use tonic::Code;

use crate::system::{System, request};

#[tokio::test]
async fn list_holds_what_the_whole_filter_lets_through() {
    let mut system = System::new().await;
    system.start("i1", "w1").await;
    let mut other = request("i2", "w2");
    let metadata = other.metadata.as_mut().unwrap();
    "o2".clone_into(&mut metadata.owner);
    metadata.annotations.clear();
    system.client.start_workspace(other).await.unwrap();

    let cases: [(&str, &str, &str, &[&str]); 7] = [
        ("", "", "", &["i1", "i2"]),
        ("o1", "", "", &["i1"]),
        ("", "w2", "", &["i2"]),
        ("o1", "w2", "", &[]), // all parts must fit
        ("", "", "blue", &["i1"]),
        ("", "", "red", &[]),
        ("O1", "", "", &[]),
    ];
    for (owner, meta_id, team, expected) in cases {
        let filter = filter(owner, meta_id, team);
        assert_eq!(
            ids(&mut system, Some(filter.clone())).await,
            expected,
            "{filter:?}"
        );
    }
    assert_eq!(ids(&mut system, None).await, ["i1", "i2"]);
}

#[tokio::test]
async fn name_that_nobody_can_have_fails_the_list() {
    let mut system = System::new().await;
    for bad in [filter("not a label!", "", ""), filter("", "a/b", "")] {
        let request = GetWorkspacesRequest {
            must_match: Some(bad),
        };
        let refused = system.client.get_workspaces(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
    }
}

#[tokio::test]
async fn described_and_listed_status_is_the_managers_own() {
    let mut system = System::new().await;
    system.start("i1", "w1").await;
    system.reaches("i1", WorkspacePhase::Running).await;
    let id = "i1".parse().unwrap();
    let own = system.manager.describe(&id).await.unwrap().update;
    let told = system.describe("i1").await.unwrap();
    assert_eq!(StatusUpdate::from(told), own);
}

#[tokio::test]
async fn last_activity_is_empty_then_a_time_in_whole_seconds() {
    let mut system = System::new().await;
    system.start("i1", "w1").await;
    let describe = || DescribeWorkspaceRequest {
        id: "i1".to_owned(),
    };
    let before = system.client.describe_workspace(describe()).await.unwrap();
    assert_eq!(before.into_inner().last_activity, "");
    let mark = MarkActiveRequest {
        id: "i1".to_owned(),
        ..Default::default()
    };
    system.client.mark_active(mark).await.unwrap();
    let after = system.client.describe_workspace(describe()).await.unwrap();
    let after = after.into_inner().last_activity;
    assert!(
        after.len() == "2026-11-21T12:00:00Z".len() && after.ends_with('Z'),
        "{after}"
    );
}

#[tokio::test]
async fn classes_are_sorted_by_id() {
    let policy = Policy::reference(vec![
        ResourceClass::new("large", "Large").with_credits_per_minute(0.5),
        ResourceClass::new(ResourceClass::DEFAULT, "Standard").with_description("Up to 4 cores"),
    ]);
    let mut system = System::with(policy).await;
    let cluster = system
        .client
        .describe_cluster(DescribeClusterRequest {})
        .await;
    let cluster = cluster.unwrap().into_inner();
    assert_eq!(cluster.preferred_workspace_class, "g1-standard");
    let classes = cluster.workspace_classes;
    let ids: Vec<_> = classes.iter().map(|class| &*class.id).collect();
    assert_eq!(ids, ["g1-standard", "large"]);
    assert_eq!(classes[0].description, "Up to 4 cores");
    assert_eq!(classes[1].display_name, "Large");
    assert!((classes[1].credits_per_minute - 0.5).abs() < f32::EPSILON);
}

pub(crate) fn filter(owner: &str, meta_id: &str, team: &str) -> MetadataFilter {
    let annotations = match team {
        "" => HashMap::new(),
        team => HashMap::from([("team".to_owned(), team.to_owned())]),
    };
    MetadataFilter {
        owner: owner.to_owned(),
        meta_id: meta_id.to_owned(),
        annotations,
    }
}

async fn ids(system: &mut System, must_match: Option<MetadataFilter>) -> Vec<String> {
    let request = GetWorkspacesRequest { must_match };
    let found = system.client.get_workspaces(request).await.unwrap();
    let mut ids: Vec<_> = found
        .into_inner()
        .status
        .into_iter()
        .map(|s| s.id)
        .collect();
    ids.sort();
    ids
}
