//! Asking again when another `up` has taken over.
//!
//! `up --replace` cuts off commands that wait for something, once its listeners are somebody else's: at the same
//! socket, the successor answers. So a command that was cut off connects again and goes on, and only one that
//! finds nobody there fails. To carry the waiting over instead would take all that a command waits with – streams, their
//! connections, places in files – from process to process; and it would have to be mended for a successor that
//! fails half-way, while this holds for any `up` that comes next.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::time::sleep;
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::{Service, ServiceExt};

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Says that the same may have been asked, and done, before.
pub(crate) static AGAIN: HeaderName = HeaderName::from_static("gitpod-again");

/// A way to whoever runs, also if that is another process meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Persistent(Channel);

impl Persistent {
    pub(super) fn new(channel: Channel) -> Self {
        Self(channel)
    }
}

impl Service<Request<Body>> for Persistent {
    type Response = Response<Body>;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Failed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(())) // each time it is asked, below
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(ask(self.0.clone(), request))
    }
}

/// Asks until there is an answer, or nobody to ask.
async fn ask(mut channel: Channel, request: Request<Body>) -> Result<Response<Body>, Failed> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes(); // of commands: one message
    let mut tries = match head.uri.path() {
        ONLY_ONCE => 1,
        _ => TRIES,
    };
    let mut again = Request::from_parts(head, body);
    loop {
        let request = again.clone().map(|body| Body::new(Full::new(body)));
        tries -= 1;
        let asked = async { channel.ready().await?.call(request).await };
        match asked.await {
            Err(why) if tries > 0 => {
                tracing::debug!(%why, "asked again");
                let yes = HeaderValue::from_static("1");
                again.headers_mut().insert(&AGAIN, yes);
                // It may take a moment until a connection that has broken is known to have.
                sleep(PAUSE).await;
            }
            answer => return Ok(answer?),
        }
    }
}

/// Nobody is replaced as often as this while one command waits. Chosen by us.
pub(super) const TRIES: u32 = 10;
/// Chosen by us: where nobody listens any more, a command fails after half a second.
const PAUSE: Duration = Duration::from_millis(50);
/// Would make a second link.
const ONLY_ONCE: &str = "/gitpod.local.v1.Access/Share";

/// Whether `status` says that whoever was asked has gone, in the middle of an answer.
pub(crate) fn is_lost(status: &Status) -> bool {
    // What a server says has no cause on this side.
    status.code() == Code::Unavailable || std::error::Error::source(status).is_some()
}
