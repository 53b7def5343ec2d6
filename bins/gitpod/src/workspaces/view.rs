//! Workspaces as the command line is told of them.

use gitpod_bridge::{ExposedPort, InstanceRow, PortProtocol, PortVisibility, WorkspaceRecord};
use gitpod_lifecycle::{
    Condition, ConditionStatus, ConditionType, Description, GitSource, Settings,
};
use jiff::Timestamp;

use super::definition::{self, Definition};
use crate::local;

/// One workspace and its latest run, as its row says. If that is over, `ran` is the last that ran.
///
/// URLs are those of this process, which may listen elsewhere than an earlier one.
pub(super) fn workspace(
    record: &WorkspaceRecord,
    ran: Option<&InstanceRow>,
    settings: &Settings,
) -> local::Workspace {
    let id = record.workspace.id.as_str();
    let definition = definition::of(&record.workspace);
    let workspace = local::Workspace {
        id: record.workspace.id.to_string(),
        phase: "stopped".to_owned(),
        repository: GitSource::new(&record.workspace.context_url).remote_for_people(),
        created_at: record.workspace.created_at.to_string(),
        wake: definition.wake.to_string(),
        ..local::Workspace::default()
    };
    let Some(row) = &record.latest else {
        return workspace;
    };
    let token = row.state.owner_token.as_ref().filter(|_| !row.is_stopped());
    local::Workspace {
        instance_id: row.id.to_string(),
        phase: row.state.phase.to_string(),
        url: settings
            .url_template
            .of_workspace(row.id.as_str(), id, &settings.host_url),
        owner_token: token.map_or_else(String::new, |token| token.expose().to_owned()),
        ports: ports(row, ran, &definition, settings),
        failure: failure(row),
        ..workspace
    }
}

fn failure(row: &InstanceRow) -> String {
    let conditions = &row.state.conditions;
    conditions.failed.clone().unwrap_or_default()
}

/// Those of the run; of one that is over, as the next will have them: a run that failed has not
/// come as far as to know.
fn ports(
    row: &InstanceRow,
    ran: Option<&InstanceRow>,
    definition: &Definition,
    settings: &Settings,
) -> Vec<local::Port> {
    let exposed = ran.unwrap_or(row).state.exposed_ports.iter();
    let mut ports: Vec<_> = exposed.map(|it| port(it, row, settings)).collect();
    if !row.is_stopped() {
        return ports;
    }
    for (number, visibility) in &definition.ports {
        let number = u32::from(*number);
        let visibility = visibility.to_string();
        match ports.iter_mut().find(|port| port.port == number) {
            Some(known) => known.visibility = visibility,
            None => ports.push(local::Port {
                port: number,
                visibility,
                protocol: "http".to_owned(),
                url: url(number, row, settings),
                ..local::Port::default()
            }),
        }
    }
    ports.sort_by_key(|port| port.port);
    ports
}

fn port(port: &ExposedPort, row: &InstanceRow, settings: &Settings) -> local::Port {
    local::Port {
        port: port.port,
        visibility: match port.visibility {
            Some(PortVisibility::Public) => "public",
            _ => "private",
        }
        .to_owned(),
        protocol: match port.protocol {
            PortProtocol::Https => "https",
            _ => "http",
        }
        .to_owned(),
        url: url(port.port, row, settings),
        ..local::Port::default()
    }
}

fn url(port: u32, row: &InstanceRow, settings: &Settings) -> String {
    let (instance, workspace) = (row.id.as_str(), row.workspace_id.as_str());
    let url = u16::try_from(port).map(|number| {
        settings
            .port_url_template
            .of_port(instance, workspace, &settings.host_url, number)
    });
    url.unwrap_or_default()
}

/// Adds what the row of a live run does not hold, or not yet.
pub(super) fn add_live_ports_and_token(workspace: &mut local::Workspace, live: &Description) {
    let token = live.record.status.owner_token.as_ref();
    workspace.owner_token = token.map_or_else(String::new, |token| token.expose().to_owned());
    for port in &mut workspace.ports {
        let described = live
            .record
            .spec
            .ports
            .iter()
            .find(|p| u32::from(p.port) == port.port);
        if let Some(described) = described {
            port.name.clone_from(&described.name);
            port.description.clone_from(&described.description);
        }
    }
}

fn condition(condition: &Condition) -> local::Condition {
    local::Condition {
        r#type: condition.kind.as_str().to_owned(),
        status: match condition.status {
            ConditionStatus::True => "True",
            ConditionStatus::False => "False",
            _ => "Unknown",
        }
        .to_owned(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        last_transition: condition.last_transition_time.to_string(),
    }
}

/// The conditions of a run that is over, as far as its row keeps them.
pub(super) fn conditions_of_row(row: Option<&InstanceRow>) -> Vec<local::Condition> {
    let Some(row) = row else {
        return Vec::new();
    };
    let kept = &row.state.conditions;
    let texts = [
        (ConditionType::Failed, kept.failed.clone()),
        (ConditionType::Timeout, kept.timeout.clone()),
        (
            ConditionType::HeadlessTaskFailed,
            kept.headless_task_failed.clone(),
        ),
        (
            ConditionType::StoppedByRequest,
            kept.stopped_by_request
                .filter(|stopped| *stopped)
                .map(|_| String::new()),
        ),
        (
            ConditionType::Deployed,
            kept.deployed
                .filter(|deployed| *deployed)
                .map(|_| String::new()),
        ),
    ];
    texts
        .into_iter()
        .filter_map(|(kind, message)| {
            Some(local::Condition {
                r#type: kind.as_str().to_owned(),
                status: "True".to_owned(),
                message: message?,
                ..local::Condition::default()
            })
        })
        .collect()
}

/// Adds what only the manager knows of a live run.
pub(super) fn add_live(answer: &mut local::DescribeResponse, live: &Description) {
    let status = &live.record.status;
    answer.conditions = status.conditions.iter().map(condition).collect();
    answer.alive_because = live.explanation.alive_because.clone().unwrap_or_default();
    answer.stops_at = rfc3339(live.explanation.stops_at);
    answer.last_activity = rfc3339(status.last_activity);
    if let Some(content) = &mut answer.content {
        content.ready = status.conditions.is_true(&ConditionType::ContentReady);
    }
}

fn rfc3339(at: Option<Timestamp>) -> String {
    at.map_or_else(String::new, |at| at.to_string())
}
