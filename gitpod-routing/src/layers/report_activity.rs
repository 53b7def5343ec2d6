//! Fourth stage: says that a workspace is used.

use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::activity::{ActivitySink, is_use};
use crate::stage::{Permit, Routed};

/// Applies [`ReportActivity`].
#[derive(Clone, Debug)]
pub struct ReportActivityLayer {
    sink: Arc<dyn ActivitySink>,
}

impl ReportActivityLayer {
    /// Tells `sink` of each request.
    #[must_use]
    pub fn new(sink: Arc<dyn ActivitySink>) -> Self {
        Self { sink }
    }
}

impl<S> Layer<S> for ReportActivityLayer {
    type Service = ReportActivity<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ReportActivity {
            inner,
            sink: Arc::clone(&self.sink),
        }
    }
}

/// Tells an [`ActivitySink`] of each request that may go on.
///
/// `Forward` goes on telling it while something open is used: bytes of an upload or of a
/// download of known length, frames of a WebSocket but for pings and pongs, bytes of another
/// protocol. A connection that is silent, or has only heartbeats, is not used, and neither is
/// one that a stream of events goes through.
///
/// Requests that were refused do not count, so nobody keeps a workspace of someone else
/// awake, and neither do those that a browser sends ahead of time, or because a page reloads
/// itself, nor health checks: requests of programs that call themselves so, and those that ask
/// the supervisor how it is. It sits behind authorisation, or it does not compile.
#[derive(Clone, Debug)]
pub struct ReportActivity<S> {
    inner: S,
    sink: Arc<dyn ActivitySink>,
}

impl<S> ReportActivity<S> {
    /// What goes on after the request has begun is reported where it goes on.
    #[cfg(feature = "proxy")]
    fn with_sink<B>(&self, routed: Routed<Permit, B>) -> Routed<Permit, B> {
        let (permit, request) = routed.split();
        Routed::new(permit.reported_to(&self.sink), request)
    }

    #[cfg(not(feature = "proxy"))]
    #[expect(clippy::unused_self, reason = "there is nobody to hand the sink to")]
    fn with_sink<B>(&self, routed: Routed<Permit, B>) -> Routed<Permit, B> {
        routed
    }
}

impl<S, B> Service<Routed<Permit, B>> for ReportActivity<S>
where
    S: Service<Routed<Permit, B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, routed: Routed<Permit, B>) -> Self::Future {
        if !is_use(routed.stage().service(), routed.request()) {
            return self.inner.call(routed);
        }
        self.sink.active(routed.stage().info());
        self.inner.call(self.with_sink(routed))
    }
}
