//! What is on the wire: nothing is lost on the way, and nothing secret is printed.

use std::collections::HashMap;

use gitpod_lifecycle::StatusUpdate;
use gitpod_lifecycle::grpc::client::*;
use prost::Message;
use serde_json::{Value, json};

/// Every field has a value of its own, in the form of records.
fn full() -> Value {
    let metric = |seconds: u64| json!({"duration": format!("{seconds}.5s"), "size": seconds});
    json!({
        "id": "i1",
        "metadata": {
            "owner": "o1", "meta_id": "w1", "started_at": "2026-11-21T12:00:00.000000001Z",
            "annotations": {"a": "1", "b": "2"}, "team": "t", "project": "p",
            "image": {"total_size": 9, "workspace_image_size": 8},
        },
        "spec": {
            "workspace_image": "img", "headless": true, "url": "u",
            "exposed_ports": [
                {"port": 3000, "visibility": "PORT_VISIBILITY_PUBLIC", "url": "pu", "protocol": "PORT_PROTOCOL_HTTPS"},
                {"port": 70000, "visibility": {"Other": 5}, "url": "", "protocol": {"Other": 6}},
            ],
            "type": "IMAGEBUILD", "timeout": "1h0m0s", "ide_web_image": "web", "supervisor_image": "sup",
            "class": "c", "ide_image_layers": ["l1", "l2"], "closed_timeout": "2m0s",
        },
        "phase": "INTERRUPTED",
        "conditions": {
            "failed": "f", "timeout": "t", "pulling_images": "TRUE", "snapshot": "s",
            "final_backup_complete": "EMPTY", "deployed": "TRUE", "network_not_ready": {"OTHER": 9},
            "first_user_activity": "1969-12-31T23:59:59.25Z", "headless_task_failed": "h",
            "stopped_by_request": "TRUE", "aborted": "TRUE",
            "volume_snapshot": {"volume_snapshot_name": "n", "volume_snapshot_handle": "h"},
        },
        "message": "m",
        "repo": {
            "branch": "main", "latestCommit": "abc", "uncommitedFiles": ["f"], "totalUncommitedFiles": 1,
            "untrackedFiles": ["g"], "totalUntrackedFiles": 2, "unpushedCommits": ["c"], "totalUnpushedCommits": 3,
        },
        "runtime": {"node_name": "n1", "pod_name": "ws-i1", "node_ip": "10.0.0.1"},
        "auth": {"admission": "ADMIT_EVERYONE", "owner_token": "s3cret"},
        "status_version": u64::MAX,
        "initializer_metrics": {
            "git": metric(1), "fileDownload": metric(2), "snapshot": metric(3),
            "backup": metric(4), "prebuild": metric(5), "composite": metric(6),
        },
    })
}

#[test]
fn status_survives_the_wire_field_by_field() {
    let update: StatusUpdate = serde_json::from_value(full()).unwrap();
    assert_eq!(
        serde_json::to_value(&update).unwrap(),
        full(),
        "no field is left out here"
    );
    let bytes = WorkspaceStatus::from(update.clone()).encode_to_vec();
    let back = WorkspaceStatus::decode(&*bytes).unwrap();
    assert_eq!(StatusUpdate::from(back), update);
}

#[test]
fn empty_status_is_that_of_an_empty_message() {
    let empty = StatusUpdate::from(WorkspaceStatus::default());
    assert_eq!(empty, StatusUpdate::default());
}

#[test]
fn time_that_no_calendar_has_counts_as_absent() {
    let mut status = WorkspaceStatus::default();
    let started_at = Some(prost_types::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    });
    status.metadata = Some(WorkspaceMetadata {
        started_at,
        ..WorkspaceMetadata::default()
    });
    assert_eq!(StatusUpdate::from(status).metadata.started_at, None);
}

/// Field numbers and types as the reference system's clients encode them.
#[test]
fn start_request_has_the_bytes_that_other_clients_send() {
    let git = GitInitializer {
        remote_uri: "r".to_owned(),
        clone_taget: "b".to_owned(),
        ..GitInitializer::default()
    };
    let request = StartWorkspaceRequest {
        id: "i".to_owned(),
        service_prefix: "p".to_owned(),
        metadata: Some(WorkspaceMetadata {
            meta_id: "w".to_owned(),
            ..WorkspaceMetadata::default()
        }),
        spec: Some(StartWorkspaceSpec {
            initializer: Some(WorkspaceInitializer {
                spec: Some(workspace_initializer::Spec::Git(git)),
            }),
            workspace_location: "l".to_owned(),
            maximum_lifetime: "1h".to_owned(),
            ..StartWorkspaceSpec::default()
        }),
        r#type: WorkspaceType::Imagebuild.into(),
    };
    let expected: [&[u8]; 8] = [
        b"\x0a\x01i",                          // 1: id
        b"\x12\x01p",                          // 2: service_prefix
        b"\x1a\x03\x12\x01w",                  // 3: metadata { 2: meta_id }
        b"\x22\x12",                           // 4: spec
        b"\x22\x08\x12\x06\x0a\x01r\x22\x01b", //  4: initializer { 2: git { 1: remote_uri, 4: clone_taget } }
        b"\x42\x01l",                          //    8: workspace_location
        b"\x9a\x01\x021h",                     //    19: maximum_lifetime
        b"\x30\x04",                           // 6: type
    ];
    assert_eq!(request.encode_to_vec(), expected.concat());
}

#[test]
fn secrets_are_not_printed() {
    let secret = || "s3cret".to_owned();
    let config = GitConfig {
        custom_config: HashMap::from([("http.extraHeader".to_owned(), secret())]),
        authentication: GitAuthMethod::BasicAuth.into(),
        auth_user: secret(),
        auth_password: secret(),
        auth_ots: secret(),
    };
    let git = GitInitializer {
        config: Some(config),
        ..GitInitializer::default()
    };
    let variable = EnvironmentVariable {
        name: "A".to_owned(),
        value: secret(),
        secret: None,
    };
    let request = StartWorkspaceRequest {
        spec: Some(StartWorkspaceSpec {
            initializer: Some(WorkspaceInitializer {
                spec: Some(workspace_initializer::Spec::Git(git)),
            }),
            envvars: vec![variable.clone()],
            sys_envvars: vec![variable],
            ..StartWorkspaceSpec::default()
        }),
        ..StartWorkspaceRequest::default()
    };
    let status: StatusUpdate = serde_json::from_value(full()).unwrap();
    let status = Some(WorkspaceStatus::from(status));
    let answer = StartWorkspaceResponse {
        url: "u".to_owned(),
        owner_token: secret(),
    };
    let printed = [
        format!("{request:?}"),
        format!("{answer:?}"),
        format!(
            "{:?}",
            SubscribeResponse {
                status: status.clone(),
                ..SubscribeResponse::default()
            }
        ),
        format!(
            "{:#?}",
            GetWorkspacesResponse {
                status: status.into_iter().collect()
            }
        ),
    ];
    for text in printed {
        assert!(!text.contains("s3cret") && text.contains("***"), "{text}");
    }
    let empty = format!("{:?}", StartWorkspaceResponse::default());
    assert!(!empty.contains("***"), "{empty}"); // it shows that there is none
}
