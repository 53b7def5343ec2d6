//! One method per call.

use std::sync::Arc;

use gitpod_routing::{Admission, InstanceId};
use jiff::fmt::temporal::DateTimePrinter;
use tonic::{Request, Response, Status, async_trait};

use super::convert::{filter_of, is_label, port_number, port_of, spec_of};
use super::error::{Invalid, unknown};
use super::generated::wsman::workspace_manager_server::WorkspaceManager;
use super::generated::wsman::{self as wire, AdmissionLevel, StopWorkspacePolicy, TimeoutType};
use super::policy::{Policy, ResourceClass};
use super::updates::{Updates, updates};
use crate::condition::ConditionType;
use crate::duration::GoDuration;
use crate::facts::Maintenance;
use crate::phase::Phase;
use crate::reconcile::{Activity, Description, ManageError, Manager, StopPolicy, TimeoutKind};
use crate::status::Status as Recorded;

/// Answers calls.
#[derive(Clone, Debug)]
pub(super) struct Handler {
    manager: Manager,
    policy: Arc<Policy>,
}

type Answer<T> = Result<Response<T>, Status>;

impl Handler {
    pub(super) fn new(manager: Manager, policy: Arc<Policy>) -> Self {
        Self { manager, policy }
    }

    pub(super) fn with_policy(self, policy: Arc<Policy>) -> Self {
        Self { policy, ..self }
    }

    /// Comes before any other check: clients compare the text.
    fn refuse_in_maintenance(&self) -> Result<(), Status> {
        match self.manager.maintenance() {
            Maintenance::On => Err(ManageError::UnderMaintenance.into()),
            Maintenance::Off => Ok(()),
        }
    }

    async fn describe(&self, id: &str) -> Result<Description, Status> {
        let instance = instance(id)?;
        Ok(self.manager.describe(&instance).await?)
    }
}

/// A name that no instance can have is that of one that does not exist.
fn instance(id: &str) -> Result<InstanceId, Status> {
    id.parse().map_err(|_| unknown(id))
}

#[async_trait]
impl WorkspaceManager for Handler {
    async fn get_workspaces(
        &self,
        request: Request<wire::GetWorkspacesRequest>,
    ) -> Answer<wire::GetWorkspacesResponse> {
        let filter = filter_of(request.into_inner().must_match);
        for name in [&filter.owner, &filter.meta_id] {
            if !is_label(name) {
                let text = format!("{name:?} is no name of an owner or workspace");
                return Err(Status::failed_precondition(text));
            }
        }
        let all = self.manager.list().await?;
        let updates = all.into_iter().map(|description| description.update);
        let wanted = updates.filter(|update| filter.matches(&update.metadata));
        Ok(Response::new(wire::GetWorkspacesResponse {
            status: wanted.map(Into::into).collect(),
        }))
    }

    async fn start_workspace(
        &self,
        request: Request<wire::StartWorkspaceRequest>,
    ) -> Answer<wire::StartWorkspaceResponse> {
        self.refuse_in_maintenance()?;
        let spec = spec_of(request.into_inner(), &self.policy)?;
        if self.manager.describe(&spec.instance).await.is_ok() {
            // The manager would answer as before; clients of this service rely on the error.
            let text = format!("instance {} exists", spec.instance);
            return Err(Status::already_exists(text));
        }
        let access = self.manager.start(spec).await?;
        Ok(Response::new(wire::StartWorkspaceResponse {
            url: access.url,
            owner_token: access.owner_token.expose().to_owned(),
        }))
    }

    async fn stop_workspace(
        &self,
        request: Request<wire::StopWorkspaceRequest>,
    ) -> Answer<wire::StopWorkspaceResponse> {
        self.refuse_in_maintenance()?;
        let request = request.into_inner();
        let policy = match StopWorkspacePolicy::try_from(request.policy) {
            Ok(StopWorkspacePolicy::Immediately) => StopPolicy::Immediately,
            Ok(StopWorkspacePolicy::Abort) => StopPolicy::Abort,
            Ok(StopWorkspacePolicy::Normally) | Err(_) => StopPolicy::Normally,
        };
        let done = Ok(Response::new(wire::StopWorkspaceResponse {}));
        let Ok(instance) = instance(&request.id) else {
            return done;
        };
        match self.manager.stop(&instance, policy).await {
            Ok(()) | Err(ManageError::NotFound(_)) => done,
            Err(why) => Err(why.into()),
        }
    }

    async fn describe_workspace(
        &self,
        request: Request<wire::DescribeWorkspaceRequest>,
    ) -> Answer<wire::DescribeWorkspaceResponse> {
        let found = self.describe(&request.into_inner().id).await?;
        Ok(Response::new(wire::DescribeWorkspaceResponse {
            last_activity: last_activity(&found.record.status),
            status: Some(found.update.into()),
        }))
    }

    async fn backup_workspace(
        &self,
        _: Request<wire::BackupWorkspaceRequest>,
    ) -> Answer<wire::BackupWorkspaceResponse> {
        Err(Status::unimplemented(
            "content is put away when an instance stops, not on request",
        ))
    }

    type SubscribeStream = Updates;

    async fn subscribe(&self, request: Request<wire::SubscribeRequest>) -> Answer<Updates> {
        let filter = filter_of(request.into_inner().must_match);
        Ok(Response::new(updates(self.manager.subscribe(), filter)))
    }

