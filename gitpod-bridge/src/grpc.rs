//! Statuses of a manager elsewhere.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, future};
use gitpod_lifecycle::StatusUpdate;
use gitpod_lifecycle::grpc::client::{
    GetWorkspacesRequest, SubscribeRequest, WorkspaceManagerClient, WorkspaceStatus,
};
use tonic::body::Body as TonicBody;
use tonic::client::GrpcService;
use tonic::codegen::{Body, Bytes, StdError};
use tonic::{Response, Status};

use crate::source::{SourceError, StatusSource, StatusStream};

/// A [`StatusSource`] over `wsman.WorkspaceManager`.
///
/// Statuses without spec, metadata or conditions are left out, as in the reference:
/// nothing can be concluded from them. Who reconnects is the
/// [`Bridge`](crate::Bridge); the transport should see by itself that its peer is
/// gone, as with HTTP/2 pings.
#[derive(Clone)]
pub struct GrpcSource<T> {
    client: WorkspaceManagerClient<T>,
}

/// How long a manager may take to answer: what the reference grants.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

impl<T> GrpcSource<T> {
    /// What the manager behind `client` says.
    #[must_use]
    pub fn new(client: WorkspaceManagerClient<T>) -> Self {
        Self { client }
    }
}

impl<T> fmt::Debug for GrpcSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcSource").finish_non_exhaustive()
    }
}

#[async_trait]
impl<T> StatusSource for GrpcSource<T>
where
    T: GrpcService<TonicBody> + Clone + Send + Sync + 'static,
    T::Future: Send,
    T::Error: Into<StdError>,
    T::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as Body>::Error: Into<StdError> + Send,
{
    async fn subscribe(&self) -> Result<StatusStream, SourceError> {
        let mut client = self.client.clone();
        let updates = in_time(client.subscribe(SubscribeRequest::default())).await?;
        let updates = updates.filter_map(|message| {
            let update = match message {
                // A message without status only shows that the manager is there.
                Ok(message) => message.status.and_then(complete).map(Ok),
                Err(why) => Some(Err(SourceError::new(why))),
            };
            future::ready(update)
        });
        Ok(updates.boxed())
    }

    async fn list(&self) -> Result<Vec<StatusUpdate>, SourceError> {
        let mut client = self.client.clone();
        let listed = in_time(client.get_workspaces(GetWorkspacesRequest::default())).await?;
        Ok(listed.status.into_iter().filter_map(complete).collect())
    }
}

async fn in_time<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, SourceError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => Ok(answer.map_err(SourceError::new)?.into_inner()),
        Err(late) => Err(SourceError::new(late)),
    }
}

fn complete(status: WorkspaceStatus) -> Option<StatusUpdate> {
    if status.spec.is_none() || status.metadata.is_none() || status.conditions.is_none() {
        tracing::warn!(
            instance = status.id,
            "status without spec, metadata or conditions is left out"
        );
        return None;
    }
    Some(status.into())
}
