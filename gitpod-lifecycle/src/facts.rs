//! What is seen: the runners of an instance and the machines they are on.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use crate::token::Token;

/// Everything that one pass may look at besides spec and status.
///
/// A platform collects it right before a pass. It may be a moment old, but not
/// older than what was collected or done for the same instance before: a runner
/// that was created is seen until it is gone. What is not known is left out, and
/// decides nothing.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Facts {
    /// Runners of the instance that exist, oldest first. More than one is a failure.
    pub runners: Vec<RunnerFacts>,
    /// Machines that were looked up, by name. One that is missing here is not known.
    pub nodes: BTreeMap<String, NodeState>,
    /// Whether the installation is being maintained.
    pub maintenance: Maintenance,
    /// A token made for this pass, taken if the instance has none yet.
    pub fresh_token: Option<Token>,
}

impl Facts {
    /// No runner exists, and nothing else is known.
    #[must_use]
    pub fn no_runner() -> Self {
        Self::default()
    }

    /// One runner exists.
    #[must_use]
    pub fn one_runner(runner: RunnerFacts) -> Self {
        Self {
            runners: vec![runner],
            ..Self::default()
        }
    }

    /// With `token` at hand for an instance that has none.
    #[must_use]
    pub fn with_fresh_token(mut self, token: impl Into<Token>) -> Self {
        self.fresh_token = Some(token.into());
        self
    }

    /// While the installation is being maintained, or not.
    #[must_use]
    pub fn with_maintenance(mut self, maintenance: Maintenance) -> Self {
        self.maintenance = maintenance;
        self
    }

    /// With machine `name` looked up.
    #[must_use]
    pub fn with_node(mut self, name: impl Into<String>, state: NodeState) -> Self {
        self.nodes.insert(name.into(), state);
        self
    }

    /// What is known of machine `name`.
    #[must_use]
    pub fn node(&self, name: &str) -> NodeState {
        self.nodes.get(name).copied().unwrap_or(NodeState::NotKnown)
    }
}

/// Whether the installation is being maintained.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Maintenance {
    /// It is not.
    #[default]
    Off,
    /// It is: nothing is stopped by a timeout.
    On,
}

/// What is known of a machine.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NodeState {
    /// It was not looked up, or the lookup failed. Decides nothing.
    NotKnown,
    /// It exists, and takes work.
    Present,
    /// It exists, and is marked as unfit for work in some way.
    Tainted,
    /// It does not exist.
    Gone,
}

/// One runner: a pod on Kubernetes, a process tree on a local machine.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunnerFacts {
    /// Its name, unique on its platform.
    pub name: String,
    /// How far it has come.
    pub phase: RunnerPhase,
    /// Since when it is on its way out.
    pub deleting_since: Option<Timestamp>,
    /// How long it has to end by itself, as said when it was last deleted.
    pub grace: Option<Duration>,
    /// Whether the platform keeps it until it is released: see
    /// [`Action::ReleaseRunner`](crate::Action::ReleaseRunner).
    pub held: bool,
    /// Why it failed, in one word; may be empty.
    pub reason: String,
    /// Why it failed, in a sentence; may be empty.
    pub message: String,
    /// Machine that it is on, once known.
    pub node: Option<String>,
    /// Its own address, once it has one.
    pub address: Option<IpAddr>,
    /// Address of its machine.
    pub host_address: Option<IpAddr>,
    /// Its containers, or what corresponds to them. The one that users work in
    /// is called [`ContainerFacts::WORKSPACE`].
    pub containers: Vec<ContainerFacts>,
}

impl RunnerFacts {
    /// A runner `name` in phase `phase` of which nothing else is known.
    #[must_use]
    pub fn new(name: impl Into<String>, phase: RunnerPhase) -> Self {
        Self {
            name: name.into(),
            phase,
            deleting_since: None,
            grace: None,
            held: false,
            reason: String::new(),
            message: String::new(),
            node: None,
            address: None,
            host_address: None,
            containers: Vec::new(),
        }
    }

    /// A runner that is being created, with its workspace container not up yet.
    #[must_use]
    pub fn creating(name: impl Into<String>) -> Self {
        let waiting = ContainerState::Waiting {
            reason: "ContainerCreating".to_owned(),
            message: String::new(),
        };
        Self::new(name, RunnerPhase::Pending).with_container(ContainerFacts::workspace(waiting))
    }

