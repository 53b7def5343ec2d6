//! All stages, put together.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Buf;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::access::AccessPolicy;
use crate::activity::{ActivitySink, IgnoreActivity};
use crate::forward::{Connector, DirectConnector, Forward, ForwardBody, ForwardOptions};
use crate::host::{HostPattern, HostSource};
use crate::info::{BoxError, WorkspaceInfoProvider};
use crate::layers::{
    Admit, AdmitLayer, ExplainRefusal, ExplainRefusalLayer, ExplainedBody, Locate, LocateLayer,
    Measure, MeasureLayer, ParseHost, ParseHostLayer, ReportActivity, ReportActivityLayer, SignIn,
    SignInLayer, Wake, WakeLayer,
};
use crate::links::Links;
use crate::pages::{BuiltInPages, Pages};
use crate::revocation::Revocation;
use crate::wake::Wakes;

/// The whole stack as one service: give it requests, and it answers them.
///
/// Fits wherever a tower service does: as the fallback of an axum app, behind hyper, next
/// to a tonic server. Clones share everything. To put layers of your own between the
/// stages, build the stack from [`layers`](crate::layers) instead.
///
/// ```
/// # use std::sync::Arc;
/// use gitpod_routing::{HostPattern, MemoryProvider, WorkspaceProxy};
///
/// let workspaces = MemoryProvider::new();
/// let pattern = HostPattern::new("ws.example.com")?;
/// let proxy = WorkspaceProxy::new(pattern, Arc::new(workspaces.clone()));
/// # Ok::<(), gitpod_routing::HostError>(())
/// ```
#[derive(Clone)]
pub struct WorkspaceProxy {
    parts: Arc<Parts>,
    stack: Stack,
}

/// What the stack is built from.
#[derive(Clone)]
struct Parts {
    pattern: HostPattern,
    source: HostSource,
    provider: Arc<dyn WorkspaceInfoProvider>,
    policy: AccessPolicy,
    activity: Arc<dyn ActivitySink>,
    connector: Arc<dyn Connector>,
    forward: ForwardOptions,
    pages: Arc<dyn Pages>,
    links: Option<Links>,
    wakes: Option<Wakes>,
    head: Option<(usize, usize)>,
}

type Stack =
    Measure<ExplainRefusal<ParseHost<Locate<SignIn<Admit<Wake<ReportActivity<Forward>>>>>>>>;

/// Body of a response of [`WorkspaceProxy`].
pub type ProxyBody = ExplainedBody<ForwardBody>;

impl WorkspaceProxy {
    /// Routes to the workspaces that `provider` knows, at hosts of `pattern`, over TCP to
    /// their addresses.
    ///
    /// The host of the installation is taken to be the domain of `pattern`; nobody hears
    /// which workspaces are used.
    #[must_use]
    pub fn new(pattern: HostPattern, provider: Arc<dyn WorkspaceInfoProvider>) -> Self {
        let policy = AccessPolicy::new(pattern.clone(), pattern.domain());
        let parts = Parts {
            source: HostSource::new(),
            provider,
            activity: Arc::new(IgnoreActivity::new()),
            connector: Arc::new(DirectConnector::new()),
            forward: ForwardOptions::new(policy.cookies().clone()),
            policy,
            pages: Arc::new(BuiltInPages::new()),
            links: None,
            wakes: None,
            head: None,
            pattern,
        };
        Self::of(parts)
    }

    /// Reaches workspaces through `connector`.
    #[must_use]
    pub fn with_connector(self, connector: Arc<dyn Connector>) -> Self {
        Self::of(Parts {
            connector,
            ..Arc::unwrap_or_clone(self.parts)
        })
    }

    /// Tells `activity` which workspaces are used.
    #[must_use]
    pub fn with_activity(self, activity: Arc<dyn ActivitySink>) -> Self {
        Self::of(Parts {
            activity,
            ..Arc::unwrap_or_clone(self.parts)
        })
    }

    /// Decides by `policy` who may use what, and keeps back the cookies that it names.
    #[must_use]
    pub fn with_policy(self, policy: AccessPolicy) -> Self {
        let forward = self
            .parts
            .forward
            .clone()
            .with_cookies(policy.cookies().clone());
        Self::of(Parts {
            policy,
            forward,
            ..Arc::unwrap_or_clone(self.parts)
        })
    }

