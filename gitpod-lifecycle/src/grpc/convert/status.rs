//! A status as it is on the wire, and back.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::grpc::generated::wsman::{self, workspace_metadata};
use crate::status::update::{
    StatusUpdate, UpdateAuth, UpdateConditions, UpdateImageInfo, UpdateMetadata, UpdatePort,
    UpdateRuntime, UpdateSpec, UpdateVolumeSnapshot,
};
use crate::token::Token;

impl From<StatusUpdate> for wsman::WorkspaceStatus {
    fn from(update: StatusUpdate) -> Self {
        Self {
            id: update.id,
            metadata: Some(update.metadata.into()),
            spec: Some(update.spec.into()),
            phase: update.phase.into(),
            conditions: Some(update.conditions.into()),
            message: update.message,
            repo: update.repo.map(Into::into),
            runtime: update.runtime.map(Into::into),
            auth: Some(update.auth.into()),
            status_version: update.status_version,
            initializer_metrics: update.initializer_metrics.map(Into::into),
        }
    }
}

/// What is absent on the wire counts as empty, and times that are none as absent.
impl From<wsman::WorkspaceStatus> for StatusUpdate {
    fn from(status: wsman::WorkspaceStatus) -> Self {
        Self {
            id: status.id,
            metadata: status.metadata.unwrap_or_default().into(),
            spec: status.spec.unwrap_or_default().into(),
            phase: status.phase.into(),
            conditions: status.conditions.unwrap_or_default().into(),
            message: status.message,
            repo: status.repo.map(Into::into),
            runtime: status.runtime.map(Into::into),
            auth: status.auth.unwrap_or_default().into(),
            status_version: status.status_version,
            initializer_metrics: status.initializer_metrics.map(Into::into),
        }
    }
}

impl From<UpdateMetadata> for wsman::WorkspaceMetadata {
    fn from(metadata: UpdateMetadata) -> Self {
        let image = metadata.image.map(|image| workspace_metadata::ImageInfo {
            total_size: image.total_size,
            workspace_image_size: image.workspace_image_size,
        });
        Self {
            owner: metadata.owner,
            meta_id: metadata.meta_id,
            started_at: metadata.started_at.map(wire_time),
            annotations: metadata.annotations.into_iter().collect(),
            team: metadata.team,
            project: metadata.project,
            metrics: image.map(|image| workspace_metadata::Metrics { image: Some(image) }),
        }
    }
}

impl From<wsman::WorkspaceMetadata> for UpdateMetadata {
    fn from(metadata: wsman::WorkspaceMetadata) -> Self {
        let image = metadata.metrics.and_then(|metrics| metrics.image);
        Self {
            owner: metadata.owner,
            meta_id: metadata.meta_id,
            started_at: metadata.started_at.and_then(own_time),
            annotations: BTreeMap::from_iter(metadata.annotations),
            team: metadata.team,
            project: metadata.project,
            image: image
                .map(|image| UpdateImageInfo::new(image.total_size, image.workspace_image_size)),
        }
    }
}

impl From<UpdateSpec> for wsman::WorkspaceSpec {
    fn from(spec: UpdateSpec) -> Self {
        Self {
            workspace_image: spec.workspace_image,
            headless: spec.headless,
            url: spec.url,
            exposed_ports: spec.exposed_ports.into_iter().map(Into::into).collect(),
            r#type: spec.kind.into(),
            timeout: spec.timeout,
            ide_image: Some(wsman::IdeImage {
                web_ref: spec.ide_web_image,
                supervisor_ref: spec.supervisor_image,
            }),
            class: spec.class,
            ide_image_layers: spec.ide_image_layers,
            closed_timeout: spec.closed_timeout,
        }
    }
}

impl From<wsman::WorkspaceSpec> for UpdateSpec {
    fn from(spec: wsman::WorkspaceSpec) -> Self {
        let ide = spec.ide_image.unwrap_or_default();
        Self {
            workspace_image: spec.workspace_image,
            headless: spec.headless,
            url: spec.url,
            exposed_ports: spec.exposed_ports.into_iter().map(Into::into).collect(),
            kind: spec.r#type.into(),
            timeout: spec.timeout,
            ide_web_image: ide.web_ref,
            supervisor_image: ide.supervisor_ref,
            class: spec.class,
            ide_image_layers: spec.ide_image_layers,
            closed_timeout: spec.closed_timeout,
        }
    }
}

