//! What comes on connections of the old one after it has let go.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use gitpod_routing::{BoxError, OwnerToken, Peer, Stay};
use http::header::{HOST, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::{Either, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rand::TryRngCore;
use rand::rngs::OsRng;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tower::Service;

use crate::exit::Failure;

/// Marks a request that was passed on, and says whose it is: the secret, and the client's address.
static PASSED_ON: HeaderName = HeaderName::from_static("x-gitpod-passed-on");

/// What only the one before knows. Prints `***`.
#[derive(Clone, Debug)]
pub(in crate::up) struct Secret(OwnerToken);

impl Secret {
    pub(super) fn new(secret: OwnerToken) -> Self {
        Self(secret)
    }

    /// One that nobody guesses.
    pub(in crate::up) fn random() -> Result<Self, Failure> {
        let mut bytes = [0; 32];
        OsRng
            .try_fill_bytes(&mut bytes)
            .map_err(|why| Failure::failed("cannot make a secret").because(&why))?;
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self(OwnerToken::new(text)))
    }

    pub(super) fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Who requests are passed on to.
#[derive(Clone, Debug)]
pub(in crate::up) struct Target {
    address: SocketAddr,
    secret: Secret,
}

impl Target {
    /// Who listens at `address` from now on, and knows `secret`.
    pub(in crate::up) fn new(address: SocketAddr, secret: Secret) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let address = SocketAddr::new(ip, address.port());
        Self { address, secret }
    }
}

/// Where requests go, of all that has ever served in this process. Clones are one and the same.
#[derive(Clone, Debug)]
pub(in crate::up) struct Switch(Arc<watch::Sender<Option<(Round, Target)>>>);

/// How often this process has begun to serve: once, and again each time that nobody has taken over in the end.
type Round = u32;

impl Switch {
    /// Everything is served here.
    pub(in crate::up) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// From now on, what comes on connections of `round` and of those before goes to `target`.
    pub(in crate::up) fn turn(&self, round: Round, target: Target) {
        self.0.send_replace(Some((round, target)));
    }

    fn target(&self, round: Round) -> Option<Target> {
        let switched = self.0.borrow();
        let (until, target) = switched.as_ref()?;
        (round <= *until).then(|| target.clone())
    }
}

/// Serves with `inner`, until there is somebody to pass everything on to; and believes the one before who its clients are.
#[derive(Clone, Debug)]
pub(in crate::up) struct Passing<S> {
    inner: S,
    /// That of the one before.
    secret: Secret,
    round: Round,
    switch: Switch,
}

impl<S> Passing<S> {
    /// In `round`. What `switch` says then goes elsewhere.
    pub(in crate::up) fn new(inner: S, secret: Secret, round: Round, switch: Switch) -> Self {
        Self {
            inner,
            secret,
            round,
            switch,
        }
    }

    /// What the header says goes no further, and counts only if it is from the one before.
    fn believe(&self, request: &mut Request<Incoming>) {
        let Some(said) = request.headers_mut().remove(&PASSED_ON) else {
            return;
        };
        let said = said.to_str().unwrap_or_default().split_once(' ');
        if let Some((secret, peer)) = said
            && self.secret.0.matches(secret.as_bytes())
            && let Ok(peer) = peer.parse()
        {
            request.extensions_mut().insert(Peer(peer));
        }
    }
}

/// What came from the new one, or nothing where it did not answer; or an answer of our own.
type AnswerBody<B> = Either<Either<Incoming, Empty<Bytes>>, B>;
type Answer<B> = Result<Response<AnswerBody<B>>, Infallible>;

impl<S, B> Service<Request<Incoming>> for Passing<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: 'static,
{
    type Response = Response<AnswerBody<B>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Answer<B>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        if let Some(to) = self.switch.target(self.round) {
            return Box::pin(async move {
                let answer = pass_on(&to, request).await.unwrap_or_else(|why| {
                    tracing::debug!(%why, "a request was not passed on");
                    let mut response = Response::new(Either::Right(Empty::new()));
                    *response.status_mut() = StatusCode::BAD_GATEWAY;
                    response
                });
                Ok(answer.map(Either::Left))
            });
        }
        self.believe(&mut request);
        let answer = self.inner.call(request);
        Box::pin(async { Ok(answer.await?.map(Either::Right)) })
    }
}

async fn pass_on(
    to: &Target,
    mut request: Request<Incoming>,
) -> Result<Response<Either<Incoming, Empty<Bytes>>>, BoxError> {
    let stream = TcpStream::connect(to.address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades()); // ends with the exchange
    let upgrade = request.headers().contains_key(UPGRADE).then(|| {
        let stay = request.extensions_mut().remove::<Stay>();
        (hyper::upgrade::on(&mut request), stay)
    });
    address(&mut request, &to.secret)?;
    let mut response = sender.send_request(request).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some((client, stay)) = upgrade
    {
        let server = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let _stay = stay;
            if let (Ok(client), Ok(server)) = (client.await, server.await) {
                let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
                let _broken = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
    Ok(response.map(Either::Left))
}

/// Makes `request` one of HTTP/1.1, from whom it was.
fn address(request: &mut Request<Incoming>, secret: &Secret) -> Result<(), BoxError> {
    *request.version_mut() = Version::HTTP_11;
    if let (false, Some(host)) = (
        request.headers().contains_key(HOST),
        request.uri().authority(),
    ) {
        let host = HeaderValue::from_str(host.as_str())?;
        request.headers_mut().insert(HOST, host);
    }
    let path = request.uri().path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    request.headers_mut().remove(&PASSED_ON);
    if let Some(Peer(peer)) = request.extensions().get().copied() {
        let mut mark = HeaderValue::from_str(&format!("{} {peer}", secret.expose()))?;
        mark.set_sensitive(true);
        request.headers_mut().insert(&PASSED_ON, mark);
    }
    Ok(())
}
