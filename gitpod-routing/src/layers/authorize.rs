//! Third stage: from a place to a [`Permit`].

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::access::AccessPolicy;
use crate::info::RunState;
use crate::layers::{Located, StageFuture};
use crate::pages::RefusedTo;
use crate::refusal::Refusal;
use crate::service::WorkspaceService;
use crate::stage::{Permit, Routed};

/// Applies [`Authorize`].
#[derive(Clone, Debug)]
pub struct AuthorizeLayer {
    policy: Arc<AccessPolicy>,
}

impl AuthorizeLayer {
    /// Lets through what `policy` allows.
    #[must_use]
    pub fn new(policy: AccessPolicy) -> Self {
        Self {
            policy: Arc::new(policy),
        }
    }
}

impl<S> Layer<S> for AuthorizeLayer {
    type Service = Authorize<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Authorize {
            inner,
            policy: Arc::clone(&self.policy),
        }
    }
}

/// Lets requests through that may use what they ask for, if it runs.
///
/// Others are answered here with [`Refusal::Denied`] or [`Refusal::NotRunning`]. Only who
/// may use a workspace learns whether it runs.
#[derive(Clone, Debug)]
pub struct Authorize<S> {
    inner: S,
    policy: Arc<AccessPolicy>,
}

impl<S> Authorize<S> {
    fn permit<B>(
        &self,
        located: Located,
        request: &Request<B>,
    ) -> Result<Permit, (Refusal, RefusedTo)> {
        let service = WorkspaceService::of(&located.target, request.uri().path());
        let access = self
            .policy
            .check(&located, service, request)
            .map_err(|why| (Refusal::Denied(why), RefusedTo::nobody(&located.target)))?;
        match located.info.state {
            RunState::Running => Ok(Permit::new(located, service, access)),
            state => {
                let to = RefusedTo::new(located.target.workspace, access);
                Err((Refusal::NotRunning(state), to))
            }
        }
    }
}

impl<S, B, R> Service<Routed<Located, B>> for Authorize<S>
where
    S: Service<Routed<Permit, B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = StageFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, routed: Routed<Located, B>) -> Self::Future {
        let (located, request) = routed.split();
        match self.permit(located, &request) {
            Ok(permit) => StageFuture::inner(self.inner.call(Routed::new(permit, request))),
            Err((why, to)) => StageFuture::refused_to(why, to),
        }
    }
}
