//! Making and starting workspaces.

use std::str::FromStr;

use gitpod_bridge::{NewInstance, NewWorkspace, WorkspaceStore};
use gitpod_lifecycle::{ContentSource, GitSource, GoDuration, PortSpec, Spec, WorkspaceName};
use gitpod_routing::{InstanceId, WorkspaceId};
use jiff::Timestamp;

use super::definition::{self, Definition};
use super::former::StartedBy;
use super::{CLUSTER, Opening, WorkspaceError, Workspaces, name};
use crate::cli::{PortVisibility, Wake};
use crate::repository;

/// User id of everything on a machine with one user.
const OWNER: &str = "local";

impl Workspaces {
    /// Makes a workspace and starts it.
    pub(crate) async fn create(
        &self,
        definition: Definition,
    ) -> Result<(WorkspaceId, InstanceId), WorkspaceError> {
        self.create_as(None, definition).await
    }

    /// Makes a workspace, unless there is one of that name, and starts it.
    pub(super) async fn create_once(
        &self,
        id: Option<WorkspaceId>,
        definition: Definition,
    ) -> Result<(WorkspaceId, InstanceId), WorkspaceError> {
        if let Some(id) = &id
            && self.record(id).await.is_ok()
        {
            let instance = self.start(id, None, None).await?;
            return Ok((id.clone(), instance));
        }
        self.create_as(id, definition).await
    }

    async fn create_as(
        &self,
        id: Option<WorkspaceId>,
        definition: Definition,
    ) -> Result<(WorkspaceId, InstanceId), WorkspaceError> {
        definition.check()?;
        self.has_room()?; // before there is a row
        let id = match id {
            Some(id) => id,
            None => name::new_id().map_err(|why| WorkspaceError::Invalid(why.to_string()))?,
        };
        let new = NewWorkspace::new(id.clone(), &definition.location)
            .with_owner(OWNER)
            .with_definition(definition.to_json());
        let _turn = self.shared.turns.wait(&id).await;
        self.shared.store.create_workspace(new).await?;
        self.shared.routes.set_policy(&id, definition.wake.into());
        self.shared.roster.send_replace(());
        let instance = self.run(&id, &definition).await?;
        Ok((id, instance))
    }

    /// Starts a stopped workspace again, with its files. One that runs goes on; what is
    /// said of it holds for both.
    pub(crate) async fn start(
        &self,
        id: &WorkspaceId,
        timeout: Option<String>,
        wake: Option<Wake>,
    ) -> Result<InstanceId, WorkspaceError> {
        let _turn = self.shared.turns.wait(id).await;
        let mut record = self.record(id).await?;
        if let Some(wake) = wake {
            self.keep_policy(&record.workspace, wake).await?;
            record = self.record(id).await?;
        }
        if let Some(text) = timeout {
            self.keep_timeout(&record, limit(&text)?).await?;
            record = self.record(id).await?;
        }
        if let Some(row) = record.latest.as_ref().filter(|row| !row.is_stopped()) {
            return Ok(row.id.clone());
        }
        definition::of(&record.workspace).check()?;
        let definition = self.keep_former(&record, StartedBy::Owner).await?;
        self.run(id, &definition).await
    }

    /// Begins a run of a workspace that has none, and whose turn it is.
    pub(super) async fn run(
        &self,
        id: &WorkspaceId,
        definition: &Definition,
    ) -> Result<InstanceId, WorkspaceError> {
        let opening = self.shared.opening.read().await;
        if *opening == Opening::Closed {
            return Err(WorkspaceError::Ending);
        }
        self.has_room()?;
        let instance = InstanceId::from_str(&uuid::Uuid::new_v4().to_string())
            .map_err(|why| WorkspaceError::Invalid(why.to_string()))?;
        let row = NewInstance::new(instance.clone(), id.clone(), CLUSTER);
        self.shared.store.create_instance(row).await?;
        let spec = spec(id, &instance, definition)?;
        if let Err(why) = self.shared.manager.start(spec).await {
            self.mark_stopped(&instance, "it could not be started")
                .await?;
            return Err(why.into());
        }
        Ok(instance)
    }
}

fn spec(
    id: &WorkspaceId,
    instance: &InstanceId,
    definition: &Definition,
) -> Result<Spec, WorkspaceError> {
    let mut source = GitSource::new(&definition.location);
    source.branch.clone_from(&definition.branch);
    source.depth = definition.depth;
    let mut spec = Spec::new(instance.clone(), WorkspaceName::from(id), Timestamp::now());
    OWNER.clone_into(&mut spec.owner);
    spec.content = ContentSource::Git(source);
    spec.timeouts.inactivity = definition.timeout()?;
    // What its content says of them is added once that is there.
    spec.ports = definition.ports.iter().map(port).collect();
    Ok(spec)
}

fn port((number, visibility): (&u16, &PortVisibility)) -> PortSpec {
    let mut port = PortSpec::new(*number);
    port.visibility = (*visibility).into();
    port
}

impl Definition {
    /// Whether a run can be made of it.
    pub(super) fn check(&self) -> Result<(), WorkspaceError> {
        let repository = repository::check(&self.location, self.branch.as_deref());
        repository.map_err(|why| {
            let text = format!("{}; fix: {}", why.what_and_why(), why.remedy());
            WorkspaceError::Invalid(text)
        })?;
        self.timeout().map(drop)
    }

    fn timeout(&self) -> Result<Option<std::time::Duration>, WorkspaceError> {
        let Some(text) = &self.timeout else {
            return Ok(None);
        };
        let positive = limit(text)?.to_std().filter(|duration| !duration.is_zero());
        positive.map(Some).ok_or_else(|| {
            WorkspaceError::Invalid(format!(
                "timeout {text:?} is not longer than zero; fix: write it like 30m"
            ))
        })
    }
}

fn limit(text: &str) -> Result<GoDuration, WorkspaceError> {
    text.parse().map_err(|why| {
        WorkspaceError::Invalid(format!("timeout {text:?}: {why}; fix: write it like 30m"))
    })
}
