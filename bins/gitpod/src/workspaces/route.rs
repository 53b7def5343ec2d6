//! From what the manager says to what routing needs to know.

use std::sync::Arc;
use std::time::SystemTime;

use gitpod_bridge::InstanceRow;
use gitpod_lifecycle::{
    StatusUpdate, Token, UpdateAdmission, UpdatePhase, UpdatePort, UpdateProtocol, UpdateVisibility,
};
use gitpod_routing::{
    Admission, InstanceId, MemoryProvider, OwnerToken, PortInfo, Protocol, RunState, WorkspaceId,
    WorkspaceInfo,
};

/// Tells routing what `update` says, unless a newer run of the workspace is known.
pub(super) fn tell(routes: &MemoryProvider, update: &StatusUpdate) {
    let Some(info) = info(update) else {
        tracing::warn!(instance = %update.id, "update names no workspace that can be routed to");
        return;
    };
    let newer_known = routes
        .get(&info.id)
        .is_some_and(|known| known.instance != info.instance && known.created_at > info.created_at);
    if !newer_known {
        routes.insert(info);
    }
}

fn info(update: &StatusUpdate) -> Option<WorkspaceInfo> {
    let id: WorkspaceId = update.metadata.meta_id.parse().ok()?;
    let instance: InstanceId = update.id.parse().ok()?;
    let mut info = WorkspaceInfo::new(id, instance, token(update.auth.owner_token.as_ref()))
        .with_ports(update.spec.exposed_ports.iter().filter_map(port).collect())
        .with_admission(match update.auth.admission {
            UpdateAdmission::Everyone => Admission::Everyone,
            _ => Admission::Owner,
        });
    info.state = run_state(update.phase);
    info.owner = update.metadata.owner.as_str().into();
    info.created_at = update
        .metadata
        .started_at
        .map_or(SystemTime::UNIX_EPOCH, SystemTime::from);
    Some(info)
}

/// What routing needs to know of a run that ended before this process began.
pub(super) fn stopped(row: &InstanceRow) -> WorkspaceInfo {
    let token = token(row.state.owner_token.as_ref());
    let mut info = WorkspaceInfo::new(row.workspace_id.clone(), row.id.clone(), token);
    info.created_at = row.created_at.into();
    info.owner = Arc::from(row.owner_id.as_str());
    info
}

fn token(token: Option<&Token>) -> OwnerToken {
    token.map_or_else(
        || OwnerToken::new(""), // matches nothing
        |token| token.as_owner_token().clone(),
    )
}

fn run_state(phase: UpdatePhase) -> RunState {
    match phase {
        UpdatePhase::Running => RunState::Running,
        UpdatePhase::Pending | UpdatePhase::Creating | UpdatePhase::Initializing => {
            RunState::Starting
        }
        UpdatePhase::Stopped => RunState::Stopped,
        _ => RunState::Stopping,
    }
}

fn port(port: &UpdatePort) -> Option<PortInfo> {
    let number = u16::try_from(port.port).ok().filter(|number| *number > 0)?;
    let info = PortInfo::new(number).with_protocol(match port.protocol {
        UpdateProtocol::Https => Protocol::Https,
        _ => Protocol::Http,
    });
    Some(match port.visibility {
        UpdateVisibility::Public => info.public(),
        _ => info,
    })
}
