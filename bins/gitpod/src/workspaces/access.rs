//! Who may use a workspace, and for how long.

use std::time::{Duration, SystemTime};

use gitpod_lifecycle::{GoDuration, ManageError, PortSpec, TimeoutKind};
use gitpod_routing::{
    HostTarget, InstanceId, LocalPath, NewShare, SecretUrl, Share, ShareId, ShareScope, Visibility,
    WorkspaceId,
};

use super::{WorkspaceError, Workspaces};

impl Workspaces {
    /// A link that makes whoever opens it first the owner of a workspace in that browser.
    /// It leads to the editor, or to `port`.
    pub(crate) async fn sign_in_link(
        &self,
        id: &WorkspaceId,
        port: Option<u16>,
    ) -> Result<SecretUrl, WorkspaceError> {
        self.live(id).await?;
        let target = match port {
            None => HostTarget::ide(id.clone()),
            Some(0) => return Err(no_port()),
            Some(port) => HostTarget::port(id.clone(), port),
        };
        let links = &self.shared.links;
        Ok(links.open(&target, &LocalPath::root(), SystemTime::now())?)
    }

    /// Lets everybody with the link in for `lifetime`: to `port`, or to all of it.
    pub(crate) async fn share(
        &self,
        id: &WorkspaceId,
        port: Option<u16>,
        lifetime: Duration,
    ) -> Result<(Share, SecretUrl), WorkspaceError> {
        self.record(id).await?;
        let scope = match port {
            None => ShareScope::Workspace,
            Some(0) => return Err(no_port()),
            Some(port) => ShareScope::Port(port),
        };
        let wish = NewShare::new(id.clone(), lifetime).of(scope);
        Ok(self.shared.links.share(wish, SystemTime::now()).await?)
    }

    /// What of a workspace is shared, and the links to it.
    pub(crate) async fn shares(
        &self,
        id: &WorkspaceId,
    ) -> Result<Vec<(Share, SecretUrl)>, WorkspaceError> {
        self.record(id).await?;
        let links = &self.shared.links;
        let shares = links.shares(id, SystemTime::now()).await?;
        let with_url = shares.into_iter().map(|share| {
            let url = links.share_url(&share);
            (share, url)
        });
        Ok(with_url.collect())
    }

    /// Ends one share of a workspace, or all, and with them what their visitors have
    /// open. Tells how many.
    pub(crate) async fn unshare(
        &self,
        id: &WorkspaceId,
        share: Option<ShareId>,
    ) -> Result<usize, WorkspaceError> {
        self.record(id).await?;
        let links = &self.shared.links;
        let Some(share) = share else {
            return Ok(links.revoke_all(id).await?);
        };
        match links.revoke(id, share).await? {
            true => Ok(1),
            false => Err(WorkspaceError::Invalid(format!(
                "workspace {id} has no share {share}; fix: `gitpod share {id} --list` shows those it has"
            ))),
        }
    }

    /// Opens a port of the present run to everybody, or to its owner alone.
    pub(crate) async fn set_port(
        &self,
        id: &WorkspaceId,
        port: u16,
        visibility: Visibility,
    ) -> Result<(), WorkspaceError> {
        if port == 0 {
            return Err(no_port());
        }
        let instance = self.live(id).await?;
        let manager = &self.shared.manager;
        let described = manager.describe(&instance).await?;
        let mut known = described.record.spec.ports.into_iter();
        let known = known.rfind(|known| known.port == port);
        let mut spec = known.unwrap_or_else(|| PortSpec::new(port));
        spec.visibility = visibility;
        Ok(manager.expose_port(&instance, spec).await?)
    }

    /// Gives the present run another limit on how long nobody may use it.
    pub(crate) async fn set_timeout(
        &self,
        id: &WorkspaceId,
        limit: GoDuration,
    ) -> Result<(), WorkspaceError> {
        let instance = self.live(id).await?;
        let set = self
            .shared
            .manager
            .set_timeout(&instance, TimeoutKind::Inactivity, limit);
        match set.await {
            Err(ManageError::Invalid(why)) => Err(WorkspaceError::Invalid(format!(
                "{why}; fix: write it like 30m or 2h"
            ))),
            done => Ok(done?),
        }
    }

    /// The run of a workspace that goes on.
    async fn live(&self, id: &WorkspaceId) -> Result<InstanceId, WorkspaceError> {
        let row = self
            .record(id)
            .await?
            .latest
            .filter(|row| !row.is_stopped());
        row.map(|row| row.id)
            .ok_or_else(|| WorkspaceError::NotRunning(id.to_string()))
    }
}

fn no_port() -> WorkspaceError {
    WorkspaceError::Invalid("0 is no port; fix: name one from 1 to 65535".to_owned())
}
