//! The service: a manager and a policy behind tonic's generated server.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::body::Body as TonicBody;
use tonic::codegen::{Body, BoxFuture, Service, StdError, http};
use tonic::server::NamedService;

use super::MAX_MESSAGE;
use super::generated::wsman::workspace_manager_server::{SERVICE_NAME, WorkspaceManagerServer};
use super::handler::Handler;
use super::policy::Policy;
use crate::reconcile::Manager;

/// `wsman.WorkspaceManager` over a [`Manager`].
///
/// A tower service that answers requests for `/wsman.WorkspaceManager/…`; tonic's
/// `Server` and `Routes` take it as it is. Cloning shares the manager.
#[derive(Clone, Debug)]
pub struct WorkspaceManagerService {
    handler: Handler,
    server: WorkspaceManagerServer<Handler>,
}

impl WorkspaceManagerService {
    /// Over `manager`, with the [`Policy`] of a platform of local processes.
    #[must_use]
    pub fn new(manager: Manager) -> Self {
        Self::of(Handler::new(manager, Arc::new(Policy::default())))
    }

    /// With `policy`.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self::of(self.handler.with_policy(Arc::new(policy)))
    }

    fn of(handler: Handler) -> Self {
        let server = WorkspaceManagerServer::new(handler.clone())
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        Self { handler, server }
    }
}

impl NamedService for WorkspaceManagerService {
    const NAME: &'static str = SERVICE_NAME;
}

impl<B> Service<http::Request<B>> for WorkspaceManagerService
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<TonicBody>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<http::Request<B>>::poll_ready(&mut self.server, cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        self.server.call(request)
    }
}
