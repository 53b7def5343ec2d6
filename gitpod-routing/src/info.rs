//! What is known of a workspace, and the trait that finds it out.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;

use crate::change::Changes;
use crate::id::{InstanceId, WorkspaceId};
use crate::secret::OwnerToken;

/// Finds out where a workspace runs.
///
/// Called once for each request and once for each SSH login, so answer from
/// memory: under 1 ms is expected. Implement this to route to your own runners;
/// [`MemoryProvider`](crate::MemoryProvider) keeps the answers in a table.
///
/// # Contract
///
/// - `Ok(Some(info))`: the workspace exists and `info.id == *id`. It may not be
///   running; see [`WorkspaceInfo::state`].
/// - `Ok(None)`: it is *certain* that no such workspace exists. Callers answer 404.
/// - `Err(_)`: not known. Callers answer 503 and never cache it.
///
/// Answers may be up to a few seconds old. The future may be dropped at any
/// await point.
///
/// # Source
///
/// Fields and meaning: the workspace information record of the reference proxy.
#[async_trait]
pub trait WorkspaceInfoProvider: fmt::Debug + Send + Sync + 'static {
    /// What is known now of workspace `id`.
    ///
    /// # Errors
    ///
    /// [`ProviderError`] when the question cannot be answered; see the contract.
    async fn workspace_info(
        &self,
        id: &WorkspaceId,
    ) -> Result<Option<Arc<WorkspaceInfo>>, ProviderError>;

    /// The same answer, if it is at hand without waiting.
    ///
    /// Callers ask this first, and [`workspace_info`](Self::workspace_info) only
    /// when it gives `None`. A provider that holds everything in memory saves a
    /// box per request by overriding it; the default gives `None`.
    fn cached(&self, _id: &WorkspaceId) -> Option<Lookup> {
        None
    }

    /// Tells when an answer may have become another one.
    ///
    /// Called when the first stream is opened, not for each request. A provider that gives
    /// `None`, the default, is asked again about workspaces with open streams, twice a
    /// second; see `Revocation`. One that tells must tell of every change, from this call on
    /// and after the new answer can be had.
    fn changes(&self) -> Option<Changes> {
        None
    }
}

/// What a provider answers.
pub type Lookup = Result<Option<Arc<WorkspaceInfo>>, ProviderError>;

/// What routing needs to know of one workspace: a snapshot, one per request.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[repr(C)] // in this order, so that the id stands next to the counts of an `Arc` of this
pub struct WorkspaceInfo {
    /// Its name.
    pub id: WorkspaceId,
    /// Which run of it this is. Connections are never shared between two runs.
    pub instance: InstanceId,
    /// How far its run has come.
    pub state: RunState,
    /// Address of its pod, once it has one. A local runner needs none.
    pub address: Option<IpAddr>,
    /// Who may use it.
    pub admission: Admission,
    /// Who has it started by coming to it while it is stopped.
    pub wake: WakePolicy,
    /// Ports its owner has described. Numbers are unique.
    pub ports: Vec<PortInfo>,
    /// Proves its owner.
    pub owner_token: OwnerToken,
    /// User id of its owner; may be empty.
    pub owner: Arc<str>,
    /// Public keys that may log in over SSH, as lines of `authorized_keys`.
    pub ssh_public_keys: Vec<Arc<str>>,
    /// When this run was created. The newest run of a workspace is the one routed to.
    pub created_at: SystemTime,
    /// Runs before this one whose owner is still taken for hers; nearly always none.
    pub former_owners: Vec<FormerOwner>,
}

/// A run whose owner is still the owner of its workspace, though another one came after it: it
/// was started by somebody who came, so she has not heard of its token yet.
///
/// Who comes with its token or its cookie is let in, and her browser is handed the cookie of
/// the run that is there. Looked at where a [`WorkspaceProxy`](crate::WorkspaceProxy) signs
/// people in, by links or after a start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FormerOwner {
    /// Which run: its cookies have its name.
    pub instance: InstanceId,
    /// Proves its owner.
    pub token: OwnerToken,
    /// When that is over; `None` if only something new ends it.
    pub until: Option<SystemTime>,
}

impl FormerOwner {
    /// Who has the `token` of run `instance`, until somebody says otherwise.
    #[must_use]
    pub fn new(instance: InstanceId, token: OwnerToken) -> Self {
        Self {
            instance,
            token,
            until: None,
        }
    }

    /// Until `end` at most.
    #[must_use]
    pub fn until(mut self, end: SystemTime) -> Self {
        self.until = Some(end);
        self
    }

