//! A request, and how far it has come.

use std::sync::Arc;

use http::Request;

use crate::access::Access;
#[cfg(feature = "wake")]
use crate::access::Denied;
#[cfg(feature = "revocation")]
use crate::access::is_public;
#[cfg(feature = "proxy")]
use crate::activity::ActivitySink;
use crate::host::HostTarget;
#[cfg(feature = "revocation")]
use crate::info::RunState;
use crate::info::WorkspaceInfo;
use crate::layers::Located;
#[cfg(feature = "wake")]
use crate::pages::RefusedTo;
#[cfg(feature = "wake")]
use crate::refusal::Refusal;
use crate::service::WorkspaceService;
#[cfg(feature = "revocation")]
use crate::share::ShareId;

/// A request that has reached stage `S`.
///
/// Only the layer that proves a stage can make its value, so holding a
/// `Routed<HostTarget, B>` means the host was parsed, and holding a
/// `Routed<Permit, B>` that the request may be forwarded.
#[derive(Debug)]
pub struct Routed<S, B> {
    stage: S,
    /// Handed from stage to stage, which is dear for what is as large as a head.
    request: Box<Request<B>>,
}

impl<S, B> Routed<S, B> {
    pub(crate) fn new(stage: S, request: Box<Request<B>>) -> Self {
        Self { stage, request }
    }

    /// Gives both parts up.
    pub fn into_parts(self) -> (S, Request<B>) {
        (self.stage, *self.request)
    }

    pub(crate) fn split(self) -> (S, Box<Request<B>>) {
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
    /// A share that lets in as well.
    #[cfg(feature = "revocation")]
    share: Option<ShareId>,
    /// How long a server that does not listen is tried again.
    #[cfg(feature = "wake")]
    patience: Option<Box<crate::wake::Patience>>,
    /// Who hears of its use, and how long not.
    #[cfg(feature = "proxy")]
    activity: Option<(Arc<dyn ActivitySink>, std::time::Duration)>,
}

impl Permit {
    pub(crate) fn new(located: Located, service: WorkspaceService, access: Access) -> Self {
        Self {
            #[cfg(feature = "revocation")]
            share: located.visitor.as_ref().map(|share| share.id),
            target: located.target,
            info: located.info,
            service,
            access,
            #[cfg(feature = "wake")]
            patience: None,
            #[cfg(feature = "proxy")]
            activity: None,
        }
    }

    /// The same, with `sink` hearing of its use while it lasts, once it has lasted for `quiet`.
    #[cfg(feature = "proxy")]
    pub(crate) fn reported_to(
        mut self,
        sink: &Arc<dyn ActivitySink>,
        quiet: std::time::Duration,
    ) -> Self {
        self.activity = Some((Arc::clone(sink), quiet));
        self
    }

    /// Who hears of its use, and how long not.
    #[cfg(feature = "proxy")]
    pub(crate) fn activity(&self) -> Option<(&Arc<dyn ActivitySink>, std::time::Duration)> {
        self.activity.as_ref().map(|(sink, quiet)| (sink, *quiet))
    }

    /// The same, with servers tried again until `patience` is over.
    #[cfg(feature = "wake")]
    pub(crate) fn with_patience(mut self, patience: crate::wake::Patience) -> Self {
        self.patience = Some(Box::new(patience));
        self
    }

    /// How long a server that does not listen is tried again.
    #[cfg(feature = "proxy")]
    pub(crate) fn patience(&self) -> Option<&crate::wake::Patience> {
        self.patience.as_deref()
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

    /// The share that it depends on, or would if the port were not public.
    #[cfg(feature = "revocation")]
    pub(crate) fn share(&self) -> Option<ShareId> {
        match self.access {
            Access::Owner => None,
            Access::Anonymous => self.share,
            Access::Shared(id) => Some(id),
        }
    }

    /// Whether what is known `now` of the workspace would permit this as well, if its share
    /// is as `share` says. One right is enough.
    #[cfg(feature = "revocation")]
    pub(crate) fn still_stands(&self, now: &WorkspaceInfo, share: ShareStanding) -> bool {
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
                Access::Anonymous if !is_public(&self.info, endpoint) => true,
                Access::Anonymous | Access::Shared(_) => {
                    let is_visitor = self.share().is_some() && share == ShareStanding::Stands;
                    is_visitor || is_public(now, endpoint)
                }
            }
    }
}

/// What became of a share.
#[cfg(feature = "revocation")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ShareStanding {
    /// It stands.
    Stands,
    /// It was revoked, or has expired.
    Over,
}

/// Proof that a request may use one server of a workspace, which need not run.
///
/// Made by [`Admit`](crate::layers::Admit) and by nothing else. It opens nothing:
/// [`Wake`](crate::layers::Wake) makes a [`Permit`] of it once the workspace runs.
#[cfg(feature = "wake")]
#[derive(Clone, Debug)]
pub struct Admitted {
    located: Located,
    service: WorkspaceService,
    access: Access,
}

#[cfg(feature = "wake")]
impl Admitted {
    pub(crate) fn new(located: Located, service: WorkspaceService, access: Access) -> Self {
        Self {
            located,
            service,
            access,
        }
    }

    /// What was asked for.
    #[must_use]
    pub fn target(&self) -> &HostTarget {
        &self.located.target
    }

    /// What is known of the workspace.
    #[must_use]
    pub fn info(&self) -> &Arc<WorkspaceInfo> {
        &self.located.info
    }

    /// The server that may be used.
    #[must_use]
    pub fn service(&self) -> WorkspaceService {
        self.service
    }

    /// As whom.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// The same for the next run of the workspace, of which `info` is known. The owner stays
    /// the owner; what was public has to be so again.
    pub(crate) fn with_info(mut self, info: Arc<WorkspaceInfo>) -> Result<Self, Refusal> {
        let endpoint = self.located.target.endpoint;
        let was_public = is_public(&self.located.info, endpoint);
        if self.access == Access::Anonymous && was_public && !is_public(&info, endpoint) {
            return Err(Refusal::Denied(Denied::NoToken));
        }
        self.located.info = info;
        Ok(self)
    }

    /// A permit, if the workspace runs.
    pub(crate) fn into_permit(self) -> Result<Permit, Refusal> {
        match self.located.info.state {
            RunState::Running => Ok(Permit::new(self.located, self.service, self.access)),
            state => Err(Refusal::NotRunning(state)),
        }
    }

    pub(crate) fn refused_to(&self) -> RefusedTo {
        RefusedTo::new(self.located.target.workspace.clone(), self.access)
    }
}
