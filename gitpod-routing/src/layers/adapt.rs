//! Any layer over `http::Request`, between two stages.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::layers::StageFuture;
use crate::refusal::Refusal;
use crate::stage::Routed;

/// Lets `layer`, made for plain `http::Request`s, sit between two stages.
///
/// What earlier stages proved travels in the extensions of the request, under a type that
/// nobody else can name. A layer that passes on a request without it, one that it made
/// itself, is answered with [`Refusal::StageLost`], `500`. `S` is the stage that passes
/// through; the compiler finds it from the neighbours.
///
/// ```
/// # use std::{convert::Infallible, time::Duration};
/// # use gitpod_routing::{Permit, Routed, layers::*};
/// # use http::{Request, Response, StatusCode};
/// # use tower::{Service, ServiceBuilder};
/// # use tower_http::timeout::TimeoutLayer;
/// # fn serve<S: Service<Request<()>>>(_: S) {}
/// # async fn leaf(_: Routed<Permit, ()>) -> Result<Response<()>, Infallible> { Ok(Response::new(())) }
/// # fn build(parse: ParseHostLayer, locate: LocateLayer, authorize: AuthorizeLayer) {
/// # let limit = Duration::from_secs(30);
/// let timeout = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, limit);
/// serve(
///     ServiceBuilder::new().layer(parse).layer(locate).layer(adapt(timeout)).layer(authorize)
///         .service_fn(leaf),
/// );
/// # }
/// ```
///
/// Layers that change the path or the credentials of a request belong outside of
/// [`ParseHostLayer`](crate::layers::ParseHostLayer): what was authorised is not looked at
/// again.
#[must_use]
pub fn adapt<L, S>(layer: L) -> AdaptLayer<L, S> {
    AdaptLayer {
        layer,
        stage: PhantomData,
    }
}

/// Applies a layer over `http::Request` between two stages. See [`adapt`].
pub struct AdaptLayer<L, S> {
    layer: L,
    stage: PhantomData<fn() -> S>,
}

impl<L, S, Inner> Layer<Inner> for AdaptLayer<L, S>
where
    L: Layer<Recover<Inner, S>>,
{
    type Service = Adapted<L::Service, S>;

    fn layer(&self, inner: Inner) -> Self::Service {
        let stage = PhantomData;
        Adapted {
            inner: self.layer.layer(Recover { inner, stage }),
            stage,
        }
    }
}

/// The service in front of an adapted layer: puts the stage away.
pub struct Adapted<T, S> {
    inner: T,
    stage: PhantomData<fn() -> S>,
}

impl<T, S, B, R> Service<Routed<S, B>> for Adapted<T, S>
where
    T: Service<Request<B>, Response = Response<R>>,
    S: Clone + Send + Sync + 'static,
{
    type Response = Response<AdaptedBody<R>>;
    type Error = T::Error;
    type Future = AdaptedFuture<T::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, routed: Routed<S, B>) -> Self::Future {
        let (stage, mut request) = routed.into_parts();
        request.extensions_mut().insert(Carried(stage));
        AdaptedFuture(self.inner.call(request))
    }
}

/// Response future of [`Adapted`].
#[pin_project]
#[derive(Debug)]
pub struct AdaptedFuture<F>(#[pin] F);

impl<F, R, E> Future for AdaptedFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<AdaptedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.project().0.poll(cx);
        answer.map_ok(|response| response.map(|body| AdaptedBody(Some(body))))
    }
}

/// The body that an adapted layer gave; or none, in a refusal of a stage outside of it.
///
/// Stages need an empty body to refuse with, and the bodies of many layers cannot be empty.
#[pin_project]
#[derive(Debug)]
pub struct AdaptedBody<R>(#[pin] Option<R>);

impl<R> Default for AdaptedBody<R> {
    fn default() -> Self {
        Self(None)
    }
}

impl<R: Body> Body for AdaptedBody<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        match self.project().0.as_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

/// The service behind an adapted layer: takes the stage up again.
pub struct Recover<T, S> {
    inner: T,
    stage: PhantomData<fn() -> S>,
}

impl<T, S, B, R> Service<Request<B>> for Recover<T, S>
where
    T: Service<Routed<S, B>, Response = Response<R>>,
    S: Clone + Send + Sync + 'static,
    R: Default,
{
    type Response = Response<R>;
    type Error = T::Error;
    type Future = StageFuture<T::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match request.extensions_mut().remove::<Carried<S>>() {
            Some(Carried(stage)) => {
                StageFuture::inner(self.inner.call(Routed::new(stage, Box::new(request))))
            }
            None => StageFuture::refused(Refusal::StageLost),
        }
    }
}

/// A stage on its way through a layer that does not know of stages.
#[derive(Clone)]
struct Carried<S>(S);

// By hand: `derive` would ask the same of `S`, which is only a name here.

impl<L: Clone, S> Clone for AdaptLayer<L, S> {
    fn clone(&self) -> Self {
        adapt(self.layer.clone())
    }
}

impl<T: Clone, S> Clone for Adapted<T, S> {
    fn clone(&self) -> Self {
        let inner = self.inner.clone();
        let stage = PhantomData;
        Self { inner, stage }
    }
}

impl<T: Clone, S> Clone for Recover<T, S> {
    fn clone(&self) -> Self {
        let inner = self.inner.clone();
        let stage = PhantomData;
        Self { inner, stage }
    }
}

impl<L: Any, S> fmt::Debug for AdaptLayer<L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AdaptLayer")
            .field(&std::any::type_name::<L>())
            .finish()
    }
}

impl<T, S> fmt::Debug for Adapted<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapted").finish_non_exhaustive()
    }
}

impl<T, S> fmt::Debug for Recover<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recover").finish_non_exhaustive()
    }
}
