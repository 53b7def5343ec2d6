//! What routing needs to know of an update.

use std::time::SystemTime;

use gitpod_routing::{
    Admission, InstanceId, OwnerToken, PortInfo, Protocol, RunState, WorkspaceId, WorkspaceInfo,
};

use super::update::{
    StatusUpdate, UpdateAdmission, UpdatePhase, UpdatePort, UpdateProtocol, UpdateVisibility,
};

impl StatusUpdate {
    /// What routing needs to know of this run; `None` if its workspace or instance has a name that
    /// nothing can be routed to.
    ///
    /// There is no address in it, and no SSH key: an update holds neither.
    #[must_use]
    pub fn workspace_info(&self) -> Option<WorkspaceInfo> {
        let id: WorkspaceId = self.metadata.meta_id.parse().ok()?;
        let instance: InstanceId = self.id.parse().ok()?;
        let token = self.auth.owner_token.as_ref();
        let token = token.map(|token| token.as_owner_token().clone());
        // Without one, nobody has it: an empty token matches nothing.
        let token = token.unwrap_or_else(|| OwnerToken::new(""));
        let ports = self.spec.exposed_ports.iter().filter_map(port).collect();
        let mut info = WorkspaceInfo::new(id, instance, token)
            .with_ports(ports)
            .with_admission(match self.auth.admission {
                UpdateAdmission::Everyone => Admission::Everyone,
                UpdateAdmission::OwnerOnly | UpdateAdmission::Other(_) => Admission::Owner,
            });
        info.state = run_state(self.phase);
        info.owner = self.metadata.owner.as_str().into();
        let started = self.metadata.started_at.map(SystemTime::from);
        info.created_at = started.unwrap_or(SystemTime::UNIX_EPOCH);
        Some(info)
    }
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
        UpdateProtocol::Http | UpdateProtocol::Other(_) => Protocol::Http,
    });
    Some(match port.visibility {
        UpdateVisibility::Public => info.public(),
        UpdateVisibility::Private | UpdateVisibility::Other(_) => info,
    })
}
