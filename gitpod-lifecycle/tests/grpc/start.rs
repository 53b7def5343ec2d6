//! StartWorkspace: what becomes of a request.

use gitpod_lifecycle::grpc::client::*;
use gitpod_lifecycle::grpc::{Policy, ResourceClass};
use gitpod_lifecycle::{ContentSource, WorkspaceKind, WorkspaceName};
use gitpod_routing::Admission;
use tonic::Code;

use crate::system::{System, request};

#[tokio::test]
async fn started_workspace_gets_url_and_token_and_runs() {
    let mut system = System::new().await;
    let answer = system.start("i9", "w9").await;
    assert_eq!(answer.url, "https://w9.ws.example.com");
    assert_eq!(answer.owner_token.len(), 32);

    let status = system.reaches("i9", WorkspacePhase::Running).await;
    assert_eq!(status.auth.unwrap().owner_token, answer.owner_token);
    assert_eq!(status.spec.unwrap().url, answer.url);
    let metadata = status.metadata.unwrap();
    assert_eq!((&*metadata.owner, &*metadata.meta_id), ("o1", "w9"));
    assert_eq!(metadata.annotations["team"], "blue");
    assert!(metadata.started_at.is_some());
    assert!(status.runtime.is_some());
    assert!(system.content.has(&WorkspaceName::from("w9")));
}

#[tokio::test]
async fn everything_that_is_asked_for_is_recorded() {
    let mut system = System::new().await;
    let mut request = request("i9", "w9");
    let spec = request.spec.as_mut().unwrap();
    spec.initializer = Some(git(GitInitializer {
        remote_uri: "https://git.example/r.git".to_owned(),
        target_mode: CloneTargetMode::RemoteBranch.into(),
        clone_taget: "topic".to_owned(),
        checkout_location: "r".to_owned(),
        ..GitInitializer::default()
    }));
    spec.ports = vec![PortSpec {
        port: 3000,
        visibility: PortVisibility::Public.into(),
        ..PortSpec::default()
    }];
    spec.envvars = vec![
        variable("A", "user"),
        variable("EMPTY", ""),
        variable("GITPOD_INSTANCE_ID", "forged"),
        variable("GITPOD_TASKS", "[]"),
    ];
    spec.sys_envvars = vec![variable("A", "system"), variable("GITPOD_X", "system")];
    spec.timeout = "1h".to_owned();
    spec.closed_timeout = "0".to_owned();
    spec.maximum_lifetime = "90m".to_owned();
    spec.admission = AdmissionLevel::AdmitEveryone.into();
    spec.ssh_public_keys = vec!["ssh-ed25519 AAAA k".to_owned()];
    spec.workspace_image = "img:1".to_owned();
    spec.class = "any".to_owned();
    spec.git = Some(GitSpec {
        username: "Ada".to_owned(),
        email: "ada@example.com".to_owned(),
    });
    spec.feature_flags = vec![WorkspaceFeatureFlag::WorkspacePsi.into(), 99];
    request.r#type = WorkspaceType::Prebuild.into();
    request.service_prefix.clear(); // optional but for regular ones

    system.client.start_workspace(request).await.unwrap();
    let id = "i9".parse().unwrap();
    let spec = system.manager.describe(&id).await.unwrap().record.spec;

    let ContentSource::Git(source) = spec.content else {
        panic!("{:?}", spec.content)
    };
    assert_eq!(source.remote, "https://git.example/r.git");
    assert_eq!(source.branch.as_deref(), Some("topic"));
    assert_eq!(source.checkout_location, "r");
    assert_eq!(spec.ports[0].port, 3000);
    let env: Vec<_> = spec.env.iter().map(|v| (&*v.name, &*v.value)).collect();
    let expected = [
        ("A", "system"),
        ("GITPOD_X", "system"),
        ("A", "user"), // the last of a name counts
        ("GITPOD_TASKS", "[]"),
    ];
    assert_eq!(env, expected);
    assert_eq!(spec.timeouts.inactivity.unwrap().as_secs(), 3600);
    assert_eq!(spec.timeouts.closed.unwrap().as_secs(), 0);
    assert_eq!(spec.timeouts.lifetime.unwrap().as_secs(), 5400);
    assert_eq!(spec.admission, Admission::Everyone);
    assert_eq!(spec.ssh_public_keys, ["ssh-ed25519 AAAA k"]);
    assert_eq!(spec.image.workspace, "img:1");
    assert_eq!(spec.class, "any");
    assert_eq!(spec.git_identity.unwrap().name, "Ada");
    assert_eq!(spec.kind, WorkspaceKind::Prebuild);
    assert_eq!(spec.location, "r");
    assert_eq!(spec.annotations["gitpod.io/psi"], "true");
    assert_eq!(spec.annotations.len(), 2);
}

