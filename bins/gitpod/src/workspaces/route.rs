//! From what the manager says to what routing needs to know.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gitpod_bridge::{ExposedPort, InstanceRow, PortProtocol, PortVisibility};
use gitpod_lifecycle::StatusUpdate;
use gitpod_routing::{
    FormerOwner, InstanceId, MemoryProvider, OwnerToken, PortInfo, Protocol, RunState, WakePolicy,
    WorkspaceId, WorkspaceInfo,
};

/// What routing is told: of each workspace its latest run, who may wake it, and whose owner is
/// known beside that of the run.
#[derive(Debug)]
pub(super) struct Routes {
    table: MemoryProvider,
    /// Held while the table is changed, so that no change overwrites another one.
    kept: Mutex<HashMap<WorkspaceId, Kept>>,
}

/// What is kept of a workspace from run to run.
#[derive(Debug, Default)]
struct Kept {
    policy: WakePolicy,
    former_owners: Vec<FormerOwner>,
    /// The last run that came as far as to run.
    ran: Option<InstanceId>,
}

impl Routes {
    pub(super) fn new(table: MemoryProvider) -> Self {
        Self {
            table,
            kept: Mutex::default(),
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

    /// Tells of a run that ended before this process began, or just now, if `ran` is the last
    /// one that ran.
    pub(super) fn tell_stopped(&self, row: &InstanceRow, ran: Option<&InstanceRow>) {
        let mut info = stopped(row);
        if let Some(ran) = ran {
            self.lock().entry(info.id.clone()).or_default().ran = Some(ran.id.clone());
            keep_ports(&mut info, &stopped(ran));
        }
        self.insert(info);
    }

    /// From now on workspace `id` is woken as `policy` says.
    pub(super) fn set_policy(&self, id: &WorkspaceId, policy: WakePolicy) {
        self.keep(id, |kept| kept.policy = policy);
    }

    /// From now on the owners of these runs are known, too, in workspace `id`.
    pub(super) fn set_former(&self, id: &WorkspaceId, owners: Vec<FormerOwner>) {
        self.keep(id, |kept| kept.former_owners = owners);
    }

    fn keep(&self, id: &WorkspaceId, change: impl FnOnce(&mut Kept)) {
        let mut all = self.lock();
        let kept = all.entry(id.clone()).or_default();
        change(kept);
        if let Some(known) = self.table.get(id) {
            self.table.insert(kept.add_to(WorkspaceInfo::clone(&known)));
        }
    }

    /// Workspace `id` was said to be woken as `policy` says, and these owners to be known in it,
    /// unless something newer is known.
    pub(super) fn learn(&self, id: &WorkspaceId, policy: WakePolicy, owners: Vec<FormerOwner>) {
        self.lock().entry(id.clone()).or_insert_with(|| Kept {
            policy,
            former_owners: owners,
            ran: None,
        });
    }

    pub(super) fn forget(&self, id: &WorkspaceId) {
        let mut all = self.lock();
        all.remove(id);
        self.table.remove(id);
    }

    fn insert(&self, mut info: WorkspaceInfo) {
        let mut all = self.lock();
        let kept = all.entry(info.id.clone()).or_default();
        if info.state == RunState::Running {
            kept.ran = Some(info.instance.clone());
        }
        if let Some(known) = self.table.get(&info.id) {
            if known.instance != info.instance && known.created_at > info.created_at {
                return;
            }
            if !kept.knows_to_run(&info) {
                keep_ports(&mut info, &known);
            }
        }
        self.table.insert(kept.add_to(info));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WorkspaceId, Kept>> {
        // Nothing in it is half done when a thread panics.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn add_to(&self, info: WorkspaceInfo) -> WorkspaceInfo {
        let mut owners = self.former_owners.clone();
        if info.state == RunState::Stopped && !self.knows_to_run(&info) {
            // Nobody was told of its token.
            owners.iter_mut().for_each(|owner| owner.until = None);
        }
        let info = info.with_wake(self.policy);
        info.with_former_owners(owners)
    }

    /// Whether the run of `info` runs, or did.
    fn knows_to_run(&self, info: &WorkspaceInfo) -> bool {
        self.ran.as_ref() == Some(&info.instance)
    }
}

/// Until its content is there, a run does not know what `.gitpod.yml` says of its ports, and one
/// that fails never does. Who might use one before is held until then, or may have it started
/// again, and is not sent away.
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
        routes.learn(&id(), WakePolicy::Never, Vec::new());
        routes.insert(info("i-1", 1));
        assert_eq!(table.get(&id()).unwrap().wake, WakePolicy::Never);
        routes.set_policy(&id(), WakePolicy::Anyone);
        routes.learn(&id(), WakePolicy::Never, Vec::new()); // read before the change
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
