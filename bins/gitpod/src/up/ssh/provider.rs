//! What the gateway is told of workspaces.

use std::sync::Arc;

use async_trait::async_trait;
use gitpod_routing::{
    Lookup, MemoryProvider, ProviderError, WorkspaceId, WorkspaceInfo, WorkspaceInfoProvider,
};

use super::authorized::AuthorizedKeys;

/// The workspaces of this system with the keys of its user, as they are at the moment:
/// an added key opens running workspaces, a removed one none.
#[derive(Debug)]
pub(super) struct KeyedProvider {
    pub(super) workspaces: MemoryProvider,
    pub(super) keys: AuthorizedKeys,
}

#[async_trait]
impl WorkspaceInfoProvider for KeyedProvider {
    async fn workspace_info(
        &self,
        id: &WorkspaceId,
    ) -> Result<Option<Arc<WorkspaceInfo>>, ProviderError> {
        Ok(self.workspaces.get(id).map(|info| self.with_keys(&info)))
    }

    fn cached(&self, id: &WorkspaceId) -> Option<Lookup> {
        Some(Ok(self
            .workspaces
            .get(id)
            .map(|info| self.with_keys(&info))))
    }
}

impl KeyedProvider {
    fn with_keys(&self, info: &WorkspaceInfo) -> Arc<WorkspaceInfo> {
        let mut info = info.clone();
        info.ssh_public_keys = self.keys.lines().to_vec();
        Arc::new(info)
    }
}
