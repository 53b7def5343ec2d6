//! Counts requests and how long they took.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http::{Method, Request, Response, StatusCode, Version};
use metrics::{Key, Label, Level, Metadata, with_recorder};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::service::WorkspaceService;

/// Applies [`Measure`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct MeasureLayer;

impl MeasureLayer {
    /// Measures all requests that come through.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for MeasureLayer {
    type Service = Measure<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Measure { inner }
    }
}

/// Counts requests with the `metrics` facade, when the head of their response is ready.
///
/// | name | kind | labels |
/// | --- | --- | --- |
/// | `gitpod_ws_proxy_http_server_requests_total` | counter | `method`, `resource`, `code`, `http_version` |
/// | `gitpod_ws_proxy_http_server_requests_duration_seconds` | histogram | same |
///
/// `resource` is `workspace`, `workspace/supervisor` or `workspace_port`, with `debug_` in
/// front for a debug workspace, and `unknown` for requests that were refused before. No
/// label holds text that a client chose.
///
/// **Source:** metrics of the reference, which count when the body has ended and leave
/// ports out; both are counted here.
#[derive(Clone, Debug)]
pub struct Measure<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Measure<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = MeasureFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        MeasureFuture {
            exchange: Exchange::of(&request),
            began: SystemTime::now(),
            inner: self.inner.call(request),
        }
    }
}

/// Response future of [`Measure`].
#[pin_project]
#[derive(Debug)]
pub struct MeasureFuture<F> {
    #[pin]
    inner: F,
    exchange: Exchange,
    began: SystemTime,
}

impl<F, R, E> Future for MeasureFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = std::task::ready!(this.inner.poll(cx));
        if let Ok(response) = &answer {
            let served = response.extensions().get::<Served>();
            this.exchange.count(
                "gitpod_ws_proxy_http_server_requests_total",
                "gitpod_ws_proxy_http_server_requests_duration_seconds",
                served.map_or("unknown", Served::label),
                response.status(),
                this.began.elapsed().unwrap_or_default(),
            );
        }
        Poll::Ready(answer)
    }
}

/// What is counted of a request besides its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    method: &'static str,
    version: &'static str,
}

impl Exchange {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: method_label(request.method()),
            version: version_label(request.version()),
        }
    }

    pub(crate) fn count(
        self,
        total: &'static str,
        duration: &'static str,
        resource: &'static str,
        code: StatusCode,
        took: Duration,
    ) {
        let keys = keys(Labels {
            total,
            duration,
            method: self.method,
            resource,
            code: code.as_u16(),
            version: self.version,
        });
        // Not with the macros, which would make the keys each time.
        with_recorder(|recorder| {
            recorder
                .register_counter(&keys.total, &METADATA)
                .increment(1);
            recorder
                .register_histogram(&keys.duration, &METADATA)
                .record(took);
        });
    }
}

/// What keys are made of: their names, and the labels that both have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Labels {
    total: &'static str,
    duration: &'static str,
    method: &'static str,
    resource: &'static str,
    code: u16,
    version: &'static str,
}

struct Keys {
    total: Key,
    duration: Key,
}

/// Keys cost more to make than to use, and there are few that are often used.
fn keys(labels: Labels) -> Rc<Keys> {
    KEYS.with_borrow_mut(|known| {
        if let Some((_, keys)) = known.iter().find(|(of, _)| *of == labels) {
            return Rc::clone(keys);
        }
        let keys = Rc::new(labels.keys());
        if known.len() < KNOWN {
            known.push((labels, Rc::clone(&keys)));
        }
        keys
    })
}

impl Labels {
    fn keys(&self) -> Keys {
        let labels = vec![
            Label::from_static_parts("method", self.method),
            Label::from_static_parts("resource", self.resource),
            Label::new("code", self.code.to_string()),
            Label::from_static_parts("http_version", self.version),
        ];
        Keys {
            total: Key::from_parts(self.total, labels.clone()),
            duration: Key::from_parts(self.duration, labels),
        }
    }
}

thread_local! {
    static KEYS: RefCell<Vec<(Labels, Rc<Keys>)>> = const { RefCell::new(Vec::new()) };
}

/// Keys that a thread keeps. Servers make up the codes of their answers, so there is an end.
const KNOWN: usize = 32;

/// Which server of a workspace a response is about. Travels in its extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    pub(crate) service: WorkspaceService,
    pub(crate) debug: bool,
}

impl Served {
    #[cfg(feature = "proxy")]
    pub(crate) fn of(permit: &crate::stage::Permit) -> Self {
        Self {
            service: permit.service(),
            debug: permit.target().debug,
        }
    }

    /// `response`, which now says what it is about.
    #[cfg(feature = "proxy")]
    pub(crate) fn mark<B>(self, mut response: Response<B>) -> Response<B> {
        response.extensions_mut().insert(self);
        response
    }

    pub(crate) fn label(&self) -> &'static str {
        match (self.service, self.debug) {
            (WorkspaceService::Ide, false) => "workspace",
            (WorkspaceService::Ide, true) => "debug_workspace",
            (WorkspaceService::Supervisor, false) => "workspace/supervisor",
            (WorkspaceService::Supervisor, true) => "debug_workspace/supervisor",
            (WorkspaceService::Port(_), false) => "workspace_port",
            (WorkspaceService::Port(_), true) => "debug_workspace_port",
        }
    }
}

/// Lower case; methods that clients make up are one.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        Method::TRACE => "trace",
        Method::CONNECT => "connect",
        _ => "other",
    }
}

fn version_label(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

static METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
