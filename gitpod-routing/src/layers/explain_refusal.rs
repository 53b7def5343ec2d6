//! Outermost: tells clients why they were refused.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::pages::{BuiltInPages, Format, Pages, RefusedTo};
use crate::refusal::Refusal;

/// Applies [`ExplainRefusal`].
#[derive(Clone, Debug)]
pub struct ExplainRefusalLayer {
    pages: Arc<dyn Pages>,
}

impl ExplainRefusalLayer {
    /// Explains with built-in pages.
    #[must_use]
    pub fn new() -> Self {
        Self::with_pages(Arc::new(BuiltInPages::new()))
    }

    /// Explains with `pages`.
    #[must_use]
    pub fn with_pages(pages: Arc<dyn Pages>) -> Self {
        Self { pages }
    }
}

impl Default for ExplainRefusalLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for ExplainRefusalLayer {
    type Service = ExplainRefusal<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ExplainRefusal {
            inner,
            pages: Arc::clone(&self.pages),
        }
    }
}

/// Gives responses that carry a [`Refusal`] a body that the client can read.
///
/// The form follows `Accept`: a page, `application/problem+json`, or plain text. Other
/// responses pass as they are. Each refusal counts in `gitpod_ws_proxy_refusals_total`, by
/// `reason`.
#[derive(Clone, Debug)]
pub struct ExplainRefusal<S> {
    inner: S,
    pages: Arc<dyn Pages>,
}

impl<S, B, R> Service<Request<B>> for ExplainRefusal<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<ExplainedBody<R>>;
    type Error = S::Error;
    type Future = ExplainRefusalFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Read when there is something to explain, which is seldom.
        let accept = request.headers().get(ACCEPT).cloned();
        ExplainRefusalFuture {
            inner: self.inner.call(request),
            pages: Arc::clone(&self.pages),
            accept,
        }
    }
}

/// Response future of [`ExplainRefusal`].
#[pin_project]
#[derive(Debug)]
pub struct ExplainRefusalFuture<F> {
    #[pin]
    inner: F,
    pages: Arc<dyn Pages>,
    accept: Option<HeaderValue>,
}

impl<F, R, E> Future for ExplainRefusalFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ExplainedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let format = || Format::preferred(this.accept.as_ref());
        this.inner.poll(cx).map_ok(|response| {
            match response.extensions().get::<Refusal>().cloned() {
                Some(refusal) => explain(this.pages.as_ref(), format(), &refusal, response),
                None => response.map(ExplainedBody::passed),
            }
        })
    }
}

fn explain<R>(
    pages: &dyn Pages,
    format: Format,
    refusal: &Refusal,
    response: Response<R>,
) -> Response<ExplainedBody<R>> {
    let reason = refusal.reason();
    metrics::counter!("gitpod_ws_proxy_refusals_total", "reason" => reason).increment(1);
    tracing::debug!(reason = refusal.reason(), status = %refusal.status(), "request refused");
    let page = match response.extensions().get::<RefusedTo>() {
        Some(to) => pages.page_for(refusal, format, to),
        None => pages.page(refusal, format),
    };
    let (mut parts, _empty) = response.into_parts();
    parts.headers.insert(CONTENT_TYPE, page.content_type);
    parts
        .headers
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    parts
        .headers
        .insert(VARY, HeaderValue::from_static("accept"));
    for (name, value) in SECURITY {
        parts.headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(policy) = page.policy {
        parts.headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    Response::from_parts(parts, ExplainedBody::page(page.body))
}

/// Body of a response: the inner service's, or a page.
#[pin_project]
#[derive(Debug)]
pub struct ExplainedBody<R>(#[pin] Either<R>);

#[pin_project(project = EitherProj)]
#[derive(Debug)]
enum Either<R> {
    Passed(#[pin] R),
    Page(Option<Bytes>),
}

impl<R> ExplainedBody<R> {
    fn passed(body: R) -> Self {
        Self(Either::Passed(body))
    }

    fn page(text: Bytes) -> Self {
        Self(Either::Page((!text.is_empty()).then_some(text)))
    }
}

impl<R> Default for ExplainedBody<R> {
    fn default() -> Self {
        Self(Either::Page(None))
    }
}

impl<R: Body<Data = Bytes>> Body for ExplainedBody<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        match self.project().0.project() {
            EitherProj::Passed(body) => body.poll_frame(cx),
            EitherProj::Page(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Either::Passed(body) => body.is_end_stream(),
            Either::Page(text) => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Either::Passed(body) => body.size_hint(),
            Either::Page(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
        }
    }
}

/// A page of ours loads and sends nothing, nobody frames it or guesses its type, and where
/// it leads to does not learn of it.
const SECURITY: [(&str, &str); 3] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    ),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
];