    /// A runner whose workspace container runs, and serves (`ready`) or not yet.
    #[must_use]
    pub fn running(name: impl Into<String>, ready: bool) -> Self {
        let mut container = ContainerFacts::workspace(ContainerState::Running);
        container.ready = ready;
        Self::new(name, RunnerPhase::Running).with_container(container)
    }

    /// A runner whose workspace container has ended: well if the exit code is 0.
    #[must_use]
    pub fn ended(name: impl Into<String>, termination: Termination) -> Self {
        let phase = match termination.exit_code {
            0 => RunnerPhase::Succeeded,
            _ => RunnerPhase::Failed,
        };
        let container = ContainerFacts::workspace(ContainerState::Terminated(termination));
        Self::new(name, phase).with_container(container)
    }

    /// On its way out since `since`.
    #[must_use]
    pub fn deleting(mut self, since: Timestamp) -> Self {
        self.deleting_since = Some(since);
        self
    }

    /// Kept by the platform until it is released.
    #[must_use]
    pub fn held(mut self) -> Self {
        self.held = true;
        self
    }

    /// With one more container.
    #[must_use]
    pub fn with_container(mut self, container: ContainerFacts) -> Self {
        self.containers.push(container);
        self
    }

    /// The container that users work in, if it is known yet.
    #[must_use]
    pub fn workspace_container(&self) -> Option<&ContainerFacts> {
        self.containers
            .iter()
            .find(|container| container.name == ContainerFacts::WORKSPACE)
    }

    /// Whether the container that users work in runs.
    #[must_use]
    pub fn workspace_runs(&self) -> bool {
        self.workspace_container()
            .is_some_and(|container| container.state == ContainerState::Running)
    }

    /// Whether all that was in it has ended by itself.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.phase, RunnerPhase::Succeeded | RunnerPhase::Failed)
    }

    /// Whether it is on its way out.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.deleting_since.is_some()
    }
}

/// How far a runner has come, as its platform says.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RunnerPhase {
    /// Accepted; not all of its containers were started.
    Pending,
    /// Started; something in it runs.
    Running,
    /// Everything in it has ended, all of it well.
    Succeeded,
    /// Everything in it has ended, not all of it well.
    Failed,
    /// The platform has lost touch with it.
    Unknown,
    /// The platform has not said anything yet.
    Unset,
}

/// One container of a runner.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ContainerFacts {
    /// Its name.
    pub name: String,
    /// Whether it serves.
    pub ready: bool,
    /// What it does now.
    pub state: ContainerState,
    /// How its run before this one ended, if there was one.
    pub last_termination: Option<Termination>,
}

impl ContainerFacts {
    /// Name of the container that users work in.
    pub const WORKSPACE: &'static str = "workspace";

    /// A container `name`, not ready.
    #[must_use]
    pub fn new(name: impl Into<String>, state: ContainerState) -> Self {
        Self {
            name: name.into(),
            ready: false,
            state,
            last_termination: None,
        }
    }

    /// The container that users work in, not ready.
    #[must_use]
    pub fn workspace(state: ContainerState) -> Self {
        Self::new(Self::WORKSPACE, state)
    }
}

/// What a container does now.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ContainerState {
    /// The platform has not said anything yet.
    Unset,
    /// It waits for something.
    Waiting {
        /// For what, in one word.
        reason: String,
        /// For what, in a sentence; may be empty.
        message: String,
    },
    /// It runs.
    Running,
    /// It has ended.
    Terminated(Termination),
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Termination {
    /// Exit code of its first process; 128 + n if it was ended by signal n.
    pub exit_code: i32,
    /// Why, in one word: `Completed`, `Error`, `OOMKilled`, ….
    pub reason: String,
    /// Its last words; may be empty.
    pub message: String,
}

impl Termination {
    /// Ended with `exit_code`; reason `Completed` if that is 0, else `Error`.
    #[must_use]
    pub fn exited(exit_code: i32, message: impl Into<String>) -> Self {
        let reason = if exit_code == 0 { "Completed" } else { "Error" };
        Self {
            exit_code,
            reason: reason.to_owned(),
            message: message.into(),
        }
    }
}
