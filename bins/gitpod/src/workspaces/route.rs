//! From what the manager says to what routing needs to know.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gitpod_bridge::{ExposedPort, InstanceRow, PortProtocol, PortVisibility};
use gitpod_lifecycle::StatusUpdate;
use gitpod_routing::{
    MemoryProvider, OwnerToken, PortInfo, Protocol, RunState, WakePolicy, WorkspaceId,
    WorkspaceInfo,
};

/// What routing is told: of each workspace its latest run, and who may wake it.
#[derive(Debug)]
pub(super) struct Routes {
    table: MemoryProvider,
    /// Held while the table is changed, so that no change overwrites another one.
    policies: Mutex<HashMap<WorkspaceId, WakePolicy>>,
}

impl Routes {
    pub(super) fn new(table: MemoryProvider) -> Self {
        Self {
            table,
            policies: Mutex::default(),
        }
    }

    /// Tells what `update` says, unless a newer run of the workspace is known.
    pub(super) fn tell(&self, update: &StatusUpdate) {
        match update.workspace_info() {
            Some(info) => self.insert(info),
            None => {
                tracing::warn!(instance = %update.id, "update names no workspace that can be routed to");
            }
        }
    }

    /// Tells of a run that ended before this process began, or just now.
    pub(super) fn tell_stopped(&self, row: &InstanceRow) {
        self.insert(stopped(row));
    }

    /// From now on workspace `id` is woken as `policy` says.
    pub(super) fn set_policy(&self, id: &WorkspaceId, policy: WakePolicy) {
        let mut policies = self.lock();
        policies.insert(id.clone(), policy);
        if let Some(known) = self.table.get(id) {
            let changed = WorkspaceInfo::clone(&known).with_wake(policy);
            self.table.insert(changed);
        }
    }

    /// Workspace `id` was said to be woken as `policy` says, unless something newer is known.
    pub(super) fn learn_policy(&self, id: &WorkspaceId, policy: WakePolicy) {
        self.lock().entry(id.clone()).or_insert(policy);
    }

    pub(super) fn forget(&self, id: &WorkspaceId) {
        let mut policies = self.lock();
        policies.remove(id);
        self.table.remove(id);
    }

    fn insert(&self, mut info: WorkspaceInfo) {
        let policies = self.lock();
        if let Some(known) = self.table.get(&info.id) {
            if known.instance != info.instance && known.created_at > info.created_at {
                return;
            }
            if info.state == RunState::Starting {
                keep_ports(&mut info, &known);
            }
        }
        let policy = policies.get(&info.id).copied();
        self.table
            .insert(info.with_wake(policy.unwrap_or_default()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WorkspaceId, WakePolicy>> {
        // Nothing in it is half done when a thread panics.
        self.policies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until its content is there, a run does not know what `.gitpod.yml` says of its ports. Who
/// might use one before is held until then, and not sent away.
fn keep_ports(starting: &mut WorkspaceInfo, known: &WorkspaceInfo) {
    for port in &known.ports {
        if starting.port(port.number).is_none() {
            starting.ports.push(*port);
        }
    }
}

/// What routing needs to know of a run that is over.
fn stopped(row: &InstanceRow) -> WorkspaceInfo {
    let token = row.state.owner_token.as_ref();
    let token = token.map(|token| token.as_owner_token().clone());
    // Without one, nobody has it: an empty token matches nothing.
    let token = token.unwrap_or_else(|| OwnerToken::new(""));
    let ports = row.state.exposed_ports.iter().filter_map(port).collect();
    let mut info =
        WorkspaceInfo::new(row.workspace_id.clone(), row.id.clone(), token).with_ports(ports);
    info.created_at = row.created_at.into();
    info.owner = Arc::from(row.owner_id.as_str());
    info
}

fn port(port: &ExposedPort) -> Option<PortInfo> {
    let number = u16::try_from(port.port).ok().filter(|number| *number > 0)?;
    let info = PortInfo::new(number).with_protocol(match port.protocol {
        PortProtocol::Https => Protocol::Https,
        _ => Protocol::Http,
    });
    Some(match port.visibility {
        Some(PortVisibility::Public) => info.public(),
        _ => info,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(instance: &str, seconds: u64) -> WorkspaceInfo {
        let mut info = WorkspaceInfo::new(id(), instance.parse().unwrap(), OwnerToken::new("t"));
        info.created_at += std::time::Duration::from_secs(seconds);
        info
    }

    fn id() -> WorkspaceId {
        "pink-panda-ns35kd21".parse().unwrap()
    }

    #[test]
    fn newer_run_is_not_replaced_by_what_is_told_late_of_an_older_one() {
        let table = MemoryProvider::new();
        let routes = Routes::new(table.clone());
        routes.insert(info("i-2", 2));
        routes.insert(info("i-1", 1));
        assert_eq!(table.get(&id()).unwrap().instance.as_str(), "i-2");
    }

    #[test]
    fn ports_of_the_run_before_count_until_the_next_one_runs() {
        let table = MemoryProvider::new();
        let routes = Routes::new(table.clone());
        let ports = || table.get(&id()).unwrap().ports.clone();
        let public = PortInfo::new(3000).public();
        routes.insert(info("i-1", 1).with_ports(vec![public]));
        for _ in 0..2 {
            let mut starting = info("i-2", 2).with_ports(vec![PortInfo::new(4000)]);
            starting.state = RunState::Starting;
            routes.insert(starting);
            assert_eq!(ports(), [PortInfo::new(4000), public]);
        }
        routes.insert(info("i-2", 2).running_at([127, 0, 0, 1].into()));
        assert_eq!(ports(), []);
    }

    #[test]
    fn policy_holds_for_every_run_and_is_changed_in_the_present_one() {
        let table = MemoryProvider::new();
        let routes = Routes::new(table.clone());
        routes.learn_policy(&id(), WakePolicy::Never);
        routes.insert(info("i-1", 1));
        assert_eq!(table.get(&id()).unwrap().wake, WakePolicy::Never);
        routes.set_policy(&id(), WakePolicy::Anyone);
        routes.learn_policy(&id(), WakePolicy::Never); // read before the change
        assert_eq!(table.get(&id()).unwrap().wake, WakePolicy::Anyone);
        routes.insert(info("i-2", 2));
        let known = table.get(&id()).unwrap();
        assert_eq!(
            (known.wake, known.state),
            (WakePolicy::Anyone, RunState::Stopped)
        );
        routes.forget(&id());
        assert!(table.get(&id()).is_none());
    }
}
