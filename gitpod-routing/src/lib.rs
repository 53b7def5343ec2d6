//! Route HTTP and WebSocket to workspaces by hostname.

mod access;
mod activity;
#[cfg(feature = "proxy")]
pub mod forward;
mod framing;
mod host;
mod id;
mod info;
pub mod layers;
mod memory;
mod pages;
mod peer;
mod refusal;
mod secret;
mod service;
mod stage;

pub use self::access::{
    Access, AccessPolicy, CookieNames, Denied, OWNER_TOKEN_HEADER, Presented, Source, decide,
};
pub use self::activity::{ActivitySink, MemoryActivity};
#[cfg(feature = "proxy")]
pub use self::forward::{
    ConnectError, Connection, Connector, DialTarget, DirectConnector, Forward, ForwardBody,
    ForwardOptions, Io, PodPorts,
};
pub use self::host::{
    Endpoint, HostError, HostName, HostPattern, HostSource, HostTarget, PublicUrl, Scheme,
    SiblingPattern, Via, url_port,
};
pub use self::id::{IdError, InstanceId, WorkspaceId};
pub use self::info::{
    Admission, BoxError, Lookup, PortInfo, Protocol, ProviderError, RunState, Visibility,
    WorkspaceInfo, WorkspaceInfoProvider,
};
pub use self::memory::MemoryProvider;
pub use self::pages::{BuiltInPages, Format, Page, Pages};
pub use self::peer::Peer;
pub use self::refusal::{BadRequest, Refusal, Unanswered};
pub use self::secret::OwnerToken;
pub use self::service::WorkspaceService;
pub use self::stage::{Permit, Routed};
