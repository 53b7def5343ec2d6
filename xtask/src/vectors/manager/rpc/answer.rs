//! What a call answered and left behind, in the form of the cases.

use gitpod_lifecycle::Record;
use gitpod_lifecycle::StatusUpdate;
use gitpod_lifecycle::grpc::client::{
    DescribeWorkspaceResponse, GetWorkspacesResponse, StartWorkspaceResponse, WorkspaceStatus,
};
use serde_json::{Map, Value, json};
use tonic::{Response, Status};

use crate::vectors::manager::wire::protobuf_json;

/// What a call answered.
pub(super) struct Answer {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) response: Option<Value>,
}

impl Answer {
    /// `shown` makes the form of the cases of a response.
    pub(super) fn of<T>(
        answer: Result<Response<T>, Status>,
        shown: impl FnOnce(T) -> anyhow::Result<Value>,
    ) -> anyhow::Result<Self> {
        Ok(match answer {
            Ok(response) => Self {
                code: "OK".to_owned(),
                message: String::new(),
                response: Some(shown(response.into_inner())?),
            },
            Err(status) => Self {
                code: format!("{:?}", status.code()),
                message: status.message().to_owned(),
                response: None,
            },
        })
    }
}

pub(super) fn nothing<T>(_: T) -> anyhow::Result<Value> {
    Ok(json!({}))
}

pub(super) fn started(response: StartWorkspaceResponse) -> anyhow::Result<Value> {
    let StartWorkspaceResponse { url, owner_token } = response;
    let mut shown = json!({"url": url, "owner_token": owner_token});
    level(&mut shown);
    Ok(shown)
}

pub(super) fn described(response: DescribeWorkspaceResponse) -> anyhow::Result<Value> {
    let mut shown = json!({"status": status(response.status.unwrap_or_default())?});
    if !response.last_activity.is_empty() {
        shown["lastActivity"] = json!(response.last_activity);
    }
    Ok(shown)
}

/// By id, since the order is free.
pub(super) fn listed(mut response: GetWorkspacesResponse) -> anyhow::Result<Value> {
    response.status.sort_by(|a, b| a.id.cmp(&b.id));
    let all: Vec<Value> = response
        .status
        .into_iter()
        .map(status)
        .collect::<Result<_, _>>()?;
    Ok(match all.is_empty() {
        true => json!({}),
        false => json!({ "status": all }),
    })
}

fn status(status: WorkspaceStatus) -> anyhow::Result<Value> {
    let mut shown = protobuf_json(&StatusUpdate::from(status))?;
    level_status(&mut shown);
    Ok(shown)
}

/// Takes out what cannot be equal: a stand-in for the controller makes URL and
/// token of the cases, and Kubernetes counts versions of all objects together.
pub(super) fn level(response: &mut Value) {
    for key in ["url", "owner_token"] {
        if response[key].as_str().is_some_and(|text| !text.is_empty()) {
            response[key] = json!("present");
        }
    }
    match &mut response["status"] {
        Value::Array(all) => all.iter_mut().for_each(level_status),
        Value::Object(_) => level_status(&mut response["status"]),
        _ => {}
    }
    if let Value::Object(response) = response {
        response.retain(|_, value| !value.is_null());
    }
}

fn level_status(status: &mut Value) {
    if let Value::Object(status) = status {
        status.remove("status_version");
    }
}

/// What of an expected object our records know.
pub(super) fn known_part(object: &Value) -> Value {
    let mut object = object.clone();
    if let Value::Object(object) = &mut object {
        object.retain(|key, _| !matches!(&**key, "finalizers" | "labels"));
    }
    if let Value::Object(spec) = &mut object["spec"] {
        spec.retain(|key, _| !matches!(&**key, "initializer" | "userEnvVars" | "sysEnvVars"));
    }
    object
}

/// `record` in the form of the cases. Of what has a default there, only what
/// `expected` names.
pub(super) fn record_of(record: &Record, expected: &Value) -> Value {
    let mut shown = Map::from_iter([("spec".to_owned(), spec_of(record, &expected["spec"]))]);
    if !record.spec.annotations.is_empty() {
        shown.insert("annotations".into(), json!(record.spec.annotations));
    }
    if record.status.last_activity.is_some() {
        shown.insert("lastActivitySet".into(), json!(true));
    }
    let conditions: Map<String, Value> = record
        .status
        .conditions
        .iter()
        .map(|condition| {
            let mut shown = json!({"status": condition.status, "reason": condition.reason});
            if !condition.message.is_empty() {
                shown["message"] = json!(condition.message);
            }
            (condition.kind.as_str().to_owned(), shown)
        })
        .collect();
    if !conditions.is_empty() {
        shown.insert("conditions".into(), Value::Object(conditions));
    }
    Value::Object(shown)
}

fn spec_of(record: &Record, expected: &Value) -> Value {
    let spec = &record.spec;
    let written = json!(spec);
    let limit = |key: &str| written["timeouts"][key].clone();
    let limits = json!({"time": limit("inactivity"), "closed": limit("closed"), "maximumLifetime": limit("lifetime")});
    let ports = spec
        .ports
        .iter()
        .zip(written["ports"].as_array().into_iter().flatten());
    let ports: Vec<Value> = ports
        .map(|(port, written)| json!({"port": port.port, "visibility": written["visibility"], "protocol": written["protocol"]}))
        .collect();
    let image = &spec.image;
    let mut shown = json!({
        "ownership": {"owner": spec.owner, "workspaceID": spec.workspace},
        "type": spec.kind.as_str(),
        "class": spec.class,
        "image": {"workspace": {"ref": image.workspace}, "ide": {"web": image.ide_web, "supervisor": image.supervisor, "refs": image.ide_layers}},
        "workspaceLocation": spec.location,
        "admission": {"level": written["admission"]},
        "storageQuota": spec.storage_quota,
        "ports": ports,
        "sshPublicKeys": spec.ssh_public_keys,
        "timeout": without_null(limits),
    });
    if let Value::Object(shown) = &mut shown {
        shown.retain(|key, value| expected.get(key).is_some() || !is_default(key, value));
    }
    shown
}

/// Whether a case would not list it.
fn is_default(key: &str, value: &Value) -> bool {
    let unset = match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    };
    unset || matches!(key, "admission" | "image")
}

fn without_null(mut object: Value) -> Value {
    if let Value::Object(object) = &mut object {
        object.retain(|_, value| !value.is_null());
    }
    object
}
