//! From the record of an instance to what subscribers are told, and whom.

use std::collections::BTreeMap;

use gitpod_routing::{Admission, Protocol, Visibility};

use super::Status;
use super::update::{
    StatusUpdate, UpdateAdmission, UpdateAuth, UpdateConditions, UpdateImageInfo, UpdateKind,
    UpdateMetadata, UpdatePhase, UpdatePort, UpdateProtocol, UpdateRuntime, UpdateSpec,
    UpdateVisibility,
};
use crate::condition::ConditionType;
use crate::duration::GoDuration;
use crate::phase::Phase;
use crate::settings::Settings;
use crate::spec::{PortSpec, Spec, WorkspaceKind};

impl StatusUpdate {
    /// What subscribers are told of an instance, as of change `version`.
    ///
    /// **Source:** manager specification, section 3.15. Fields that the reference
    /// system never sets are empty here too.
    #[must_use]
    pub fn of(spec: &Spec, status: &Status, version: u64, settings: &Settings) -> Self {
        let mut update = Self::new(spec.instance.as_str(), status.phase.into());
        update.metadata = metadata_of(spec, status);
        update.spec = spec_of(spec, status, settings);
        update.conditions = conditions_of(status);
        update.repo.clone_from(&status.git);
        update.runtime = runtime_of(status);
        update.auth = UpdateAuth {
            admission: admission_of(spec.admission),
            owner_token: status.owner_token.clone(),
        };
        update.status_version = version;
        update.initializer_metrics = status.initializer_metrics;
        update
    }
}

/// Whether subscribers are told of a change from `before` to `after`.
///
/// Told of are changes of the ports and of the status, except that somebody used
/// it. Nobody is told while another runner is sought for a refused one. Under
/// [`Rules::Improved`](crate::Rules::Improved) every change counts that shows in
/// the [`StatusUpdate`] (Q21).
///
/// **Source:** manager specification, section 12, *Publishing*.
#[must_use]
pub fn is_told(before: (&Spec, &Status), after: (&Spec, &Status), settings: &Settings) -> bool {
    if after.1.conditions.is_true(&ConditionType::PodRejected) {
        return false;
    }
    let without_activity = |status: &Status| Status {
        last_activity: None,
        ..status.clone()
    };
    let shown = |(spec, status)| StatusUpdate::of(spec, status, 0, settings);
    before.0.ports != after.0.ports
        || without_activity(before.1) != without_activity(after.1)
        || (settings.rules.are_improved() && shown(before) != shown(after))
}

fn metadata_of(spec: &Spec, status: &Status) -> UpdateMetadata {
    let mut metadata = UpdateMetadata::default();
    metadata.owner.clone_from(&spec.owner);
    metadata.meta_id = spec.workspace.as_str().to_owned();
    metadata.started_at = Some(spec.created_at);
    metadata.annotations.clone_from(&spec.annotations);
    let sizes =
        |info: &super::ImageInfo| UpdateImageInfo::new(info.total_size, info.workspace_image_size);
    metadata.image = status.image_info.as_ref().map(sizes);
    metadata
}

fn spec_of(spec: &Spec, status: &Status, settings: &Settings) -> UpdateSpec {
    let text = |own: Option<_>, general| GoDuration::from(own.unwrap_or(general)).to_string();
    UpdateSpec {
        workspace_image: spec.image.workspace.clone(),
        headless: spec.is_headless(),
        url: status.url.clone(),
        exposed_ports: spec
            .ports
            .iter()
            .map(|port| port_of(spec, port, settings))
            .collect(),
        kind: kind_of(spec.kind),
        timeout: text(spec.timeouts.inactivity, settings.timeouts.inactivity),
        ide_web_image: spec.image.ide_web.clone(),
        supervisor_image: spec.image.supervisor.clone(),
        class: spec.class.clone(),
        ide_image_layers: spec.image.ide_layers.clone(),
        closed_timeout: text(spec.timeouts.closed, settings.timeouts.after_closed),
    }
}

fn port_of(spec: &Spec, port: &PortSpec, settings: &Settings) -> UpdatePort {
    let (instance, workspace) = (spec.instance.as_str(), spec.workspace.as_str());
    let url =
        settings
            .port_url_template
            .of_port(instance, workspace, &settings.host_url, port.port);
    let mut update = UpdatePort::new(port.port.into(), url);
    if port.visibility == Visibility::Public {
        update.visibility = UpdateVisibility::Public;
    }
    if port.protocol == Protocol::Https {
        update.protocol = UpdateProtocol::Https;
    }
    update
}

fn conditions_of(status: &Status) -> UpdateConditions {
    let conditions = &status.conditions;
    let message = |kind| {
        conditions
            .message_if_true(&kind)
            .unwrap_or_default()
            .to_owned()
    };
    let holds = |kind| conditions.is_true(&kind).into();
    let first_use = conditions.find(&ConditionType::FirstUserActivity);
    UpdateConditions {
        failed: message(ConditionType::Failed),
        timeout: message(ConditionType::Timeout),
        snapshot: status.snapshot.clone().unwrap_or_default(),
        final_backup_complete: holds(ConditionType::BackupComplete),
        deployed: holds(ConditionType::Deployed),
        first_user_activity: first_use.map(|condition| condition.last_transition_time),
        headless_task_failed: message(ConditionType::HeadlessTaskFailed),
        stopped_by_request: holds(ConditionType::StoppedByRequest),
        aborted: holds(ConditionType::Aborted),
        ..UpdateConditions::default()
    }
}

/// Absent until there is a runner.
fn runtime_of(status: &Status) -> Option<UpdateRuntime> {
    let runner = &status.runner;
    let host = runner.host_address.map(|address| address.to_string());
    let known = !runner.name.is_empty() || !runner.node.is_empty() || runner.address.is_some();
    (known || host.is_some())
        .then(|| UpdateRuntime::new(&*runner.node, &*runner.name, host.unwrap_or_default()))
}

fn kind_of(kind: WorkspaceKind) -> UpdateKind {
    match kind {
        WorkspaceKind::Regular => UpdateKind::Regular,
        WorkspaceKind::Prebuild => UpdateKind::Prebuild,
        WorkspaceKind::ImageBuild => UpdateKind::ImageBuild,
    }
}

fn admission_of(admission: Admission) -> UpdateAdmission {
    match admission {
        Admission::Everyone => UpdateAdmission::Everyone,
        _ => UpdateAdmission::OwnerOnly,
    }
}

impl From<Phase> for UpdatePhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Unset | Phase::Unknown => Self::Unknown,
            Phase::Pending | Phase::ImageBuild => Self::Pending,
            Phase::Creating => Self::Creating,
            Phase::Initializing => Self::Initializing,
            Phase::Running => Self::Running,
            Phase::Stopping => Self::Stopping,
            Phase::Stopped => Self::Stopped,
        }
    }
}

/// Which instances a subscriber wants to hear of. Empty fields match all.
///
/// **Source:** `wsman.MetadataFilter`; manager specification, section 3.2.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct MetadataFilter {
    /// Its owner.
    pub owner: String,
    /// Name of its workspace.
    pub meta_id: String,
    /// Annotations that must be there with this value.
    pub annotations: BTreeMap<String, String>,
}

impl MetadataFilter {
    /// Whether `metadata` is wanted.
    #[must_use]
    pub fn matches(&self, metadata: &UpdateMetadata) -> bool {
        let fits = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        fits(&self.owner, &metadata.owner)
            && fits(&self.meta_id, &metadata.meta_id)
            && self
                .annotations
                .iter()
                .all(|(key, value)| metadata.annotations.get(key) == Some(value))
    }
}
