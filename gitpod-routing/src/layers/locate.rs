//! Second stage: from a name to a place.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Method, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::host::HostTarget;
use crate::info::{Lookup, WorkspaceInfo, WorkspaceInfoProvider};
use crate::layers::{StageFuture, WaitingFuture};
use crate::refusal::Refusal;
use crate::service::{self, WorkspaceService};
use crate::share::Share;
use crate::stage::Routed;

/// Applies [`Locate`].
#[derive(Clone, Debug)]
pub struct LocateLayer {
    provider: Arc<dyn WorkspaceInfoProvider>,
    start_page: Option<Arc<str>>,
}

impl LocateLayer {
    /// Asks `provider` about each request.
    #[must_use]
    pub fn new(provider: Arc<dyn WorkspaceInfoProvider>) -> Self {
        Self {
            provider,
            start_page: None,
        }
    }

    /// Sends who opens a page of an editor whose workspace is unknown to `url`, with
    /// `?not_found=true#<workspace id>` behind it, instead of answering 404.
    #[must_use]
    pub fn with_start_page(mut self, url: &str) -> Self {
        self.start_page = Some(url.into());
        self
    }
}

impl<S> Layer<S> for LocateLayer {
    type Service = Locate<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Locate {
            inner,
            provider: Arc::clone(&self.provider),
            start_page: self.start_page.clone(),
        }
    }
}

/// A target, and what is known of its workspace.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Located {
    /// What was asked for.
    pub target: HostTarget,
    /// What is there: one snapshot for the whole request.
    pub info: Arc<WorkspaceInfo>,
    /// The share that it comes by: it stands, and covers the target.
    pub(crate) visitor: Option<Arc<Share>>,
    /// Whether it may come by one, and nobody knows.
    pub(crate) unchecked_visitor: bool,
    /// Whether its owner comes, with what proved that before the workspace was started.
    pub(crate) is_returning_owner: bool,
}

impl Located {
    pub(crate) fn new(target: HostTarget, info: Arc<WorkspaceInfo>) -> Self {
        Self {
            target,
            info,
            visitor: None,
            unchecked_visitor: false,
            is_returning_owner: false,
        }
    }
}

/// Tells the inner service where a workspace runs.
///
/// An answer that the provider has at hand costs no allocation; else it is waited for.
#[derive(Clone, Debug)]
pub struct Locate<S> {
    inner: S,
    provider: Arc<dyn WorkspaceInfoProvider>,
    start_page: Option<Arc<str>>,
}

impl<S, B, R> Service<Routed<HostTarget, B>> for Locate<S>
where
    S: Service<Routed<Located, B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default + 'static,
    S::Error: 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = WaitingFuture<S::Future, R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, routed: Routed<HostTarget, B>) -> Self::Future {
        let (target, request) = routed.split();
        let start_page = self.start_page_for(&target, &request);
        if let Some(known) = self.provider.cached(&target.workspace) {
            return WaitingFuture::known(match located(target, known) {
                Ok(found) => StageFuture::inner(self.inner.call(Routed::new(found, request))),
                Err(why) => StageFuture::refused(why.or_redirect(start_page)),
            });
        }
        // `poll_ready` reserved a place in this very `inner`. Use it for this
        // request, and keep a clone that has reserved nothing.
        let unready = self.inner.clone();
        let ready = mem::replace(&mut self.inner, unready);
        let provider = Arc::clone(&self.provider);
        WaitingFuture::waiting(ask(provider, ready, target, request, start_page))
    }
}

impl<S> Locate<S> {
    /// Where to send a visitor of `target` if nobody knows its workspace. The root of a
    /// debug workspace is no page that people start from, and only who opens a page is sent
    /// to another one.
    fn start_page_for<B>(&self, target: &HostTarget, request: &Request<B>) -> Option<HeaderValue> {
        let url = self.start_page.as_deref()?;
        if service::is_upgrade(request)
            || !matches!(*request.method(), Method::GET | Method::HEAD)
            || !service::may_be_navigation(request.headers())
        {
            return None;
        }
        let service = WorkspaceService::of(target, request.uri().path());
        let starts = match service {
            WorkspaceService::Supervisor => true,
            WorkspaceService::Ide => !target.debug,
            WorkspaceService::Port(_) => false,
        };
        let location = || format!("{url}?not_found=true#{}", target.workspace);
        starts
            .then(|| HeaderValue::try_from(location()).ok())
            .flatten()
    }
}

async fn ask<S, B, R>(
    provider: Arc<dyn WorkspaceInfoProvider>,
    mut inner: S,
    target: HostTarget,
    request: Box<Request<B>>,
    start_page: Option<HeaderValue>,
) -> Result<Response<R>, S::Error>
where
    S: Service<Routed<Located, B>, Response = Response<R>>,
    R: Default,
{
    let answer = provider.workspace_info(&target.workspace).await;
    match located(target, answer) {
        Ok(found) => inner.call(Routed::new(found, request)).await,
        Err(why) => Ok(why.or_redirect(start_page).into_response()),
    }
}

fn located(target: HostTarget, answer: Lookup) -> Result<Located, Refusal> {
    match answer {
        // A provider that answers with another workspace has found nothing.
        Ok(Some(info)) if info.id == target.workspace => Ok(Located::new(target, info)),
        Ok(_) => Err(Refusal::NoSuchWorkspace),
        Err(why) => Err(Refusal::LookupFailed(Arc::new(why))),
    }
}