    async fn mark_active(
        &self,
        request: Request<wire::MarkActiveRequest>,
    ) -> Answer<wire::MarkActiveResponse> {
        let request = request.into_inner();
        let done = Ok(Response::new(wire::MarkActiveResponse {}));
        let activity = match (request.closed, request.ignore_if_active) {
            (true, true) => {
                let status = self.describe(&request.id).await?.record.status;
                if status.conditions.has(&ConditionType::FirstUserActivity) {
                    return done;
                }
                Activity::Closed
            }
            (true, false) => Activity::Closed,
            (false, true) => Activity::FirstUse,
            (false, false) => Activity::Used,
        };
        let instance = instance(&request.id)?;
        self.manager.mark_active(&instance, activity).await?;
        done
    }

    async fn set_timeout(
        &self,
        request: Request<wire::SetTimeoutRequest>,
    ) -> Answer<wire::SetTimeoutResponse> {
        let request = request.into_inner();
        let limit: GoDuration = request
            .duration
            .parse()
            .map_err(|why| Invalid::new("duration", format!("{why}")))?;
        let kind = match TimeoutType::try_from(request.r#type) {
            Ok(TimeoutType::WorkspaceTimeout) => TimeoutKind::Inactivity,
            Ok(TimeoutType::ClosedTimeout) => TimeoutKind::AfterClosed,
            Err(_) => {
                let why = format!("{} is no type of timeout", request.r#type);
                return Err(Invalid::new("type", why).into());
            }
        };
        let instance = instance(&request.id)?;
        self.manager.set_timeout(&instance, kind, limit).await?;
        Ok(Response::new(wire::SetTimeoutResponse {}))
    }

    async fn control_port(
        &self,
        request: Request<wire::ControlPortRequest>,
    ) -> Answer<wire::ControlPortResponse> {
        let request = request.into_inner();
        let spec = request.spec.ok_or(Invalid::missing("spec"))?;
        let number = port_number("spec.port", spec.port)?;
        let instance = instance(&request.id)?;
        let done = match request.expose {
            true => {
                let port = port_of(number, &spec);
                self.manager.expose_port(&instance, port).await
            }
            false => self.manager.hide_port(&instance, number).await,
        };
        done?;
        Ok(Response::new(wire::ControlPortResponse {}))
    }

    async fn take_snapshot(
        &self,
        request: Request<wire::TakeSnapshotRequest>,
    ) -> Answer<wire::TakeSnapshotResponse> {
        self.refuse_in_maintenance()?;
        let request = request.into_inner();
        let found = self.describe(&request.id).await?;
        if found.record.status.phase != Phase::Running {
            let text = format!("instance {} does not run", request.id);
            return Err(Status::failed_precondition(text));
        }
        Err(Status::unimplemented("snapshots are not supported here"))
    }

    async fn control_admission(
        &self,
        request: Request<wire::ControlAdmissionRequest>,
    ) -> Answer<wire::ControlAdmissionResponse> {
        let request = request.into_inner();
        let found = self.describe(&request.id).await?;
        let admission = match AdmissionLevel::try_from(request.level) {
            Ok(AdmissionLevel::AdmitOwnerOnly) => Admission::Owner,
            Ok(AdmissionLevel::AdmitEveryone) => Admission::Everyone,
            Err(_) => {
                let why = format!("{} is no level", request.level);
                return Err(Invalid::new("level", why).into());
            }
        };
        let instance = &found.record.spec.instance;
        self.manager.set_admission(instance, admission).await?;
        Ok(Response::new(wire::ControlAdmissionResponse {}))
    }

    async fn delete_volume_snapshot(
        &self,
        _: Request<wire::DeleteVolumeSnapshotRequest>,
    ) -> Answer<wire::DeleteVolumeSnapshotResponse> {
        Err(Status::unimplemented("there are no snapshots of volumes"))
    }

    async fn update_ssh_key(
        &self,
        request: Request<wire::UpdateSshKeyRequest>,
    ) -> Answer<wire::UpdateSshKeyResponse> {
        let request = request.into_inner();
        if request.id.is_empty() {
            return Err(Invalid::missing("id").into());
        }
        let instance = instance(&request.id)?;
        self.manager.set_ssh_keys(&instance, request.keys).await?;
        Ok(Response::new(wire::UpdateSshKeyResponse {}))
    }

    async fn describe_cluster(
        &self,
        _: Request<wire::DescribeClusterRequest>,
    ) -> Answer<wire::DescribeClusterResponse> {
        let mut classes = self.policy.classes.clone();
        classes.sort_by(|a, b| a.id.cmp(&b.id));
        let wire_class = |class: ResourceClass| wire::WorkspaceClass {
            id: class.id,
            display_name: class.display_name,
            description: class.description,
            credits_per_minute: class.credits_per_minute,
        };
        Ok(Response::new(wire::DescribeClusterResponse {
            workspace_classes: classes.into_iter().map(wire_class).collect(),
            preferred_workspace_class: self.policy.preferred_class.clone(),
        }))
    }
}

/// UTC, in whole seconds; empty if nobody ever used it.
fn last_activity(status: &Recorded) -> String {
    let seconds = DateTimePrinter::new().precision(Some(0));
    let text = |time| seconds.timestamp_to_string(&time);
    status.last_activity.map(text).unwrap_or_default()
}
