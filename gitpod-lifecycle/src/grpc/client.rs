//! What callers of the service need.
//!
//! [`over`] makes a client of any transport: tonic's `Channel`, or in one process
//! the [service](super::WorkspaceManagerService) itself.
//!
//! ```
//! use gitpod_lifecycle::StatusUpdate;
//! use gitpod_lifecycle::grpc::{WorkspaceManagerService, client};
//!
//! async fn all(service: WorkspaceManagerService) -> Result<Vec<StatusUpdate>, tonic::Status> {
//!     let mut manager = client::over(service);
//!     let found = manager.get_workspaces(client::GetWorkspacesRequest::default()).await?;
//!     Ok(found.into_inner().status.into_iter().map(StatusUpdate::from).collect())
//! }
//! ```

use tonic::body::Body as TonicBody;
use tonic::client::GrpcService;
use tonic::codegen::{Body, Bytes, StdError};

use super::MAX_MESSAGE;
pub use super::generated::contentservice::{
    CloneTargetMode, CompositeInitializer, EmptyInitializer, FileDownloadInitializer,
    FromBackupInitializer, GitAuthMethod, GitConfig, GitInitializer, GitStatus,
    PrebuildInitializer, SnapshotInitializer, WorkspaceInitializer, file_download_initializer,
    workspace_initializer,
};
pub use super::generated::wsman::workspace_manager_client::WorkspaceManagerClient;
pub use super::generated::wsman::{
    AdmissionLevel, BackupWorkspaceRequest, BackupWorkspaceResponse, ControlAdmissionRequest,
    ControlAdmissionResponse, ControlPortRequest, ControlPortResponse, DeleteVolumeSnapshotRequest,
    DeleteVolumeSnapshotResponse, DescribeClusterRequest, DescribeClusterResponse,
    DescribeWorkspaceRequest, DescribeWorkspaceResponse, EnvironmentVariable, ExposedPorts,
    GetWorkspacesRequest, GetWorkspacesResponse, GitSpec, IdeImage, InitializerMetric,
    InitializerMetrics, MarkActiveRequest, MarkActiveResponse, MetadataFilter, PortProtocol,
    PortSpec, PortVisibility, SetTimeoutRequest, SetTimeoutResponse, SshPublicKeys,
    StartWorkspaceRequest, StartWorkspaceResponse, StartWorkspaceSpec, StopWorkspacePolicy,
    StopWorkspaceRequest, StopWorkspaceResponse, SubscribeRequest, SubscribeResponse,
    TakeSnapshotRequest, TakeSnapshotResponse, TimeoutType, UpdateSshKeyRequest,
    UpdateSshKeyResponse, VolumeSnapshotInfo, WorkspaceAuthentication, WorkspaceClass,
    WorkspaceConditionBool, WorkspaceConditions, WorkspaceFeatureFlag, WorkspaceMetadata,
    WorkspacePhase, WorkspaceRuntimeInfo, WorkspaceSpec, WorkspaceStatus, WorkspaceType,
    environment_variable, workspace_metadata,
};

/// A client over `transport` that takes and sends messages up to [`MAX_MESSAGE`].
pub fn over<T>(transport: T) -> WorkspaceManagerClient<T>
where
    T: GrpcService<TonicBody>,
    T::Error: Into<StdError>,
    T::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as Body>::Error: Into<StdError> + Send,
{
    WorkspaceManagerClient::new(transport)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE)
}
