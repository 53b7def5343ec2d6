//! Content that describes its own ports.

use std::path::Path;

use async_trait::async_trait;
use gitpod_lifecycle::gitpod_yml::{self, Port};
use gitpod_lifecycle::process::{GitContent, Layout};
use gitpod_lifecycle::{
    ContentError, ContentStore, Finished, PortSpec, Prepared, Progress, Spec, WorkspaceName,
};

/// [`GitContent`] whose `.gitpod.yml` says which ports are public and what they speak.
#[derive(Debug)]
pub(super) struct DescribedContent {
    pub(super) inner: GitContent,
    pub(super) layout: Layout,
}

/// Ranges are told port by port, in every status. Beyond so many, ports keep the
/// defaults: for the owner, HTTP.
const MAX_PORTS: usize = 1000;

#[async_trait]
impl ContentStore for DescribedContent {
    async fn prepare(&self, spec: &Spec, progress: &Progress) -> Result<Prepared, ContentError> {
        let mut prepared = self.inner.prepare(spec, progress).await?;
        prepared.ports = ports(&self.layout.content(&spec.workspace)?).await;
        Ok(prepared)
    }

    async fn finish(&self, spec: &Spec) -> Result<Finished, ContentError> {
        self.inner.finish(spec).await
    }

    async fn delete(&self, workspace: &WorkspaceName) -> Result<(), ContentError> {
        self.inner.delete(workspace).await
    }
}

/// What the `.gitpod.yml` in `content` says. A broken one describes nothing here;
/// the supervisor shows what is wrong with it.
async fn ports(content: &Path) -> Vec<PortSpec> {
    let path = content.join(".gitpod.yml");
    let is_small = tokio::fs::metadata(&path)
        .await
        .is_ok_and(|file| file.is_file() && file.len() <= gitpod_yml::MAX_BYTES as u64);
    if !is_small {
        return Vec::new();
    }
    let text = tokio::fs::read_to_string(&path).await.unwrap_or_default();
    match gitpod_yml::parse(&text) {
        Ok(described) => described
            .ports
            .iter()
            .flat_map(specs)
            .take(MAX_PORTS)
            .collect(),
        Err(why) => {
            tracing::info!(path = %path.display(), %why, "its ports are not used");
            Vec::new()
        }
    }
}

fn specs(port: &Port) -> impl Iterator<Item = PortSpec> {
    (port.range.first()..=port.range.last()).map(|number| {
        let mut spec = PortSpec::new(number);
        spec.visibility = port.visibility;
        spec.protocol = port.protocol;
        spec.name = port.name.clone().unwrap_or_default();
        spec.description = port.description.clone().unwrap_or_default();
        spec
    })
}
