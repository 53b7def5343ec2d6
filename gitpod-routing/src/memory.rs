//! Workspaces held in memory.

use std::sync::Arc;

use async_trait::async_trait;
use papaya::HashMap;

use crate::id::WorkspaceId;
use crate::info::{Lookup, ProviderError, WorkspaceInfo, WorkspaceInfoProvider};

/// A [`WorkspaceInfoProvider`] over a table that you fill.
///
/// Reads take no lock. Cloning copies a pointer; all clones share one table.
#[derive(Clone, Debug, Default)]
pub struct MemoryProvider {
    workspaces: Arc<HashMap<WorkspaceId, Arc<WorkspaceInfo>>>,
}

impl MemoryProvider {
    /// With no workspaces.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `info`, in the place of what was known of that workspace.
    pub fn insert(&self, info: WorkspaceInfo) {
        self.workspaces
            .pin()
            .insert(info.id.clone(), Arc::new(info));
    }

    /// Forgets workspace `id`.
    pub fn remove(&self, id: &WorkspaceId) {
        self.workspaces.pin().remove(id);
    }

    /// What is known of workspace `id`.
    #[must_use]
    pub fn get(&self, id: &WorkspaceId) -> Option<Arc<WorkspaceInfo>> {
        self.workspaces.pin().get(id).map(Arc::clone)
    }
}

#[async_trait]
impl WorkspaceInfoProvider for MemoryProvider {
    async fn workspace_info(
        &self,
        id: &WorkspaceId,
    ) -> Result<Option<Arc<WorkspaceInfo>>, ProviderError> {
        Ok(self.get(id))
    }

    fn cached(&self, id: &WorkspaceId) -> Option<Lookup> {
        Some(Ok(self.get(id)))
    }
}
