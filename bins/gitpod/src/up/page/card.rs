//! A workspace as the page's script is told of it.

use gitpod_routing::{SecretUrl, Share};
use serde_json::{Value, json};

use crate::local::{DescribeResponse, Port, Task};
use crate::workspaces::link;

/// Everything that is shown of one workspace. Its owner token is not.
pub(super) fn card(told: &DescribeResponse, shares: &[(Share, SecretUrl)]) -> Value {
    let workspace = told.workspace.clone().unwrap_or_default();
    let content = told.content.clone().unwrap_or_default();
    json!({
        "id": workspace.id,
        "instance_id": workspace.instance_id,
        "phase": workspace.phase,
        "url": workspace.url,
        "repository": workspace.repository,
        "branch": content.branch,
        "path": content.path,
        "created_at": workspace.created_at,
        "failure": workspace.failure,
        "alive_because": told.alive_because,
        "stops_at": told.stops_at,
        "last_activity": told.last_activity,
        "timeout": told.timeout,
        "wake": workspace.wake,
        "limits": told.limits,
        "network": told.network,
        "ports": workspace.ports.iter().map(port).collect::<Vec<_>>(),
        "tasks": told.tasks.iter().map(task).collect::<Vec<_>>(),
        "shares": shares.iter().map(share).collect::<Vec<_>>(),
        "ssh": workspace.ssh,
        "config_errors": workspace.config_errors,
        "config_ignored": workspace.config_ignored,
    })
}

fn port(port: &Port) -> Value {
    json!({
        "port": port.port,
        "visibility": port.visibility,
        "protocol": port.protocol,
        "url": port.url,
        "name": port.name,
        "description": port.description,
        "served": port.served,
    })
}

fn task(task: &Task) -> Value {
    json!({
        "name": task.name,
        "state": task.state,
        "exit_code": task.exit_code,
        "signal": task.signal,
        "error": task.error,
    })
}

/// A share with its link: whoever is signed in here may hand it on.
pub(super) fn share(share: &(Share, SecretUrl)) -> Value {
    let told = link(share);
    json!({
        "share_id": told.share_id,
        "url": told.url,
        "expires_at": told.expires_at,
        "port": (told.port != 0).then_some(told.port),
    })
}
