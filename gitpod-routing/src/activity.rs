//! Who hears that a workspace is used.

use std::fmt;
use std::sync::Arc;

use papaya::HashMap;

use crate::id::{InstanceId, WorkspaceId};
use crate::info::WorkspaceInfo;

/// Hears that a workspace is used, so that it is not stopped for being idle.
///
/// Called once for each request and each login, and at most once a second for each stream
/// that is used; on the path of the request: return at once, and coalesce. What one call leaves out, the next one says.
///
/// # Source
///
/// Chosen by us: the reference counts SSH only, and leaves HTTP to the editor.
pub trait ActivitySink: fmt::Debug + Send + Sync + 'static {
    /// Workspace `info` is used now.
    fn active(&self, info: &WorkspaceInfo);
}

/// An [`ActivitySink`] that listens to nobody: workspaces are stopped by other means.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct IgnoreActivity;

impl IgnoreActivity {
    /// The sink.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl ActivitySink for IgnoreActivity {
    fn active(&self, _info: &WorkspaceInfo) {}
}

/// An [`ActivitySink`] that counts. It keeps an entry for every run, so it is for tests.
#[derive(Clone, Debug, Default)]
pub struct MemoryActivity {
    uses: Arc<HashMap<(WorkspaceId, InstanceId), u64>>,
}

impl MemoryActivity {
    /// With nothing counted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How often a run of a workspace was used.
    #[must_use]
    pub fn uses_of(&self, info: &WorkspaceInfo) -> u64 {
        let key = (info.id.clone(), info.instance.clone());
        self.uses.pin().get(&key).copied().unwrap_or_default()
    }
}

impl ActivitySink for MemoryActivity {
    fn active(&self, info: &WorkspaceInfo) {
        let key = (info.id.clone(), info.instance.clone());
        self.uses.pin().update_or_insert(key, |uses| uses + 1, 1);
    }
}
