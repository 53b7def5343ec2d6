//! Configurations that programs of these tests share.

use std::path::Path;

use serde_json::{Value, json};

/// A ws-manager with its state below `dir`, on free ports.
#[must_use]
pub fn manager_config(dir: &Path) -> Value {
    json!({
        "manager": {
            "urlTemplate": "http://{{ .Prefix }}.ws.localhost/",
            "portUrlTemplate": "http://{{ .WorkspacePort }}-{{ .Prefix }}.ws.localhost/",
        },
        "rpcServer": {"addr": "127.0.0.1:0"},
        "prometheus": {"addr": "127.0.0.1:0"},
        "health": {"addr": "127.0.0.1:0"},
        "local": {"stateDir": dir.join("state"), "network": "shared"},
    })
}

/// A bridge from the manager at `manager` to the file `gitpod.db` in `dir`.
#[must_use]
pub fn bridge_config(dir: &Path, manager: &str) -> Value {
    json!({
        "staticBridges": [{"name": "local", "url": manager}],
        "controllerIntervalSeconds": 1,
        "store": {"sqlite": dir.join("gitpod.db"), "register": true},
        "prometheus": {"addr": "127.0.0.1:0"},
        "health": {"addr": "127.0.0.1:0"},
    })
}

/// A proxy in front of the manager at `manager`, whose state is below `dir`, in the clear.
#[must_use]
pub fn proxy_config(dir: &Path, manager: &str) -> Value {
    json!({
        "ingress": {"httpAddress": "127.0.0.1:0", "httpsAddress": "127.0.0.1:0", "header": "x-wsproxy-host"},
        "proxy": {
            "transportConfig": {"connectTimeout": "10s", "idleConnTimeout": "60s", "maxIdleConnsPerHost": 100},
            "blobServer": {"scheme": "https", "host": "ide.localhost"},
            "gitpodInstallation": {"scheme": "http", "hostName": "localhost", "workspaceHostSuffix": ".ws.localhost"},
            "workspacePodConfig": {
                "theiaPort": 23000, "ideDebugPort": 25000, "supervisorPort": 22999,
                "supervisorDebugPort": 24999, "debugWorkspaceProxyPort": 25003,
            },
        },
        "prometheusAddr": "127.0.0.1:0",
        "readinessProbeAddr": "127.0.0.1:0",
        "wsManager": {"addr": manager},
        "local": {"stateDir": dir.join("state"), "http": "serve"},
    })
}
