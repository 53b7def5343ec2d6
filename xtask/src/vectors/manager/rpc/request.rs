//! From a request as protobuf's JSON writes it to the call.

use anyhow::{Context, bail};
use gitpod_lifecycle::grpc::client::*;
use serde_json::Value;

use super::Client;
use super::answer::{Answer, described, listed, nothing, started};

/// Calls what `input` names, with its request.
pub(super) async fn send(mut client: Client, input: &Value) -> anyhow::Result<Answer> {
    let of = &input["request"];
    let id = text(&of["id"]);
    match input["rpc"].as_str().context("no rpc")? {
        "GetWorkspaces" => {
            let must_match = present(&of["must_match"]).map(filter);
            let request = GetWorkspacesRequest { must_match };
            Answer::of(client.get_workspaces(request).await, listed)
        }
        "StartWorkspace" => Answer::of(client.start_workspace(start(of)?).await, started),
        "StopWorkspace" => {
            let policy = number(&of["policy"], StopWorkspacePolicy::from_str_name)?;
            let request = StopWorkspaceRequest { id, policy };
            Answer::of(client.stop_workspace(request).await, nothing)
        }
        "DescribeWorkspace" => {
            let request = DescribeWorkspaceRequest { id };
            Answer::of(client.describe_workspace(request).await, described)
        }
        "TakeSnapshot" => {
            let return_immediately = of["return_immediately"] == true;
            let request = TakeSnapshotRequest {
                id,
                return_immediately,
            };
            Answer::of(client.take_snapshot(request).await, nothing)
        }
        "BackupWorkspace" => {
            let request = BackupWorkspaceRequest { id };
            Answer::of(client.backup_workspace(request).await, nothing)
        }
        "DeleteVolumeSnapshot" => {
            let request = DeleteVolumeSnapshotRequest {
                id,
                ..Default::default()
            };
            Answer::of(client.delete_volume_snapshot(request).await, nothing)
        }
        _ => change(client, input).await,
    }
}

/// The calls that change one instance.
async fn change(mut client: Client, input: &Value) -> anyhow::Result<Answer> {
    let of = &input["request"];
    let id = text(&of["id"]);
    match input["rpc"].as_str().context("no rpc")? {
        "MarkActive" => {
            let request = MarkActiveRequest {
                id,
                closed: of["closed"] == true,
                ignore_if_active: of["ignore_if_active"] == true,
            };
            Answer::of(client.mark_active(request).await, nothing)
        }
        "SetTimeout" => {
            let request = SetTimeoutRequest {
                id,
                duration: text(&of["duration"]),
                r#type: number(&of["type"], TimeoutType::from_str_name)?,
            };
            Answer::of(client.set_timeout(request).await, nothing)
        }
        "ControlPort" => {
            let request = ControlPortRequest {
                id,
                expose: of["expose"] == true,
                spec: present(&of["spec"]).map(port).transpose()?,
            };
            Answer::of(client.control_port(request).await, nothing)
        }
        "ControlAdmission" => {
            let level = number(&of["level"], AdmissionLevel::from_str_name)?;
            let request = ControlAdmissionRequest { id, level };
            Answer::of(client.control_admission(request).await, nothing)
        }
        "UpdateSSHKey" => {
            let keys = texts(&of["keys"]);
            let request = UpdateSshKeyRequest { id, keys };
            Answer::of(client.update_ssh_key(request).await, nothing)
        }
        other => bail!("call {other} is not known here"),
    }
}

fn start(of: &Value) -> anyhow::Result<StartWorkspaceRequest> {
    let metadata = |of: &Value| WorkspaceMetadata {
        owner: text(&of["owner"]),
        meta_id: text(&of["meta_id"]),
        annotations: annotations(&of["annotations"]),
        ..WorkspaceMetadata::default()
    };
    Ok(StartWorkspaceRequest {
        id: text(&of["id"]),
        service_prefix: text(&of["service_prefix"]),
        metadata: present(&of["metadata"]).map(metadata),
        spec: present(&of["spec"]).map(spec).transpose()?,
        r#type: number(&of["type"], WorkspaceType::from_str_name)?,
    })
}

