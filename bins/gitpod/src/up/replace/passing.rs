//! What comes on connections of the old one after it has let go.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use gitpod_routing::forward::relay;
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
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tower::Service;

use crate::exit::Failure;

/// Marks a request that was passed on, and says whose it is: the secret, and the client's address.
static PASSED_ON: HeaderName = HeaderName::from_static("x-gitpod-passed-on");

/// What only the one before knows. Prints `***`.
#[derive(Clone, Debug)]
pub(in crate::up) struct Secret {
    own: OwnerToken,
    /// Of those who were asked before: whoever has passed requests on to them still does.
    before: Vec<OwnerToken>,
}

impl Secret {
    pub(super) fn new(secret: OwnerToken) -> Self {
        Self {
            own: secret,
            before: Vec::new(),
        }
    }

    /// The same, and what `other` believes.
    pub(in crate::up) fn and(mut self, other: &Self) -> Self {
        self.before.push(other.own.clone());
        self.before.extend(other.before.iter().cloned());
        self.before.truncate(MOST_BEFORE);
        self
    }

    /// The same, and those that it [exposes](Self::expose_all) elsewhere.
    pub(super) fn with_all(mut self, exposed: Vec<String>) -> Self {
        let exposed = exposed.into_iter().map(OwnerToken::new);
        self.before.extend(exposed);
        self.before.truncate(MOST_BEFORE);
        self
    }

    pub(super) fn expose_all(&self) -> Vec<String> {
        let all = std::iter::once(&self.own).chain(&self.before);
        all.map(|secret| secret.expose().to_owned()).collect()
    }

    fn matches(&self, said: &[u8]) -> bool {
        let mut all = std::iter::once(&self.own).chain(&self.before);
        all.any(|secret| secret.matches(said))
    }

    /// One that nobody guesses.
    pub(in crate::up) fn random() -> Result<Self, Failure> {
        let mut bytes = [0; 32];
        OsRng
            .try_fill_bytes(&mut bytes)
            .map_err(|why| Failure::failed("cannot make a secret").because(&why))?;
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self::new(OwnerToken::new(text)))
    }

    pub(super) fn expose(&self) -> &str {
        self.own.expose()
    }
}

/// Who replaces itself more often within one `--drain` loses the addresses of a few clients.
const MOST_BEFORE: usize = 16;

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
    /// That of the one before, and of those before it.
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
            && self.secret.matches(secret.as_bytes())
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
    let stream = connect(to.address).await?;
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
        let protocol = response.headers().get(UPGRADE).cloned();
        tokio::spawn(relay(client, server, protocol, stay));
    }
    Ok(response.map(Either::Left))
}

/// Connects to `to`, an address of this machine, as nobody's guest: its limits on connections are those of clients,
/// who have met them here already. Whoever listens on an outer address only would take all of them for one client.
async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let inner = match to {
        SocketAddr::V4(_) => TcpSocket::new_v4().and_then(|socket| {
            socket.bind(SocketAddr::new(some_loopback()?.into(), 0))?;
            Ok(socket)
        }),
        SocketAddr::V6(_) => TcpSocket::new_v6().and_then(|socket| {
            socket.bind(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0))?;
            Ok(socket)
        }),
    };
    match inner {
        Ok(socket) => match socket.connect(to).await {
            Ok(stream) => Ok(stream),
            Err(_) => TcpStream::connect(to).await, // where the system does not let it
        },
        Err(_) => TcpStream::connect(to).await,
    }
}

/// One of many, as connections of this machine may be counted by address, and have a port each.
fn some_loopback() -> io::Result<Ipv4Addr> {
    let mut bytes = [0; 3];
    OsRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    let [two, three, last] = bytes;
    Ok(Ipv4Addr::new(127, two, three, 1 + last % 254))
}

/// Makes `request` one of HTTP/1.1, from whom it was.
fn address<B>(request: &mut Request<B>, secret: &Secret) -> Result<(), BoxError> {
    *request.version_mut() = Version::HTTP_11;
    let uri = request.uri();
    let host = uri.authority().map(|host| host.as_str().to_owned());
    let path = uri.path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    match (host, request.headers().get(HOST)) {
        // Two hosts: whoever is asked sees both, and refuses that as it always does.
        (Some(host), Some(other)) if other.as_bytes() != host.as_bytes() => {}
        (Some(host), None) => {
            let host = HeaderValue::from_str(&host)?;
            request.headers_mut().insert(HOST, host);
            *request.uri_mut() = Uri::from(path);
        }
        (_, _) => *request.uri_mut() = Uri::from(path),
    }
    request.headers_mut().remove(&PASSED_ON);
    if let Some(Peer(peer)) = request.extensions().get().copied() {
        let mut mark = HeaderValue::from_str(&format!("{} {peer}", secret.expose()))?;
        mark.set_sensitive(true);
        request.headers_mut().insert(&PASSED_ON, mark);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn whoever_has_passed_on_to_one_before_is_still_believed() {
        let [first, second, third] = [(); 3].map(|()| Secret::random().unwrap());
        let second = second.with_all(first.expose_all());
        let third = third.with_all(second.expose_all());
        for known in [&first, &second, &third] {
            assert!(third.matches(known.expose().as_bytes()));
        }
        let taken_back = Secret::random().unwrap().and(&second);
        assert!(taken_back.matches(first.expose().as_bytes()));
        assert!(!taken_back.matches(third.expose().as_bytes()));
        assert!(!first.matches(second.expose().as_bytes()));
    }

    #[test]
    fn two_hosts_of_a_request_are_both_passed_on() {
        for (target, host, passed, with) in [
            (
                "http://evil.test/x",
                Some("ws.test"),
                "http://evil.test/x",
                "ws.test",
            ),
            ("http://ws.test/x?y", Some("ws.test"), "/x?y", "ws.test"),
            ("http://ws.test", None, "/", "ws.test"),
            ("/x", Some("ws.test"), "/x", "ws.test"),
        ] {
            let mut request = Request::builder().uri(target).version(Version::HTTP_2);
            if let Some(host) = host {
                request = request.header(HOST, host);
            }
            let mut request = request.body(()).unwrap();
            address(&mut request, &Secret::random().unwrap()).unwrap();
            assert_eq!(request.uri().to_string(), passed);
            assert_eq!(request.headers()[HOST], with, "{target}");
        }
    }

    #[tokio::test]
    async fn requests_are_passed_on_from_inside_this_machine() {
        let probe = UdpSocket::bind("0.0.0.0:0").unwrap(); // nothing is sent
        let own = probe
            .connect("192.0.2.1:9")
            .and_then(|()| probe.local_addr());
        let own = own.map_or(Ipv4Addr::LOCALHOST.into(), |own| own.ip());
        let listener = TcpListener::bind((own, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connected, accepted) = tokio::join!(connect(address), listener.accept());
        connected.unwrap();
        assert!(accepted.unwrap().1.ip().is_loopback());
    }
}