#[tokio::test]
async fn second_instance_of_a_workspace_is_refused_until_the_first_has_stopped() {
    let mut system = System::new().await;
    system.start("i1", "w1").await;
    let again = system.client.start_workspace(request("i2", "w1")).await;
    assert_eq!(again.unwrap_err().code(), Code::AlreadyExists);
    let same = system.client.start_workspace(request("i1", "w1")).await;
    assert_eq!(same.unwrap_err().code(), Code::AlreadyExists);

    system.reaches("i1", WorkspacePhase::Running).await;
    let stop = StopWorkspaceRequest {
        id: "i1".to_owned(),
        ..StopWorkspaceRequest::default()
    };
    system.client.stop_workspace(stop).await.unwrap();
    system.manager.gone(&"i1".parse().unwrap()).await.unwrap();
    system.start("i2", "w1").await;
}

#[tokio::test]
async fn class_that_is_not_there_becomes_the_default_one() {
    let classes = vec![
        ResourceClass::new("large", "Large")
            .with_storage_quota(2 << 30)
            .with_annotation("team", "of the class"),
        ResourceClass::new(ResourceClass::DEFAULT, "Standard"),
    ];
    let mut policy = Policy::default();
    policy.classes = classes;
    let mut system = System::with(policy).await;
    let cases = [
        ("i1", "large", "large", Some(2 << 30)),
        ("i2", "nope", "g1-standard", None),
        ("i3", "", "g1-standard", None),
    ];
    for (id, wanted, expected, quota) in cases {
        let mut request = request(id, id);
        request.spec.as_mut().unwrap().class = wanted.to_owned();
        system.client.start_workspace(request).await.unwrap();
        let id = id.parse().unwrap();
        let spec = system.manager.describe(&id).await.unwrap().record.spec;
        assert_eq!((&*spec.class, spec.storage_quota), (expected, quota));
        let team = if quota.is_some() {
            "of the class"
        } else {
            "blue"
        };
        assert_eq!(spec.annotations["team"], team);
    }
}

#[tokio::test]
async fn initializers_beyond_git_are_kept_where_all_are_taken() {
    let mut system = System::with(Policy::reference(vec![ResourceClass::new(
        ResourceClass::DEFAULT,
        "Standard",
    )]))
    .await;
    let mut request = request("i1", "w1");
    let spec = request.spec.as_mut().unwrap();
    spec.workspace_image = "img:1".to_owned();
    spec.ide_image = Some(IdeImage::default());
    let snapshot = SnapshotInitializer {
        snapshot: "bucket/s.tar".to_owned(),
        ..SnapshotInitializer::default()
    };
    spec.initializer = Some(WorkspaceInitializer {
        spec: Some(workspace_initializer::Spec::Snapshot(snapshot)),
    });
    system.client.start_workspace(request).await.unwrap();
    let id = "i1".parse().unwrap();
    let spec = system.manager.describe(&id).await.unwrap().record.spec;
    // Field 3, then field 1 of it, as protobuf writes them.
    let ContentSource::Initializer(bytes) = spec.content else {
        panic!("{:?}", spec.content)
    };
    assert_eq!(bytes, b"\x1a\x0e\x0a\x0cbucket/s.tar");
}

pub(crate) fn git(git: GitInitializer) -> WorkspaceInitializer {
    WorkspaceInitializer {
        spec: Some(workspace_initializer::Spec::Git(git)),
    }
}

pub(crate) fn variable(name: &str, value: &str) -> EnvironmentVariable {
    EnvironmentVariable {
        name: name.to_owned(),
        value: value.to_owned(),
        secret: None,
    }
}