    /// Whether it still holds at `now`.
    #[cfg(feature = "sign-in")]
    pub(crate) fn holds_at(&self, now: SystemTime) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl WorkspaceInfo {
    /// A workspace that exists, does not run, and admits its owner only.
    #[must_use]
    pub fn new(id: WorkspaceId, instance: InstanceId, owner_token: OwnerToken) -> Self {
        Self {
            id,
            instance,
            state: RunState::Stopped,
            address: None,
            admission: Admission::Owner,
            wake: WakePolicy::Owner,
            ports: Vec::new(),
            owner_token,
            owner: "".into(),
            ssh_public_keys: Vec::new(),
            created_at: SystemTime::UNIX_EPOCH,
            former_owners: Vec::new(),
        }
    }

    /// What its owner said of port `number`, if anything.
    #[must_use]
    pub fn port(&self, number: u16) -> Option<&PortInfo> {
        self.ports.iter().find(|port| port.number == number)
    }

    /// As [`RunState::Running`] at `address`.
    #[must_use]
    pub fn running_at(mut self, address: IpAddr) -> Self {
        self.state = RunState::Running;
        self.address = Some(address);
        self
    }

    /// With `ports` described.
    #[must_use]
    pub fn with_ports(mut self, ports: Vec<PortInfo>) -> Self {
        self.ports = ports;
        self
    }

    /// With `admission`.
    #[must_use]
    pub fn with_admission(mut self, admission: Admission) -> Self {
        self.admission = admission;
        self
    }

    /// With the owners of these runs before it.
    #[must_use]
    pub fn with_former_owners(mut self, owners: Vec<FormerOwner>) -> Self {
        self.former_owners = owners;
        self
    }

    /// Started by whom `wake` says.
    #[must_use]
    pub fn with_wake(mut self, wake: WakePolicy) -> Self {
        self.wake = wake;
        self
    }
}

/// How far the run of a workspace has come, as far as routing cares.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RunState {
    /// On its way; not yet reachable.
    Starting,
    /// Reachable.
    Running,
    /// On its way out; no longer reachable.
    Stopping,
    /// Not running.
    Stopped,
}

/// Who may use a workspace.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Admission {
    /// Its owner.
    Owner,
    /// Everyone: IDE and all ports. Shell access still needs the owner's token or key.
    Everyone,
}

/// Who has a stopped workspace started by coming to it, where the proxy can have it started.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum WakePolicy {
    /// Its owner.
    #[default]
    Owner,
    /// Everyone who may use what she asks for: guests of public ports, visitors of shares.
    Anyone,
    /// Nobody.
    Never,
}

/// What the owner of a workspace said of one of its ports.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct PortInfo {
    /// Which one, 1 to 65535.
    pub number: u16,
    /// Who may use it.
    pub visibility: Visibility,
    /// What its server speaks.
    pub protocol: Protocol,
}

impl PortInfo {
    /// Port `number`, for the owner only, speaking HTTP.
    #[must_use]
    pub fn new(number: u16) -> Self {
        Self {
            number,
            visibility: Visibility::Private,
            protocol: Protocol::Http,
        }
    }

    /// For everyone.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.visibility = Visibility::Public;
        self
    }

    /// Speaking `protocol`.
    #[must_use]
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }
}

/// Who may use a port.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Visibility {
    /// The owner of the workspace.
    Private,
    /// Everyone.
    Public,
}

/// What a server in a workspace speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP/1.1 in the clear.
    Http,
    /// HTTP/1.1 over TLS; the certificate is not verified.
    Https,
}

/// Why a lookup could not be answered.
///
/// A workspace that does not exist is no error; see [`WorkspaceInfoProvider`].
/// `Display` prints one level, lowercase and without a full stop; the cause is in
/// [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// The stored record lacks something, or holds something unreadable.
    #[error("record of workspace {id} has no usable {field}")]
    Malformed {
        /// Whose record.
        id: WorkspaceId,
        /// Which field, as the store names it.
        field: &'static str,
    },
    /// The first listing has not finished. Passes by itself.
    #[error("workspace list is still loading")]
    NotReady,
    /// The store did not answer, or answered with an error.
    #[error("workspace store did not answer")]
    Unreachable(#[source] BoxError),
}

impl ProviderError {
    /// Whether asking again later can help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Malformed { .. } => false,
            Self::NotReady | Self::Unreachable(_) => true,
        }
    }
}

/// An error of a kind we do not choose.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
