//! A request, and how far it has come.

use std::sync::Arc;

use http::Request;

use crate::access::Access;
#[cfg(feature = "revocation")]
use crate::access::is_public;
use crate::host::HostTarget;
#[cfg(feature = "revocation")]
use crate::info::RunState;
use crate::info::WorkspaceInfo;
use crate::layers::Located;
use crate::service::WorkspaceService;

/// A request that has reached stage `S`.
///
/// Only the layer that proves a stage can make its value, so holding a
/// `Routed<HostTarget, B>` means the host was parsed, and holding a
/// `Routed<Permit, B>` that the request may be forwarded.
#[derive(Debug)]
pub struct Routed<S, B> {
    stage: S,
    request: Request<B>,
}

impl<S, B> Routed<S, B> {
    pub(crate) fn new(stage: S, request: Request<B>) -> Self {
        Self { stage, request }
    }

    /// Gives both parts up.
    pub fn into_parts(self) -> (S, Request<B>) {
        (self.stage, self.request)
    }

    /// What has been established.
    pub fn stage(&self) -> &S {
        &self.stage
    }

    /// The request as it came, but for a path prefix on foreign hosts.
    pub fn request(&self) -> &Request<B> {
        &self.request
    }
}

/// Proof that a request may use one server of a workspace.
///
/// Made by [`Authorize`](crate::layers::Authorize) and by nothing else:
///
/// ```
/// # fn show(permit: &gitpod_routing::Permit) {
/// println!("{:?} as {:?}", permit.service(), permit.access());
/// # }
/// ```
///
/// ```compile_fail
/// # fn forge(info: std::sync::Arc<gitpod_routing::WorkspaceInfo>) -> gitpod_routing::Permit {
/// gitpod_routing::Permit { info, ..Default::default() }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Permit {
    target: HostTarget,
    info: Arc<WorkspaceInfo>,
    service: WorkspaceService,
    access: Access,
}

impl Permit {
    pub(crate) fn new(located: Located, service: WorkspaceService, access: Access) -> Self {
        Self {
            target: located.target,
            info: located.info,
            service,
            access,
        }
    }

    /// What was asked for.
    #[must_use]
    pub fn target(&self) -> &HostTarget {
        &self.target
    }

    /// What is known of the workspace: the snapshot that the decision was taken on.
    #[must_use]
    pub fn info(&self) -> &Arc<WorkspaceInfo> {
        &self.info
    }

    /// The server that may be reached.
    #[must_use]
    pub fn service(&self) -> WorkspaceService {
        self.service
    }

    /// As whom.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// Whether what is known `now` of the workspace would permit this as well, as far as it
    /// depends on that; a share may have ended.
    #[cfg(feature = "revocation")]
    pub(crate) fn still_stands(&self, now: &WorkspaceInfo) -> bool {
        let is_same_run = now.id == self.info.id
            && now.instance == self.info.instance
            && now.address == self.info.address
            && now.state == RunState::Running;
        let endpoint = self.target.endpoint;
        let token = self.info.owner_token.expose().as_bytes();
        is_same_run
            && match self.access {
                Access::Owner => now.owner_token.matches(token),
                // What was open for another reason is so by a rule, and rules stay.
                Access::Anonymous => is_public(now, endpoint) || !is_public(&self.info, endpoint),
                Access::Shared(_) => true,
            }
    }
}
