//! Telling a manager elsewhere who is active.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gitpod_routing::{ActivitySink, InstanceId, WorkspaceInfo};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::body::Body as TonicBody;
use tonic::client::GrpcService;
use tonic::codegen::{Body, Bytes, StdError};
use tonic::{Code, Request};

use super::client::{MarkActiveRequest, WorkspaceManagerClient};

/// An [`ActivitySink`] that calls `MarkActive`, at most once in ten seconds for each
/// instance, however many requests there are.
///
/// A call that fails is logged and not made again: the next request makes the next one.
pub struct RemoteActivity {
    last: Mutex<HashMap<InstanceId, Instant>>,
    reports: mpsc::Sender<InstanceId>,
}

impl fmt::Debug for RemoteActivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteActivity").finish_non_exhaustive()
    }
}

/// Shorter than any timeout somebody would set, longer than a page takes to load.
const INTERVAL: Duration = Duration::from_secs(10);
/// Entries of instances that are long gone are dropped when there are so many.
const TIDY_AT: usize = 1024;
/// How many wait while the manager is slow; more are left to their next request.
const MOST_WAITING: usize = 1024;
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
        let (reports, waiting) = mpsc::channel(MOST_WAITING);
        let sink = Self {
            last: Mutex::default(),
            reports,
        };
        (sink, report_all(client, waiting))
    }
}

async fn report_all<T>(
    mut client: WorkspaceManagerClient<T>,
    mut waiting: mpsc::Receiver<InstanceId>,
) where
    T: GrpcService<TonicBody>,
    T::Error: Into<StdError>,
    T::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as Body>::Error: Into<StdError> + Send,
{
    while let Some(instance) = waiting.recv().await {
        let mut request = Request::new(MarkActiveRequest {
            id: instance.to_string(),
            ..MarkActiveRequest::default()
        });
        request.set_timeout(CALL_TIMEOUT);
        let call = tokio::time::timeout(CALL_TIMEOUT, client.mark_active(request));
        match call.await {
            Ok(Ok(_)) => {}
            Ok(Err(why)) if why.code() == Code::NotFound => {} // it has ended since
            Ok(Err(why)) => tracing::warn!(%instance, %why, "activity is not recorded"),
            Err(_) => tracing::warn!(%instance, "activity is not recorded in time"),
        }
    }
}

impl ActivitySink for RemoteActivity {
    fn active(&self, info: &WorkspaceInfo) {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |reported: &Instant| now.duration_since(*reported) < INTERVAL;
        if last.get(&info.instance).is_some_and(recent) {
            return;
        }
        if last.len() >= TIDY_AT {
            last.retain(|_, reported| recent(reported));
        }
        if self.reports.try_send(info.instance.clone()).is_ok() {
            last.insert(info.instance.clone(), now);
        }
    }
}
