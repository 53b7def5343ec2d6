//! Content that describes its own ports.

use async_trait::async_trait;
use gitpod_lifecycle::process::{GitContent, Layout};
use gitpod_lifecycle::{
    ContentError, ContentStore, Finished, Prepared, Progress, Spec, WorkspaceName,
};

use crate::gitpod_yml;

/// [`GitContent`] whose `.gitpod.yml` says which ports are public and what they speak.
#[derive(Debug)]
pub(super) struct DescribedContent {
    pub(super) inner: GitContent,
    pub(super) layout: Layout,
}

#[async_trait]
impl ContentStore for DescribedContent {
    async fn prepare(&self, spec: &Spec, progress: &Progress) -> Result<Prepared, ContentError> {
        let mut prepared = self.inner.prepare(spec, progress).await?;
        let content = self.layout.content(&spec.workspace)?;
        prepared.ports = gitpod_yml::read(&content).await.ports;
        Ok(prepared)
    }

    async fn finish(&self, spec: &Spec) -> Result<Finished, ContentError> {
        self.inner.finish(spec).await
    }

    async fn delete(&self, workspace: &WorkspaceName) -> Result<(), ContentError> {
        self.inner.delete(workspace).await
    }
}
