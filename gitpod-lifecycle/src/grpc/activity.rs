//! Telling a manager elsewhere who is active.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gitpod_routing::{ActivitySink, InstanceId, WorkspaceInfo};
use tokio::sync::Mutex;
use tonic::body::Body as TonicBody;
use tonic::client::GrpcService;
use tonic::codegen::{Body, Bytes, StdError};
use tonic::{Code, Request, Status};

use super::client::{MarkActiveRequest, WorkspaceManagerClient};
use crate::reports::{Lost, Reports};

/// An [`ActivitySink`] that calls `MarkActive`: at the first use of an instance, and then once
/// for each five seconds in which it was used, however many requests there are.
///
/// A call that fails is made again, after one second at first and ten at most, for five
/// minutes; whoever is used for longer than that makes calls of its own. How long the oldest
/// use has waited is told by the gauge `gitpod_activity_unreported_seconds`: what the manager
/// knows of who is active may be that old.
pub struct RemoteActivity(Arc<Reports>);

impl fmt::Debug for RemoteActivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteActivity").finish_non_exhaustive()
    }
}

/// Shorter than any timeout somebody would set, longer than a page takes to load.
const INTERVAL: Duration = Duration::from_secs(5);
/// **Source:** the reference.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

impl RemoteActivity {
    /// The sink, and what makes its calls through `client`: to be polled for as long as
    /// anybody reports.
    pub fn new<T>(client: WorkspaceManagerClient<T>) -> (Self, impl Future<Output = ()>)
    where
        T: GrpcService<TonicBody>,
        T::Error: Into<StdError>,
        T::ResponseBody: Body<Data = Bytes> + Send + 'static,
        <T::ResponseBody as Body>::Error: Into<StdError> + Send,
    {
        let reports = Arc::<Reports>::default();
        let sink = Self(Arc::clone(&reports));
        let client = Mutex::new(client); // one call at a time
        let deliver = async move {
            let tell = |instance| mark_active(&client, instance);
            reports.deliver(INTERVAL, tell).await;
        };
        (sink, deliver)
    }
}

async fn mark_active<T>(
    client: &Mutex<WorkspaceManagerClient<T>>,
    instance: InstanceId,
) -> Result<(), Lost<Status>>
where
    T: GrpcService<TonicBody>,
    T::Error: Into<StdError>,
    T::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as Body>::Error: Into<StdError> + Send,
{
    let mut request = Request::new(MarkActiveRequest {
        id: instance.to_string(),
        ..MarkActiveRequest::default()
    });
    request.set_timeout(CALL_TIMEOUT);
    let mut client = client.lock().await;
    let call = tokio::time::timeout(CALL_TIMEOUT, client.mark_active(request));
    match call.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(why)) if why.code() == Code::NotFound => Ok(()), // it has ended since
        Ok(Err(why)) if why.code() == Code::Unavailable => Err(Lost::All(why)),
        Ok(Err(why)) => Err(Lost::This(why)),
        Err(_) => Err(Lost::All(Status::deadline_exceeded("no answer in time"))),
    }
}

impl ActivitySink for RemoteActivity {
    fn active(&self, info: &WorkspaceInfo) {
        self.0.note(&info.instance);
    }
}
