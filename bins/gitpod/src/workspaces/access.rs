//! Who may use a workspace, and for how long.

use std::time::{Duration, SystemTime};

use gitpod_bridge::{InstanceRow, Workspace, WorkspaceRecord, WorkspaceStore};
use gitpod_lifecycle::{GoDuration, ManageError, PortSpec, TimeoutKind};
use gitpod_routing::{
    HostTarget, InstanceId, LocalPath, NewShare, SecretUrl, Share, ShareId, ShareScope, WorkspaceId,
};

use super::{Definition, WorkspaceError, Workspaces, definition};
use crate::cli::{PortVisibility, Wake};

impl Workspaces {
    /// A link that makes whoever opens it first the owner of a workspace in that browser.
    /// It leads to the editor, or to `port`.
    pub(crate) async fn sign_in_link(
        &self,
        id: &WorkspaceId,
        port: Option<u16>,
    ) -> Result<SecretUrl, WorkspaceError> {
        self.check_that_it_opens(id).await?;
        let target = match port {
            None => HostTarget::ide(id.clone()),
            Some(0) => return Err(no_port()),
            Some(port) => HostTarget::port(id.clone(), port),
        };
        let links = &self.shared.links;
        Ok(links.open(&target, &LocalPath::root(), SystemTime::now())?)
    }

    /// A workspace opens that runs, and one that its owner has started by opening it.
    async fn check_that_it_opens(&self, id: &WorkspaceId) -> Result<(), WorkspaceError> {
        let record = self.record(id).await?;
        let wakes = definition::of(&record.workspace).wake != Wake::Never;
        let opens = |row: &InstanceRow| {
            // Its token is what the link hands over.
            !row.is_stopped() || (wakes && row.state.owner_token.is_some())
        };
        match record.latest.as_ref().is_some_and(opens) {
            true => Ok(()),
            false => Err(WorkspaceError::NotRunning(id.to_string())),
        }
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

    /// Opens a port of a workspace to everybody, or to its owner alone, from now on.
    pub(crate) async fn set_port(
        &self,
        id: &WorkspaceId,
        port: u16,
        visibility: PortVisibility,
    ) -> Result<(), WorkspaceError> {
        if port == 0 {
            return Err(no_port());
        }
        let _turn = self.shared.turns.wait(id).await;
        let record = self.record(id).await?;
        let keep = |definition: &mut Definition| {
            definition.ports.insert(port, visibility);
        };
        self.redefine(&record.workspace, keep).await?;
        if let Some(row) = record.latest.filter(|row| !row.is_stopped()) {
            let set = self.set_port_of_run(&row.id, port, visibility).await;
            unless_ended(set)?;
        }
        self.send_workspace(id).await;
        Ok(())
    }

    async fn set_port_of_run(
        &self,
        instance: &InstanceId,
        port: u16,
        visibility: PortVisibility,
    ) -> Result<(), ManageError> {
        let manager = &self.shared.manager;
        let described = manager.describe(instance).await?;
        let mut known = described.record.spec.ports.into_iter();
        let known = known.rfind(|known| known.port == port);
        let mut spec = known.unwrap_or_else(|| PortSpec::new(port));
        spec.visibility = visibility.into();
        manager.expose_port(instance, spec).await
    }

    /// Gives a workspace another limit on how long nobody may use it, from now on.
    pub(crate) async fn set_timeout(
        &self,
        id: &WorkspaceId,
        limit: GoDuration,
    ) -> Result<(), WorkspaceError> {
        let _turn = self.shared.turns.wait(id).await;
        let record = self.record(id).await?;
        self.keep_timeout(&record, limit).await?;
        self.send_workspace(id).await;
        Ok(())
    }

    /// Writes `limit` down with the workspace of `record`, whose turn it is, and gives it to
    /// its run.
    pub(super) async fn keep_timeout(
        &self,
        record: &WorkspaceRecord,
        limit: GoDuration,
    ) -> Result<(), WorkspaceError> {
        let keep = |definition: &mut Definition| definition.timeout = Some(limit.to_string());
        let mut wanted = definition::of(&record.workspace);
        keep(&mut wanted);
        wanted.check()?;
        if let Some(row) = record.latest.as_ref().filter(|row| !row.is_stopped()) {
            let manager = &self.shared.manager;
            let set = manager.set_timeout(&row.id, TimeoutKind::Inactivity, limit);
            match unless_ended(set.await) {
                Err(ManageError::Invalid(why)) => {
                    let why = format!("{why}; fix: write it like 30m or 2h");
                    return Err(WorkspaceError::Invalid(why));
                }
                set => set?,
            }
        }
        self.redefine(&record.workspace, keep).await
    }

    /// Changes what is kept of `workspace`, whose turn it is.
    pub(super) async fn redefine(
        &self,
        workspace: &Workspace,
        change: impl FnOnce(&mut Definition),
    ) -> Result<(), WorkspaceError> {
        let mut definition = definition::of(workspace);
        change(&mut definition);
        let (store, id) = (&self.shared.store, &workspace.id);
        match store.redefine_workspace(id, definition.to_json()).await? {
            true => Ok(()),
            false => Err(WorkspaceError::NotFound(id.to_string())),
        }
    }
}

/// A run that has just ended needs no change: the next one begins with it.
fn unless_ended(done: Result<(), ManageError>) -> Result<(), ManageError> {
    match done {
        Err(ManageError::NotFound(_)) => Ok(()),
        done => done,
    }
}

fn no_port() -> WorkspaceError {
    WorkspaceError::Invalid("0 is no port; fix: name one from 1 to 65535".to_owned())
}
