//! Bodies on their way.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project::pin_project;
use tokio::time::{Instant, Sleep, sleep};

use crate::forward::continuing::Gate;
use crate::forward::headers::may_trail;
use crate::forward::pool::Checkin;
use crate::forward::watch::{NoLongerAllowed, Watch};
use crate::info::BoxError;
use crate::refusal::Limit;

/// Body of a forwarded response.
///
/// Frames pass as they come. It fails if the workspace breaks off midway; the server then
/// has to break off as well, so that the client does not take a part for the whole.
/// Dropping it before the end closes the connection to the workspace.
#[derive(Default)]
pub struct ForwardBody {
    inner: Option<Incoming>,
    checkin: Option<Checkin>,
    watch: Option<Watch>,
}

impl ForwardBody {
    pub(crate) fn new(inner: Incoming, checkin: Option<Checkin>) -> Self {
        let mut body = Self {
            inner: Some(inner),
            checkin,
            watch: None,
        };
        body.give_back_if_ended();
        body
    }

    /// Fails once it is no longer allowed, unless it has ended by then.
    pub(crate) fn watched(mut self, watch: impl FnOnce() -> Option<Watch>) -> Self {
        if !self.is_end_stream() {
            self.watch = watch();
        }
        self
    }

    fn give_back_if_ended(&mut self) {
        if self.inner.as_ref().is_some_and(Body::is_end_stream) {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Some(checkin) = self.checkin.take() {
            checkin.give_back();
        }
    }
}

impl Body for ForwardBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(inner) = self.inner.as_mut() else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(inner).poll_frame(cx);
        if let Some(watch) = &mut self.watch
            && watch.poll_ends(cx, frame.is_pending())
        {
            self.inner = None;
            self.checkin = None; // which closes the connection to the workspace
            return Poll::Ready(Some(Err(NoLongerAllowed.into())));
        }
        match ready!(frame) {
            Some(Ok(frame)) => {
                self.give_back_if_ended();
                Poll::Ready(Some(Ok(without_forbidden_trailers(frame))))
            }
            Some(Err(why)) => {
                self.checkin = None;
                Poll::Ready(Some(Err(why.into())))
            }
            None => {
                self.give_back();
                Poll::Ready(None)
            }
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

impl fmt::Debug for ForwardBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardBody").finish_non_exhaustive()
    }
}

type AnyBody = Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>;

/// Body of a request towards a workspace.
///
/// Most have none, and a request is moved often before it is sent.
pub(crate) struct RequestBody(Option<Box<Streamed>>);

struct Streamed {
    body: AnyBody,
    /// Holds the body back until the server asks for it.
    gate: Option<Gate>,
    watch: Option<Watch>,
    patience: Option<Patience>,
}

/// How long a client may send nothing while more is wanted.
struct Patience {
    longest: Duration,
    /// From when the client was last waited for.
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
    is_over: Arc<AtomicBool>,
}

impl Patience {
    /// Whether the client was waited for too long, now that there is nothing of it.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> bool {
        let longest = self.longest;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(longest)));
        if !std::mem::replace(&mut self.is_waiting, true) {
            timer.as_mut().reset(Instant::now() + longest);
        }
        let is_over = timer.as_mut().poll(cx).is_ready();
        if is_over {
            self.is_over.store(true, Ordering::SeqCst);
        }
        is_over
    }
}

impl RequestBody {
    pub(crate) fn new<B>(body: B) -> Self
    where
        B: Body + Send + 'static,
        B::Data: Buf,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Self::empty();
        }
        Self(Some(Box::new(Streamed {
            body: Box::pin(Chunks(body)),
            gate: None,
            watch: None,
            patience: None,
        })))
    }

    /// Nothing at all.
    pub(crate) fn empty() -> Self {
        Self(None)
    }

    /// Fails once it is no longer allowed, unless it has ended by then.
    pub(crate) fn watched(mut self, watch: impl FnOnce() -> Option<Watch>) -> Self {
        if let Some(streamed) = &mut self.0 {
            streamed.watch = watch();
        }
        self
    }

    /// Fails when the client sends nothing for `longest`. Tells whether it has, in the flag.
    pub(crate) fn with_patience(mut self, longest: Duration) -> (Self, Option<Arc<AtomicBool>>) {
        let Some(streamed) = &mut self.0 else {
            return (self, None);
        };
        let is_over = Arc::new(AtomicBool::new(false));
        streamed.patience = Some(Patience {
            longest,
            timer: None,
            is_waiting: false,
            is_over: Arc::clone(&is_over),
        });
        (self, Some(is_over))
    }

    pub(crate) fn behind(mut self, gate: Gate) -> Self {
        if let Some(streamed) = &mut self.0 {
            streamed.gate = Some(gate);
        }
        self
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(streamed) = &mut self.0 else {
            return Poll::Ready(None);
        };
        match ready!(streamed.poll_frame(cx)) {
            Some(Ok(frame)) => Poll::Ready(Some(Ok(without_forbidden_trailers(frame)))),
            Some(Err(why)) => {
                self.0 = None;
                Poll::Ready(Some(Err(why)))
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        let streamed = self.0.as_ref();
        streamed.is_none_or(|streamed| streamed.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Some(streamed) => streamed.body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Streamed {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(gate) = &mut self.gate {
            ready!(Pin::new(gate).poll(cx));
            self.gate = None;
        }
        let frame = self.body.as_mut().poll_frame(cx);
        if let Some(watch) = &mut self.watch
            && watch.poll_ends(cx, frame.is_pending())
        {
            return Poll::Ready(Some(Err(NoLongerAllowed.into())));
        }
        if let Some(patience) = &mut self.patience {
            if frame.is_ready() {
                patience.is_waiting = false;
            } else if patience.poll_over(cx) {
                return Poll::Ready(Some(Err(Limit::BodyIdle.into())));
            }
        }
        frame
    }
}

/// Any body, as a body of [`Bytes`]. Unlike the combinators of `http-body-util` it knows
/// its length, and with it a request keeps its `Content-Length`.
#[pin_project]
struct Chunks<B>(#[pin] B);

impl<B> Body for Chunks<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.project().0.poll_frame(cx));
        let whole = |mut data: B::Data| data.copy_to_bytes(data.remaining());
        Poll::Ready(frame.map(|frame| match frame {
            Ok(frame) => Ok(frame.map_data(whole)),
            Err(why) => Err(why.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Trailing fields must not say what the head was checked for.
fn without_forbidden_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(trailers) => Frame::trailers(
            trailers
                .iter()
                .filter(|(name, _)| may_trail(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect::<HeaderMap>(),
        ),
        Err(frame) => frame,
    }
}
