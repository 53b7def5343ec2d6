//! Third stage where workspaces wake up: from a place to an [`Admitted`].

use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use tower_layer::Layer;
use tower_service::Service;

use crate::access::AccessPolicy;
use crate::layers::{Located, StageFuture};
use crate::pages::RefusedTo;
use crate::refusal::Refusal;
use crate::service::WorkspaceService;
use crate::stage::{Admitted, Routed};

/// Applies [`Admit`].
#[derive(Clone, Debug)]
pub struct AdmitLayer {
    policy: Arc<AccessPolicy>,
}

impl AdmitLayer {
    /// Lets through what `policy` allows.
    #[must_use]
    pub fn new(policy: AccessPolicy) -> Self {
        Self {
            policy: Arc::new(policy),
        }
    }
}

impl<S> Layer<S> for AdmitLayer {
    type Service = Admit<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Admit {
            inner,
            policy: Arc::clone(&self.policy),
        }
    }
}

/// Lets requests through that may use what they ask for, whether it runs or not.
///
/// Others are answered here with [`Refusal::Denied`]. Behind it [`Wake`](crate::layers::Wake)
/// sees to it that the workspace runs; in a stack without that,
/// [`Authorize`](crate::layers::Authorize) takes the place of both.
#[derive(Clone, Debug)]
pub struct Admit<S> {
    inner: S,
    policy: Arc<AccessPolicy>,
}

impl<S, B, R> Service<Routed<Located, B>> for Admit<S>
where
    S: Service<Routed<Admitted, B>, Response = Response<R>>,
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
        let service = WorkspaceService::of(&located.target, request.uri().path());
        match self.policy.check(&located, service, &request) {
            Ok(access) => {
                let admitted = Admitted::new(located, service, access);
                StageFuture::inner(self.inner.call(Routed::new(admitted, request)))
            }
            Err(why) => {
                let to = RefusedTo::nobody(&located.target);
                StageFuture::refused_to(Refusal::Denied(why), to)
            }
        }
    }
}
