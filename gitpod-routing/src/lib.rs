//! Route HTTP and WebSocket to workspaces by hostname.

mod id;
mod info;
mod memory;
mod secret;

pub use self::id::{IdError, InstanceId, WorkspaceId};
pub use self::info::{
    Admission, BoxError, Lookup, PortInfo, Protocol, ProviderError, RunState, Visibility,
    WorkspaceInfo, WorkspaceInfoProvider,
};
pub use self::memory::MemoryProvider;
pub use self::secret::OwnerToken;