    /// Forwards as `change` makes it of the options so far.
    #[must_use]
    pub fn with_forward(self, change: impl FnOnce(ForwardOptions) -> ForwardOptions) -> Self {
        let forward = change(self.parts.forward.clone());
        Self::of(Parts {
            forward,
            ..Arc::unwrap_or_clone(self.parts)
        })
    }

    /// Refuses requests of more than `fields` header fields, or of more than `bytes` in target and
    /// fields, with 431; instead of 100 and 64 KiB.
    #[must_use]
    pub fn with_head_limits(self, fields: usize, bytes: usize) -> Self {
        Self::of(Parts {
            head: Some((fields, bytes)),
            ..Arc::unwrap_or_clone(self.parts)
        })
    }

    /// Reads the host of a request from `source`.
    #[must_use]
    pub fn with_host_source(self, source: HostSource) -> Self {
        Self::of(Parts {
            source,
            ..Arc::unwrap_or_clone(self.parts)
        })
    }

    /// Explains refusals with `pages`.
    #[must_use]
    pub fn with_pages(self, pages: Arc<dyn Pages>) -> Self {
        Self::of(Parts {
            pages,
            ..Arc::unwrap_or_clone(self.parts)
        })
    }

    /// Lets people in who come by one of `links`: the owner once, visitors of a share.
    #[must_use]
    pub fn with_links(self, links: Links) -> Self {
        Self::of(Parts {
            links: Some(links),
            ..Arc::unwrap_or_clone(self.parts)
        })
    }

    /// Has stopped workspaces started by `wakes` for who comes to them, and holds requests
    /// until they run.
    #[must_use]
    pub fn with_wakes(self, wakes: Wakes) -> Self {
        Self::of(Parts {
            wakes: Some(wakes),
            ..Arc::unwrap_or_clone(self.parts)
        })
    }

    fn of(parts: Parts) -> Self {
        let stack = parts.stack();
        let parts = Arc::new(parts); // clones are made for each request
        Self { parts, stack }
    }
}

impl Parts {
    /// From the inside out; see the table in [`layers`](crate::layers).
    fn stack(&self) -> Stack {
        let options = self.forward.clone().with_revocation(self.revocation());
        let forward = Forward::from_options(options, Arc::clone(&self.connector));
        let report = ReportActivityLayer::new(Arc::clone(&self.activity)).layer(forward);
        let wake = match &self.wakes {
            Some(wakes) => WakeLayer::new(wakes.clone()),
            None => WakeLayer::never(),
        };
        let admit = AdmitLayer::new(self.policy()).layer(wake.layer(report));
        let sign_in = self.sign_in().layer(admit);
        let locate = LocateLayer::new(Arc::clone(&self.provider)).layer(sign_in);
        let mut parse = ParseHostLayer::new(self.pattern.clone()).with_source(self.source.clone());
        if let Some((fields, bytes)) = self.head {
            parse = parse.with_head_limits(fields, bytes);
        }
        let parse = parse.layer(locate);
        let explain = ExplainRefusalLayer::with_pages(Arc::clone(&self.pages)).layer(parse);
        MeasureLayer::new().layer(explain)
    }

    fn sign_in(&self) -> SignInLayer {
        let cookies = || self.policy.cookies().clone();
        let layer = match &self.links {
            Some(links) => SignInLayer::new(links.clone(), cookies()),
            None => SignInLayer::without_links(),
        };
        match &self.wakes {
            Some(wakes) => layer.with_wakes(wakes.clone(), cookies()),
            None => layer,
        }
    }

    fn revocation(&self) -> Revocation {
        let revocation = Revocation::new(Arc::clone(&self.provider));
        match &self.links {
            Some(links) => revocation.with_shares(Arc::clone(links.share_store())),
            None => revocation,
        }
    }

    /// With the public address, wherever it was told.
    fn policy(&self) -> AccessPolicy {
        let policy = self.policy.clone();
        match self.forward.told_address() {
            Some((scheme, port)) if !policy.knows_public_address() => {
                policy.with_public_address(scheme, port)
            }
            _ => policy,
        }
    }
}

impl fmt::Debug for WorkspaceProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkspaceProxy")
            .field("domain", &self.parts.pattern.domain())
            .field("provider", &self.parts.provider)
            .field("connector", &self.parts.connector)
            .finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for WorkspaceProxy
where
    B: Body + Send + 'static,
    B::Data: Buf,
    B::Error: Into<BoxError>,
{
    type Response = Response<ProxyBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(())) // no stage ever makes a caller wait
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(self.stack.call(request))
    }
}
