//! Requests of one connection, on their way to the service.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use gitpod_routing::{Jitter, Peer, Stay, TlsServerName};
use http::header::{CONNECTION, RETRY_AFTER, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project::pin_project;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower::util::Oneshot;
use tower::{Service, ServiceExt};

use super::connection::Http;
use super::drain::{Phase, Visitors};
use super::places::{Busy, Place};
use super::{Guard, Server};
use crate::limits::{Limit, refused};

/// Hands requests of one connection to a service, and counts them.
pub(super) struct Visit<S> {
    service: S,
    guard: Arc<Guard>,
    place: Place,
    visitors: Visitors,
    phase: watch::Receiver<Phase>,
    peer: Option<Peer>,
    /// Shared by all requests of the connection.
    name: Option<TlsServerName>,
    http: Http,
}

impl<S> Visit<S> {
    pub(super) fn new(
        service: S,
        server: &Server,
        place: &Place,
        visitors: &Visitors,
        peer: Option<Peer>,
    ) -> Self {
        Self {
            service,
            guard: Arc::clone(&server.guard),
            place: place.clone(),
            visitors: visitors.clone(),
            phase: visitors.phase(),
            peer,
            name: None,
            http: Http::One,
        }
    }

    /// Over a connection of `http`.
    pub(super) fn over(mut self, http: Http) -> Self {
        self.http = http;
        self
    }

    /// Over a connection whose client asked for the server `name`.
    pub(super) fn asked_for(mut self, name: Option<&str>) -> Self {
        self.name = name.map(TlsServerName::new);
        self
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// What the request takes up, or why it is not served.
    fn admit(&self, request: &Request<Incoming>) -> Result<Asked, StatusCode> {
        let limits = &self.guard.limits;
        if request.headers().len() > limits.count(Limit::HeadFields) {
            refused(Limit::HeadFields);
            return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        let Ok(turn) = Arc::clone(&self.guard.requests).try_acquire_owned() else {
            refused(Limit::Requests);
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        };
        let (busy, streams) = self.place.begin();
        // What goes beyond is refused by HTTP/2 itself, which tells nobody.
        if self.http == Http::Two && streams == limits.count(Limit::Streams) {
            refused(Limit::Streams);
        }
        Ok(Asked {
            _busy: busy,
            _turn: turn,
        })
    }

    /// What shows where the request comes from, and how long it may last.
    fn mark(&self, request: &mut Request<Incoming>) {
        if self.http == Http::One && request.headers().contains_key(UPGRADE) {
            let kept = Tunnelled {
                _busy: self.place.begin().0,
                _present: self.visitors.present.token(),
            };
            let stay = Stay::new(self.visitors.tunnels_over(), Arc::new(kept));
            request.extensions_mut().insert(stay);
        }
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        if let Some(name) = &self.name {
            request.extensions_mut().insert(name.clone());
        }
    }
}

/// A request that is served.
pub(super) struct Asked {
    _busy: Busy,
    _turn: OwnedSemaphorePermit,
}

/// A connection that a request may turn into a tunnel.
struct Tunnelled {
    _busy: Busy,
    _present: TaskTrackerToken,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Visit<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone,
{
    type Response = Response<AnswerBody<B>>;
    type Error = Infallible;
    type Future = Answer<Oneshot<S, Request<Incoming>>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let asked = match self.admit(&request) {
            Ok(asked) => asked,
            Err(status) => return Answer::Refused(status),
        };
        self.mark(&mut request);
        Answer::Served {
            inner: self.service.clone().oneshot(request),
            asked: Some(asked),
            // The client of a connection that ends with the answer is told so; over HTTP/2 it is told otherwise.
            phase: (self.http == Http::One).then(|| self.phase.clone()),
        }
    }
}

/// The answer to a request that was counted.
#[pin_project(project = AnswerState)]
pub(super) enum Answer<F> {
    Served {
        #[pin]
        inner: F,
        asked: Option<Asked>,
        phase: Option<watch::Receiver<Phase>>,
    },
    Refused(StatusCode),
}

impl<F, B> Future for Answer<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Output = Result<Response<AnswerBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AnswerState::Refused(status) => Poll::Ready(Ok(refusal(*status))),
            AnswerState::Served {
                inner,
                asked,
                phase,
            } => {
                let mut response = ready!(inner.poll(cx))?;
                let phase = phase.as_ref();
                if phase.is_some_and(|phase| *phase.borrow() != Phase::Open)
                    && response.status() != StatusCode::SWITCHING_PROTOCOLS
                {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(CONNECTION, close);
                }
                Poll::Ready(Ok(response.map(|inner| AnswerBody {
                    inner: Some(inner),
                    _asked: asked.take(),
                })))
            }
        }
    }
}

fn refusal<B>(status: StatusCode) -> Response<AnswerBody<B>> {
    let mut response = Response::new(AnswerBody {
        inner: None,
        _asked: None,
    });
    *response.status_mut() = status;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let later = Jitter::RETRY.retry_after(); // not all at once
        response.headers_mut().insert(RETRY_AFTER, later);
    }
    response
}

/// Body of an answer. The request counts until it is dropped.
#[pin_project]
pub(super) struct AnswerBody<B> {
    #[pin]
    inner: Option<B>,
    _asked: Option<Asked>,
}

impl<B: Body> Body for AnswerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().inner.as_pin_mut() {
            Some(inner) => inner.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Some(inner) => inner.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}
