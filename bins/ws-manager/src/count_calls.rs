//! Counts gRPC calls under the names that dashboards know.

use std::task::{Context, Poll};

use http::{Request, Response};
use tower::{Layer, Service};

/// Applies [`CountCalls`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct CountCallsLayer;

impl<S> Layer<S> for CountCallsLayer {
    type Service = CountCalls<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CountCalls { inner }
    }
}

/// Counts `grpc_server_started_total` by service and method. Methods that do not exist are one, so that no
/// label holds what a client made up.
#[derive(Clone, Debug)]
pub(crate) struct CountCalls<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for CountCalls<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        let path = request.uri().path();
        let method = path.strip_prefix(SERVICE).unwrap_or_default();
        let method = METHODS.iter().find(|known| **known == method);
        let method = method.copied().unwrap_or("unknown");
        let labels = [
            ("grpc_service", "wsman.WorkspaceManager"),
            ("grpc_method", method),
        ];
        metrics::counter!("grpc_server_started_total", &labels).increment(1);
        self.inner.call(request)
    }
}

const SERVICE: &str = "/wsman.WorkspaceManager/";
const METHODS: [&str; 14] = [
    "GetWorkspaces",
    "StartWorkspace",
    "StopWorkspace",
    "DescribeWorkspace",
    "BackupWorkspace",
    "Subscribe",
    "MarkActive",
    "SetTimeout",
    "ControlPort",
    "TakeSnapshot",
    "ControlAdmission",
    "DeleteVolumeSnapshot",
    "UpdateSSHKey",
    "DescribeCluster",
];
