//! Fourth stage: says that a workspace is used.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Response;
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::access::Access;
use crate::activity::{ActivitySink, is_use, is_use_if_it_lasts};
use crate::info::WorkspaceInfo;
use crate::refusal::Refusal;
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
/// awake; nor do those of others than the owner that nothing in the workspace answers. Neither do those that a browser sends
/// ahead of time, to ask whether a page may ask, or because a page reloads itself – unless what
/// comes takes longer than two seconds: a download – nor health checks: requests of programs that
/// call themselves so, and those that ask the supervisor how it is. It sits behind
/// authorisation, or it does not compile.
#[derive(Clone, Debug)]
pub struct ReportActivity<S> {
    inner: S,
    sink: Arc<dyn ActivitySink>,
}

impl<S> ReportActivity<S> {
    /// What goes on after the request has begun is reported where it goes on.
    #[cfg(feature = "proxy")]
    fn with_sink<B>(&self, routed: Routed<Permit, B>, quiet: Duration) -> Routed<Permit, B> {
        let (permit, request) = routed.split();
        Routed::new(permit.reported_to(&self.sink, quiet), request)
    }

    #[cfg(not(feature = "proxy"))]
    #[expect(clippy::unused_self, reason = "there is nobody to hand the sink to")]
    fn with_sink<B>(&self, routed: Routed<Permit, B>, _quiet: Duration) -> Routed<Permit, B> {
        routed
    }
}

impl<S, B, R> Service<Routed<Permit, B>> for ReportActivity<S>
where
    S: Service<Routed<Permit, B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ReportActivityFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, routed: Routed<Permit, B>) -> Self::Future {
        let (permit, request) = (routed.stage(), routed.request());
        if !is_use(permit.service(), request) {
            let routed = match is_use_if_it_lasts(permit.service(), request) {
                true => self.with_sink(routed, LASTS),
                false => routed,
            };
            return ReportActivityFuture::known(self.inner.call(routed));
        }
        if permit.access() == Access::Owner {
            self.sink.active(permit.info());
            let routed = self.with_sink(routed, Duration::ZERO);
            return ReportActivityFuture::known(self.inner.call(routed));
        }
        let open = (Arc::clone(&self.sink), Arc::clone(permit.info()));
        let routed = self.with_sink(routed, Duration::ZERO);
        ReportActivityFuture {
            answer: self.inner.call(routed),
            open: Some(open),
        }
    }
}

/// Response future of [`ReportActivity`].
#[pin_project]
#[derive(Debug)]
pub struct ReportActivityFuture<F> {
    #[pin]
    answer: F,
    /// Who hears of what, if somebody is there to answer.
    open: Option<(Arc<dyn ActivitySink>, Arc<WorkspaceInfo>)>,
}

impl<F> ReportActivityFuture<F> {
    fn known(answer: F) -> Self {
        Self { answer, open: None }
    }
}

impl<F, R, E> Future for ReportActivityFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(cx));
        if let (Some((sink, info)), Ok(answer)) = (this.open.take(), &answer)
            && answer.extensions().get::<Refusal>().is_none()
        {
            sink.active(&info);
        }
        Poll::Ready(answer)
    }
}

/// How long a page may take that sends itself on. Chosen by us: those that take longer, nobody
/// reloads all the time, and every limit is longer.
const LASTS: Duration = Duration::from_secs(2);
