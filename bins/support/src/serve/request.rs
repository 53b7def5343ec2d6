//! Requests of one connection, on their way to the service.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use gitpod_routing::{Cut, Jitter, Peer, Stay, TlsServerName};
use http::header::{CONNECTION, RETRY_AFTER, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project::{pin_project, pinned_drop};
use tokio::sync::watch;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower::util::Oneshot;
use tower::{Service, ServiceExt};

use super::connection::Http;
use super::drain::{Phase, Visitors};
use super::handed::{Handed, Streams};
use super::load::head_of;
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
    /// Of a connection of HTTP/2.
    streams: Option<Streams>,
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
            streams: None,
        }
    }

    /// Over a connection of HTTP/2, of `streams`.
    pub(super) fn over_two(mut self, streams: &Streams) -> Self {
        self.http = Http::Two;
        self.streams = Some(streams.clone());
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
        let (place, head) = (&self.place, head_of(request));
        let begun = self.guard.loads.begin(place.load(), place.share(), head);
        begun.map_err(|limit| {
            refused(limit);
            StatusCode::SERVICE_UNAVAILABLE
        })?;
        let (busy, streams) = self.place.begin();
        // What goes beyond is refused by HTTP/2 itself, which tells nobody.
        if self.http == Http::Two && streams == limits.count(Limit::Streams) {
            refused(Limit::Streams);
        }
        Ok(Asked {
            busy,
            guard: Arc::clone(&self.guard),
            head,
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
    busy: Busy,
    guard: Arc<Guard>,
    /// What its head takes up.
    head: usize,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let place = self.busy.place();
        let loads = &self.guard.loads;
        loads.end(place.load(), place.share(), self.head);
    }
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
            handed: self.streams.as_ref().map(Streams::begin),
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
        handed: Option<Arc<Handed>>,
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
                handed,
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
                if let Some(handed) = handed {
                    handed.over();
                }
                let over = response.extensions_mut().remove::<Cut>();
                let mut body = AnswerBody {
                    inner: None,
                    handed: handed.take(),
                    has_ending: false,
                    asked: asked.take(),
                };
                if let Some(over) = over.and_then(|cut| cut.take()) {
                    body.has_ending = true;
                    body.set_ending(Some(over));
                }
                Poll::Ready(Ok(response.map(|inner| {
                    body.inner = Some(inner);
                    body
                })))
            }
        }
    }
}

fn refusal<B>(status: StatusCode) -> Response<AnswerBody<B>> {
    let mut response = Response::new(AnswerBody {
        inner: None,
        handed: None,
        has_ending: false,
        asked: None,
    });
    *response.status_mut() = status;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let later = Jitter::RETRY.retry_after(); // not all at once
        response.headers_mut().insert(RETRY_AFTER, later);
    }
    response
}

/// Body of an answer. The request counts until it is dropped.
#[pin_project(PinnedDrop)]
pub(super) struct AnswerBody<B> {
    #[pin]
    inner: Option<B>,
    handed: Option<Arc<Handed>>,
    has_ending: bool,
    asked: Option<Asked>,
}

impl<B> AnswerBody<B> {
    /// What ends it although nobody asks for more of it.
    fn set_ending(&self, over: Option<Pin<Box<dyn Future<Output = ()> + Send>>>) {
        match (&self.handed, &self.asked) {
            (Some(handed), _) => handed.ending().set(over),
            (None, Some(asked)) => asked.busy.place().ending().set(over),
            (None, None) => {}
        }
    }
}

#[pinned_drop]
impl<B> PinnedDrop for AnswerBody<B> {
    fn drop(self: Pin<&mut Self>) {
        if self.has_ending {
            self.set_ending(None);
        }
    }
}

impl<B: Body> Body for AnswerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Ready(None);
        };
        let frame = inner.poll_frame(cx);
        if let Some(handed) = this.handed {
            match frame {
                Poll::Ready(_) => handed.over(),
                Poll::Pending => handed.nothing(),
            }
        }
        frame
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
