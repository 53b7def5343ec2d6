//! What is refused, with which code and text.

use gitpod_lifecycle::Maintenance;
use gitpod_lifecycle::grpc::client::*;
use gitpod_lifecycle::grpc::{Policy, ResourceClass};
use tonic::{Code, Status};

use crate::start::{git, variable};
use crate::system::{System, request};

type Change = fn(&mut StartWorkspaceRequest, &mut StartWorkspaceSpec);

/// What is changed in a good request, and the part of the text that names it.
const BAD_STARTS: [(&str, Change); 26] = [
    ("metadata", |request, _| request.metadata = None),
    ("metadata.meta_id", |request, _| {
        meta(request).meta_id.clear()
    }),
    ("metadata.meta_id", |request, _| {
        "../x".clone_into(&mut meta(request).meta_id)
    }),
    ("metadata.owner", |request, _| {
        "no label!".clone_into(&mut meta(request).owner)
    }),
    ("id: is required", |request, _| request.id.clear()),
    ("id: must be", |request, _| {
        "Not_An_Id".clone_into(&mut request.id)
    }),
    ("type", |request, _| request.r#type = 2), // reserved
    ("service_prefix", |request, _| {
        request.service_prefix.clear()
    }),
    ("spec.workspace_location", |_, spec| {
        spec.workspace_location.clear()
    }),
    ("spec.initializer", |_, spec| spec.initializer = None),
    ("spec.initializer", |_, spec| {
        spec.initializer = Some(WorkspaceInitializer { spec: None })
    }),
    ("0 is no port", |_, spec| spec.ports = ports(&[0])),
    ("70000 is no port", |_, spec| {
        spec.ports = ports(&[3000, 70000])
    }),
    ("spec.ports: 3000 is listed twice", |_, spec| {
        spec.ports = ports(&[3000, 3000])
    }),
    ("spec.timeout", |_, spec| {
        "1 day".clone_into(&mut spec.timeout)
    }),
    ("spec.timeout", |_, spec| {
        "-1s".clone_into(&mut spec.timeout)
    }),
    ("spec.closed_timeout", |_, spec| {
        "5us".clone_into(&mut spec.closed_timeout)
    }),
    ("spec.maximum_lifetime", |_, spec| {
        "x".clone_into(&mut spec.maximum_lifetime)
    }),
    ("admission", |_, spec| spec.admission = 7),
    ("spec.envvars: `S`", |_, spec| {
        let secret = environment_variable::SecretKeyRef::default();
        let mut variable = variable("S", "");
        variable.secret = Some(secret);
        spec.envvars = vec![variable];
    }),
    ("spec.envvars", |_, spec| {
        spec.envvars = vec![variable("A=B", "x")]
    }),
    ("git.config", |_, spec| {
        let config = GitConfig {
            authentication: GitAuthMethod::BasicAuth.into(),
            auth_password: "pw".to_owned(),
            ..GitConfig::default()
        };
        spec.initializer = Some(git(GitInitializer {
            config: Some(config),
            ..GitInitializer::default()
        }));
    }),
    ("LOCAL_BRANCH", |_, spec| {
        spec.initializer = Some(git(GitInitializer {
            target_mode: CloneTargetMode::LocalBranch.into(),
            ..GitInitializer::default()
        }));
    }),
    ("upstream_Remote_uri", |_, spec| {
        spec.initializer = Some(git(GitInitializer {
            upstream_remote_uri: "https://git.example/up.git".to_owned(),
            ..GitInitializer::default()
        }));
    }),
    ("`snapshot` is not supported", |_, spec| {
        let snapshot = workspace_initializer::Spec::Snapshot(SnapshotInitializer::default());
        spec.initializer = Some(WorkspaceInitializer {
            spec: Some(snapshot),
        });
    }),
    ("`backup` is not supported", |_, spec| {
        let backup = workspace_initializer::Spec::Backup(FromBackupInitializer::default());
        spec.initializer = Some(WorkspaceInitializer { spec: Some(backup) });
    }),
];

#[tokio::test]
async fn bad_start_is_refused_with_the_name_of_the_field_and_leaves_nothing() {
    let mut system = System::new().await;
    for (part, change) in BAD_STARTS {
        let mut request = request("i1", "w1");
        let mut spec = request.spec.take().unwrap();
        change(&mut request, &mut spec);
        request.spec = Some(spec);
        let refused = system.client.start_workspace(request).await.unwrap_err();
        assert_refused(&refused, Code::InvalidArgument, part);
    }
    let mut without_spec = request("i1", "w1");
    without_spec.spec = None;
    let refused = system
        .client
        .start_workspace(without_spec)
        .await
        .unwrap_err();
    assert_refused(&refused, Code::InvalidArgument, "spec");
    assert!(system.manager.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn images_are_required_where_the_platform_has_them() {
    let standard = ResourceClass::new(ResourceClass::DEFAULT, "Standard");
    let mut system = System::with(Policy::reference(vec![standard])).await;
    let mut request = request("i1", "w1");
    let refused = system.client.start_workspace(request.clone()).await;
    assert_refused(
        &refused.unwrap_err(),
        Code::InvalidArgument,
        "workspace_image",
    );
    "img:1".clone_into(&mut request.spec.as_mut().unwrap().workspace_image);
    let refused = system.client.start_workspace(request).await;
    assert_refused(&refused.unwrap_err(), Code::InvalidArgument, "ide_image");
}

#[tokio::test]
async fn without_the_default_class_an_unknown_one_is_refused() {
    let mut policy = Policy::default();
    policy.classes = vec![ResourceClass::new("large", "Large")];
    let mut system = System::with(policy).await;
    let refused = system.client.start_workspace(request("i1", "w1")).await;
    assert_refused(&refused.unwrap_err(), Code::InvalidArgument, "large");
}

#[tokio::test]
async fn maintenance_comes_before_every_other_check() {
    let mut system = System::new().await;
    system.start("i1", "w1").await;
    system.manager.set_maintenance(Maintenance::On);
    let client = &mut system.client;
    let nothing = StartWorkspaceRequest::default();
    let refusals = [
        client.start_workspace(nothing).await.map(drop),
        client
            .stop_workspace(StopWorkspaceRequest::default())
            .await
            .map(drop),
        client
            .take_snapshot(TakeSnapshotRequest::default())
            .await
            .map(drop),
    ];
    for refused in refusals {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert_eq!(refused.message(), "under maintenance"); // clients compare it
    }
    let id = "i1".to_owned();
    let mark = MarkActiveRequest {
        id,
        ..MarkActiveRequest::default()
    };
    client.mark_active(mark).await.unwrap();
    client
        .get_workspaces(GetWorkspacesRequest::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn unknown_instance_is_not_found_but_stopping_it_is_done() {
    let mut system = System::new().await;
    for id in ["zz", "NOT/AN/ID", ""] {
        let id = || id.to_owned();
        let client = &mut system.client;
        let port = Some(PortSpec {
            port: 1,
            ..PortSpec::default()
        });
        let keys = vec!["k".to_owned()];
        let mut refusals = vec![
            client
                .describe_workspace(DescribeWorkspaceRequest { id: id() })
                .await
                .map(drop),
            client
                .mark_active(MarkActiveRequest {
                    id: id(),
                    ..Default::default()
                })
                .await
                .map(drop),
            client
                .mark_active(MarkActiveRequest {
                    id: id(),
                    closed: true,
                    ignore_if_active: true,
                })
                .await
                .map(drop),
            client
                .set_timeout(SetTimeoutRequest {
                    id: id(),
                    duration: "1h".to_owned(),
                    r#type: 0,
                })
                .await
                .map(drop),
            client
                .control_port(ControlPortRequest {
                    id: id(),
                    expose: true,
                    spec: port.clone(),
                })
                .await
                .map(drop),
            client
                .control_port(ControlPortRequest {
                    id: id(),
                    expose: false,
                    spec: port,
                })
                .await
                .map(drop),
            client
                .control_admission(ControlAdmissionRequest { id: id(), level: 7 })
                .await
                .map(drop),
            client
                .take_snapshot(TakeSnapshotRequest {
                    id: id(),
                    ..Default::default()
                })
                .await
                .map(drop),
        ];
        if !id().is_empty() {
            refusals.push(
                client
                    .update_ssh_key(UpdateSshKeyRequest { id: id(), keys })
                    .await
                    .map(drop),
            );
        }
        for refused in refusals {
            assert_refused(&refused.unwrap_err(), Code::NotFound, &id());
        }
        client
            .stop_workspace(StopWorkspaceRequest {
                id: id(),
                ..Default::default()
            })
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn bad_arguments_are_refused_even_for_unknown_instances() {
    let mut client = System::new().await.client;
    let timeout = |duration: &str, kind| SetTimeoutRequest {
        id: "zz".to_owned(),
        duration: duration.to_owned(),
        r#type: kind,
    };
    let port = |port| ControlPortRequest {
        id: "zz".to_owned(),
        expose: true,
        spec: Some(PortSpec {
            port,
            ..PortSpec::default()
        }),
    };
    let no_spec = ControlPortRequest {
        id: "zz".to_owned(),
        expose: true,
        spec: None,
    };
    let refusals = [
        (
            "duration",
            client.set_timeout(timeout("", 0)).await.map(drop),
        ),
        (
            "duration",
            client.set_timeout(timeout("1 day", 0)).await.map(drop),
        ),
        (
            "negative",
            client.set_timeout(timeout("-1h", 0)).await.map(drop),
        ),
        (
            "at once",
            client.set_timeout(timeout("0", 0)).await.map(drop),
        ),
        ("1ms", client.set_timeout(timeout("1us", 1)).await.map(drop)),
        ("type", client.set_timeout(timeout("1h", 9)).await.map(drop)),
        (
            "spec.port: 0 is no port",
            client.control_port(port(0)).await.map(drop),
        ),
        (
            "65536 is no port",
            client.control_port(port(65536)).await.map(drop),
        ),
        (
            "spec: is required",
            client.control_port(no_spec).await.map(drop),
        ),
        (
            "id: is required",
            client
                .update_ssh_key(UpdateSshKeyRequest::default())
                .await
                .map(drop),
        ),
    ];
    for (part, refused) in refusals {
        assert_refused(&refused.unwrap_err(), Code::InvalidArgument, part);
    }
}

#[tokio::test]
async fn what_is_not_implemented_says_so() {
    let mut system = System::new().await;
    system.start("i1", "w1").await;
    system.reaches("i1", WorkspacePhase::Running).await;
    let client = &mut system.client;
    let snapshot = TakeSnapshotRequest {
        id: "i1".to_owned(),
        return_immediately: true,
    };
    let refusals = [
        client
            .backup_workspace(BackupWorkspaceRequest::default())
            .await
            .map(drop),
        client
            .delete_volume_snapshot(DeleteVolumeSnapshotRequest::default())
            .await
            .map(drop),
        client.take_snapshot(snapshot).await.map(drop),
    ];
    for refused in refusals {
        assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
    }
}

#[tokio::test]
async fn message_beyond_16_mib_is_refused() {
    let mut system = System::new().await;
    let mut request = request("i1", "w1");
    request.spec.as_mut().unwrap().envvars = vec![variable("BIG", &"x".repeat(10 << 20))];
    system
        .client
        .start_workspace(request.clone())
        .await
        .unwrap();
    request.spec.as_mut().unwrap().envvars = vec![variable("BIG", &"x".repeat(17 << 20))];
    let mut unlimited = system.client.max_encoding_message_size(usize::MAX);
    let refused = unlimited.start_workspace(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
}

fn assert_refused(refused: &Status, code: Code, part: &str) {
    let named = refused.message().contains(part);
    assert!(
        refused.code() == code && named,
        "{part:?} expected, got {refused:?}"
    );
}

fn meta(request: &mut StartWorkspaceRequest) -> &mut WorkspaceMetadata {
    request.metadata.as_mut().unwrap()
}

fn ports(numbers: &[u32]) -> Vec<PortSpec> {
    let port = |port: &u32| PortSpec {
        port: *port,
        ..PortSpec::default()
    };
    numbers.iter().map(port).collect()
}
