//! What scripts read.

use serde::Serialize;

use crate::local::{Condition, DescribeResponse, Port, Task, Workspace};

/// One workspace, as `start`, `list` and `describe` print it with `-o json`.
#[derive(Debug, Serialize)]
pub(crate) struct WorkspaceView {
    id: String,
    instance_id: String,
    phase: String,
    url: String,
    /// What to type to get a shell in it.
    #[serde(skip_serializing_if = "String::is_empty")]
    ssh: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_token: Option<String>,
    ports: Vec<PortView>,
    repository: String,
    created_at: String,
    /// Who has it started by coming to it while it is stopped.
    wake: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    failure: String,
    /// What its `.gitpod.yml` gave reason to say; not told by `list`.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<ConfigView>,
}

#[derive(Debug, Serialize)]
struct ConfigView {
    errors: Vec<String>,
    ignored: Vec<String>,
}

/// One port, as `describe` and `ports` print it with `-o json`.
#[derive(Debug, Serialize)]
pub(super) struct PortView {
    port: u32,
    visibility: String,
    protocol: String,
    url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    /// Whether a process of the workspace listens.
    served: bool,
}

impl From<Workspace> for WorkspaceView {
    fn from(from: Workspace) -> Self {
        Self {
            id: from.id,
            instance_id: from.instance_id,
            phase: from.phase,
            url: from.url,
            ssh: from.ssh,
            owner_token: Some(from.owner_token),
            ports: from.ports.into_iter().map(PortView::from).collect(),
            repository: from.repository,
            created_at: from.created_at,
            wake: from.wake,
            failure: from.failure,
            config: Some(ConfigView {
                errors: from.config_errors,
                ignored: from.config_ignored,
            }),
        }
    }
}

impl WorkspaceView {
    /// For a list, which reads no files.
    pub(super) fn without_config(mut self) -> Self {
        self.config = None;
        self
    }

    /// For output that ends up in logs.
    pub(crate) fn without_token(mut self) -> Self {
        self.owner_token = None;
        self
    }
}

impl From<Port> for PortView {
    fn from(from: Port) -> Self {
        Self {
            port: from.port,
            visibility: from.visibility,
            protocol: from.protocol,
            url: from.url,
            name: from.name,
            description: from.description,
            served: from.served,
        }
    }
}

/// One workspace in full, as `describe -o json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct DescribeView {
    #[serde(flatten)]
    workspace: WorkspaceView,
    conditions: Vec<ConditionView>,
    alive_because: Option<String>,
    stops_at: Option<String>,
    last_activity: Option<String>,
    timeout: String,
    content: ContentView,
    limits: String,
    network: Option<String>,
    tasks: Vec<TaskView>,
}

#[derive(Debug, Serialize)]
struct TaskView {
    name: String,
    state: String,
    exit_code: Option<i32>,
    signal: Option<i32>,
    error: Option<String>,
}

impl From<Task> for TaskView {
    fn from(from: Task) -> Self {
        Self {
            name: from.name,
            state: from.state,
            exit_code: from.exit_code,
            signal: from.signal,
            error: present(from.error),
        }
    }
}

#[derive(Debug, Serialize)]
struct ConditionView {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
    message: String,
    last_transition: String,
}

#[derive(Debug, Serialize)]
struct ContentView {
    repository: String,
    branch: Option<String>,
    path: String,
    ready: bool,
}

impl From<DescribeResponse> for DescribeView {
    fn from(from: DescribeResponse) -> Self {
        let content = from.content.unwrap_or_default();
        Self {
            workspace: from.workspace.unwrap_or_default().into(),
            conditions: from
                .conditions
                .into_iter()
                .map(ConditionView::from)
                .collect(),
            alive_because: present(from.alive_because),
            stops_at: present(from.stops_at),
            last_activity: present(from.last_activity),
            timeout: from.timeout,
            content: ContentView {
                repository: content.repository,
                branch: present(content.branch),
                path: content.path,
                ready: content.ready,
            },
            limits: from.limits,
            network: present(from.network),
            tasks: from.tasks.into_iter().map(TaskView::from).collect(),
        }
    }
}

impl From<Condition> for ConditionView {
    fn from(from: Condition) -> Self {
        Self {
            kind: from.r#type,
            status: from.status,
            reason: from.reason,
            message: from.message,
            last_transition: from.last_transition,
        }
    }
}

fn present(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