fn spec(of: &Value) -> anyhow::Result<StartWorkspaceSpec> {
    let flag = |flag| number(flag, WorkspaceFeatureFlag::from_str_name);
    let image = |of: &Value| IdeImage {
        web_ref: text(&of["web_ref"]),
        supervisor_ref: text(&of["supervisor_ref"]),
    };
    Ok(StartWorkspaceSpec {
        workspace_image: text(&of["workspace_image"]),
        feature_flags: items(&of["feature_flags"])
            .map(flag)
            .collect::<Result<_, _>>()?,
        initializer: present(&of["initializer"]).map(initializer).transpose()?,
        ports: items(&of["ports"]).map(port).collect::<Result<_, _>>()?,
        envvars: items(&of["envvars"]).map(variable).collect(),
        workspace_location: text(&of["workspace_location"]),
        git: None,
        timeout: text(&of["timeout"]),
        admission: number(&of["admission"], AdmissionLevel::from_str_name)?,
        ide_image: present(&of["ide_image"]).map(image),
        class: text(&of["class"]),
        ssh_public_keys: texts(&of["ssh_public_keys"]),
        sys_envvars: items(&of["sys_envvars"]).map(variable).collect(),
        ide_image_layers: texts(&of["ide_image_layers"]),
        closed_timeout: text(&of["closed_timeout"]),
        maximum_lifetime: text(&of["maximum_lifetime"]),
    })
}

fn initializer(of: &Value) -> anyhow::Result<WorkspaceInitializer> {
    let git = &of["git"];
    if git.is_null() {
        bail!("initializer {of} is not known here");
    }
    let config = |of: &Value| {
        anyhow::Ok(GitConfig {
            authentication: number(&of["authentication"], GitAuthMethod::from_str_name)?,
            auth_user: text(&of["auth_user"]),
            auth_password: text(&of["auth_password"]),
            ..GitConfig::default()
        })
    };
    let git = GitInitializer {
        remote_uri: text(&git["remote_uri"]),
        checkout_location: text(&git["checkout_location"]),
        config: present(&git["config"]).map(config).transpose()?,
        ..GitInitializer::default()
    };
    let spec = Some(workspace_initializer::Spec::Git(git));
    Ok(WorkspaceInitializer { spec })
}

fn port(of: &Value) -> anyhow::Result<PortSpec> {
    Ok(PortSpec {
        port: u32::try_from(of["port"].as_u64().unwrap_or_default())?,
        visibility: number(&of["visibility"], PortVisibility::from_str_name)?,
        url: text(&of["url"]),
        protocol: number(&of["protocol"], PortProtocol::from_str_name)?,
    })
}

fn variable(of: &Value) -> EnvironmentVariable {
    EnvironmentVariable {
        name: text(&of["name"]),
        value: text(&of["value"]),
        secret: None,
    }
}

fn filter(of: &Value) -> MetadataFilter {
    MetadataFilter {
        owner: text(&of["owner"]),
        meta_id: text(&of["meta_id"]),
        annotations: annotations(&of["annotations"]),
    }
}

fn annotations(of: &Value) -> std::collections::HashMap<String, String> {
    let all = of.as_object().into_iter().flatten();
    all.map(|(key, value)| (key.clone(), text(value))).collect()
}

/// An enum, by name or number; absent is 0.
fn number<E: Into<i32>>(of: &Value, named: fn(&str) -> Option<E>) -> anyhow::Result<i32> {
    Ok(match of {
        Value::Null => 0,
        Value::String(name) => named(name)
            .with_context(|| format!("no enum has {name}"))?
            .into(),
        number => i32::try_from(number.as_i64().context("no number")?)?,
    })
}

fn present(of: &Value) -> Option<&Value> {
    Some(of).filter(|value| !value.is_null())
}

fn items(of: &Value) -> impl Iterator<Item = &Value> {
    of.as_array().into_iter().flatten()
}

fn texts(of: &Value) -> Vec<String> {
    items(of).map(text).collect()
}

fn text(of: &Value) -> String {
    of.as_str().unwrap_or_default().to_owned()
}