impl From<UpdatePort> for wsman::PortSpec {
    fn from(port: UpdatePort) -> Self {
        Self {
            port: port.port,
            visibility: port.visibility.into(),
            url: port.url,
            protocol: port.protocol.into(),
        }
    }
}

impl From<wsman::PortSpec> for UpdatePort {
    fn from(port: wsman::PortSpec) -> Self {
        Self {
            port: port.port,
            visibility: port.visibility.into(),
            url: port.url,
            protocol: port.protocol.into(),
        }
    }
}

impl From<UpdateConditions> for wsman::WorkspaceConditions {
    fn from(conditions: UpdateConditions) -> Self {
        let volume = |snapshot: UpdateVolumeSnapshot| wsman::VolumeSnapshotInfo {
            volume_snapshot_name: snapshot.volume_snapshot_name,
            volume_snapshot_handle: snapshot.volume_snapshot_handle,
        };
        Self {
            failed: conditions.failed,
            timeout: conditions.timeout,
            pulling_images: conditions.pulling_images.into(),
            snapshot: conditions.snapshot,
            final_backup_complete: conditions.final_backup_complete.into(),
            deployed: conditions.deployed.into(),
            network_not_ready: conditions.network_not_ready.into(),
            first_user_activity: conditions.first_user_activity.map(wire_time),
            headless_task_failed: conditions.headless_task_failed,
            stopped_by_request: conditions.stopped_by_request.into(),
            volume_snapshot: conditions.volume_snapshot.map(volume),
            aborted: conditions.aborted.into(),
        }
    }
}

impl From<wsman::WorkspaceConditions> for UpdateConditions {
    fn from(conditions: wsman::WorkspaceConditions) -> Self {
        let volume = |snapshot: wsman::VolumeSnapshotInfo| UpdateVolumeSnapshot {
            volume_snapshot_name: snapshot.volume_snapshot_name,
            volume_snapshot_handle: snapshot.volume_snapshot_handle,
        };
        Self {
            failed: conditions.failed,
            timeout: conditions.timeout,
            pulling_images: conditions.pulling_images.into(),
            snapshot: conditions.snapshot,
            final_backup_complete: conditions.final_backup_complete.into(),
            deployed: conditions.deployed.into(),
            network_not_ready: conditions.network_not_ready.into(),
            first_user_activity: conditions.first_user_activity.and_then(own_time),
            headless_task_failed: conditions.headless_task_failed,
            stopped_by_request: conditions.stopped_by_request.into(),
            volume_snapshot: conditions.volume_snapshot.map(volume),
            aborted: conditions.aborted.into(),
        }
    }
}

impl From<UpdateRuntime> for wsman::WorkspaceRuntimeInfo {
    fn from(runtime: UpdateRuntime) -> Self {
        Self {
            node_name: runtime.node_name,
            pod_name: runtime.pod_name,
            node_ip: runtime.node_ip,
        }
    }
}

impl From<wsman::WorkspaceRuntimeInfo> for UpdateRuntime {
    fn from(runtime: wsman::WorkspaceRuntimeInfo) -> Self {
        Self::new(runtime.node_name, runtime.pod_name, runtime.node_ip)
    }
}

impl From<UpdateAuth> for wsman::WorkspaceAuthentication {
    fn from(auth: UpdateAuth) -> Self {
        let token = auth.owner_token.as_ref().map(Token::expose);
        Self {
            admission: auth.admission.into(),
            owner_token: token.unwrap_or_default().to_owned(),
        }
    }
}

impl From<wsman::WorkspaceAuthentication> for UpdateAuth {
    fn from(auth: wsman::WorkspaceAuthentication) -> Self {
        let token = Some(auth.owner_token).filter(|token| !token.is_empty());
        Self {
            admission: auth.admission.into(),
            owner_token: token.map(Token::from),
        }
    }
}

fn wire_time(time: Timestamp) -> prost_types::Timestamp {
    let mut wire = prost_types::Timestamp {
        seconds: time.as_second(),
        nanos: time.subsec_nanosecond(),
    };
    wire.normalize(); // nanoseconds count forwards, also before 1970
    wire
}

/// `None` if it is outside of what calendars hold.
fn own_time(time: prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(time.seconds, time.nanos).ok()
}
