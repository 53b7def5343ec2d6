//! One request, one answer.

use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{CONNECTION, EXPECT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep, timeout};

use crate::access::{Access, Denied};
use crate::forward::body::{ForwardBody, RequestBody};
use crate::forward::connect::{ConnectError, Connection, DialTarget};
use crate::forward::continuing::Gate;
use crate::forward::frames::Frames;
use crate::forward::headers::OwnHost;
use crate::forward::heard::Heard;
use crate::forward::pool::{Checkin, Upstream};
use crate::forward::spelling::Spelled;
use crate::forward::upgrade::Meter;
use crate::forward::upgrades::Upgraded;
use crate::forward::usage::Usage;
use crate::forward::watch::{self, Counts, Watch};
use crate::forward::{Shared, headers, upgrade};
use crate::info::{BoxError, Protocol};
use crate::layers::{Exchange, Served};
use crate::refusal::{Limit, Refusal, Unanswered};
use crate::stage::Permit;
use crate::stay::Stay;

/// What one exchange, its bodies and its tunnel have in common.
pub(crate) struct InFlight {
    pub(crate) shared: Arc<Shared>,
    pub(crate) permit: Permit,
    pub(crate) target: DialTarget,
    host: OwnHost,
}

/// An answer on its way.
pub(crate) type Answering =
    Pin<Box<dyn Future<Output = Result<Response<ForwardBody>, Infallible>> + Send>>;

/// Forwards `request`, which `permit` lets through.
pub(crate) fn exchange<B>(shared: &Arc<Shared>, permit: Permit, request: Request<B>) -> Answering
where
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    let served = Served::of(&permit);
    let (begun, request) = match Begun::new(shared, permit, request) {
        Ok(both) => both,
        Err(why) => return Box::pin(ready(Ok(served.mark(why.into_response())))),
    };
    // Most requests go over a connection that is there; theirs is the smaller future.
    match begun.idle_connection() {
        Some(idle) => begun.over_idle(idle, request),
        None => Box::pin(async move {
            let sent = begun.over_new(request).await;
            Ok(begun.finish(sent))
        }),
    }
}

/// A request that is ready to be sent.
struct Begun {
    flight: Arc<InFlight>,
    measured: Exchange,
    began: Instant,
    switch: Option<Box<Switch>>,
    /// Whether nothing of the body came for too long.
    is_idle: Option<Arc<AtomicBool>>,
}

/// The other protocol that a request asks for.
struct Switch {
    protocol: HeaderValue,
    client: OnUpgrade,
    place: Place,
    is_websocket: bool,
}

/// What came of sending: the answer, and the connection it came over.
type Sent = Result<(Response<Incoming>, Upstream), Refusal>;

impl Begun {
    fn new<B>(
        shared: &Arc<Shared>,
        permit: Permit,
        mut request: Request<B>,
    ) -> Result<(Self, Request<RequestBody>), Refusal>
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let measured = Exchange::of(&request);
        let asked = match request.version() {
            Version::HTTP_11 => {
                headers::requested_upgrade(request.headers()).map_err(Refusal::BadRequest)?
            }
            _ => None,
        };
        let switch = asked
            .clone()
            .map(|protocol| Switch::of(shared, &permit, protocol, &mut request).map(Box::new))
            .transpose()?;
        let (mut parts, body) = request.into_parts();
        let host = shared
            .headers
            .prepare(&mut parts, &permit, asked)
            .map_err(Refusal::BadRequest)?;
        parts.extensions.clear(); // those that layers before us have left
        let flight = Arc::new(InFlight {
            target: DialTarget::of(&permit),
            shared: Arc::clone(shared),
            permit,
            host,
        });
        let body = RequestBody::new(body).watched(|| Watch::of(&flight, Counts::AsUse));
        let (body, is_idle) = body.with_patience(shared.limits.body_idle);
        let begun = Self {
            flight,
            measured,
            began: Instant::now(),
            switch,
            is_idle,
        };
        Ok((begun, Request::from_parts(parts, body)))
    }

    /// An idle connection that will do. A WebSocket keeps its own, and wants one that spells names.
    fn idle_connection(&self) -> Option<Upstream> {
        match &self.switch {
            Some(asked) if asked.is_websocket => None,
            _ => self
                .flight
                .shared
                .pool
                .take(&self.flight.target, self.began),
        }
    }

    fn over_idle(self, mut idle: Upstream, mut request: Request<RequestBody>) -> Answering {
        let again = repeatable(&request);
        if expects_continue(&request) {
            request = gated(request);
        }
        let answer = idle.sender.try_send_request(request);
        Box::pin(async move {
            let at_once = idle.timer.wait_until(self.began + watch::AT_ONCE);
            let answer = watch::while_allowed(&self.flight, at_once, answer).await;
            let sent = match answer {
                None => Err(self.flight.no_longer_allowed()),
                Some(Ok(response)) => Ok((response, idle)),
                // Never sent, or harmless to send again: the server had closed while idle.
                Some(Err(mut failed)) => match failed.take_message().or(again) {
                    Some(request) => Box::pin(self.over_new(request)).await,
                    None => Err(self.flight.broken(&failed.into_error())),
                },
            };
            Ok(self.finish(sent))
        })
    }

    async fn over_new(&self, request: Request<RequestBody>) -> Sent {
        let at_once = sleep(watch::AT_ONCE);
        let sent = watch::while_allowed(&self.flight, at_once, self.dial_and_send(request)).await;
        sent.unwrap_or_else(|| Err(self.flight.no_longer_allowed()))
    }

    async fn dial_and_send(&self, mut request: Request<RequestBody>) -> Sent {
        let flight = &self.flight;
        let connection = dial_patiently(flight).await?;
        let connection: Connection = match &self.switch {
            Some(asked) if asked.is_websocket => Box::new(Spelled::new(connection)),
            _ => connection,
        };
        let mut upstream = handshake(flight, connection).await?;
        if expects_continue(&request) {
            request = gated(request);
        }
        let answer = upstream.sender.send_request(request).await;
        let response = answer.map_err(|why| flight.broken(&why))?;
        Ok((response, upstream))
    }

    /// The answer for the client.
    fn finish(self, sent: Sent) -> Response<ForwardBody> {
        let served = Served::of(&self.flight.permit);
        let answer = self.answer(sent);
        served.mark(answer.unwrap_or_else(Refusal::into_response))
    }

    fn answer(self, sent: Sent) -> Result<Response<ForwardBody>, Refusal> {
        let flight = self.flight;
        let (mut response, upstream) = sent.map_err(|why| match &self.is_idle {
            Some(is_idle) if is_idle.load(Ordering::SeqCst) => Refusal::OverLimit(Limit::BodyIdle),
            _ => why,
        })?;
        let took = self.began.elapsed();
        if took > UNNOTICED && flight.is_revoked() {
            return Err(flight.no_longer_allowed());
        }
        // The version is one of a connection: what the server speaks says nothing about ours.
        *response.version_mut() = Version::HTTP_11;
        self.measured.count(
            "gitpod_ws_proxy_http_client_requests_total",
            "gitpod_ws_proxy_http_client_requests_duration_seconds",
            Served::of(&flight.permit).label(),
            response.status(),
            took,
        );
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return switch(&flight, self.switch, response);
        }
        let headers = &flight.shared.headers;
        headers.clean_response(response.headers_mut(), &flight.permit, &flight.host);
        Ok(streamed(&flight, upstream, response))
    }
}

impl Switch {
    fn of<B>(
        shared: &Shared,
        permit: &Permit,
        protocol: HeaderValue,
        request: &mut Request<B>,
    ) -> Result<Self, Refusal> {
        let seat = shared.upgrades.admit(&permit.info().id, permit.access());
        let place = Place {
            _seat: seat.ok_or(Refusal::OverLimit(Limit::Upgrades))?,
            stay: request.extensions_mut().remove(),
        };
        Ok(Self {
            // Only now: it marks the connection as one that may change its protocol.
            client: hyper::upgrade::on(&mut *request),
            is_websocket: request.headers().contains_key(SEC_WEBSOCKET_KEY),
            protocol,
            place,
        })
    }
}

/// `response`, with a body that brings its connection back at the end.
fn streamed(
    flight: &Arc<InFlight>,
    upstream: Upstream,
    mut response: Response<Incoming>,
) -> Response<ForwardBody> {
    if let Some(cut) = watch::cut(flight, response.body().size_hint().exact()) {
        response.extensions_mut().insert(cut);
    }
    let checkin = Checkin {
        flight: Arc::clone(flight),
        upstream,
    };
    response.map(|body| {
        let counts = match body.size_hint().exact() {
            Some(_) => Counts::AsUse,
            None => Counts::Not,
        };
        ForwardBody::new(body, Some(checkin)).watched(|| Watch::of(flight, counts))
    })
}

/// `request`, whose body waits until the server asks for it.
fn gated(mut request: Request<RequestBody>) -> Request<RequestBody> {
    let (gate, open) = Gate::new();
    request = request.map(|body| body.behind(gate));
    let open = std::sync::Mutex::new(Some(open));
    hyper::ext::on_informational(&mut request, move |answer| {
        if answer.status() != StatusCode::CONTINUE {
            return; // early hints, for instance, ask for no body
        }
        if let Some(open) = open.lock().ok().and_then(|mut open| open.take()) {
            let _gone = open.send(());
        }
    });
    request
}

fn expects_continue(request: &Request<RequestBody>) -> bool {
    !request.body().is_end_stream()
        && request
            .headers()
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// A copy of `request`, if a second one does no harm: no body, and a method that says so.
fn repeatable(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let idempotent = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    );
    if !idempotent || !request.body().is_end_stream() || request.headers().contains_key(UPGRADE) {
        return None;
    }
    let mut copy = Request::new(RequestBody::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// Connects; in a workspace that has just started, again until its server listens.
async fn dial_patiently(flight: &InFlight) -> Result<Connection, Refusal> {
    let patience = flight.permit.patience();
    let mut pause = SHORTEST_PAUSE;
    let mut place = None; // among those who wait
    loop {
        let why = match dial(flight).await {
            Ok(connection) => return Ok(connection),
            Err(why) => why,
        };
        let is_lost = matches!(why, ConnectError::Refused(_)) || flight.is_revoked();
        let patience = patience.filter(|patience| !is_lost && patience.lasts(pause));
        let patience = patience.ok_or_else(|| flight.not_connected(&why))?;
        if place.is_none() {
            place = Some(patience.take_place().map_err(Refusal::NotWoken)?);
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn dial(flight: &InFlight) -> Result<Connection, ConnectError> {
    timeout(flight.shared.limits.connect, reach(flight))
        .await
        .unwrap_or(Err(ConnectError::TimedOut))
}

async fn reach(flight: &InFlight) -> Result<Connection, ConnectError> {
    let InFlight { shared, target, .. } = flight;
    if target.protocol() != Protocol::Https {
        return shared.connector.connect(target).await;
    }
    let Some(tls) = &shared.tls else {
        let why = "port speaks HTTPS, which this proxy has no TLS for";
        return Err(ConnectError::Refused(why));
    };
    let connection = shared.connector.connect(target).await?;
    let secured = tls.secure(connection).await;
    secured.map_err(|why| ConnectError::Unreachable(Box::new(why)))
}

async fn handshake(flight: &InFlight, connection: Connection) -> Result<Upstream, Refusal> {
    let (sender, driver) = http1::handshake(TokioIo::new(Heard::new(connection)))
        .await
        .map_err(|why| flight.broken(&why))?;
    // Ends with the connection, which ends when nobody holds `sender`.
    tokio::spawn(async move {
        if let Err(why) = driver.with_upgrades().await {
            tracing::debug!(error = %why, "connection to workspace broke");
        }
    });
    Ok(Upstream::new(sender))
}

/// Answers a `101`: with a tunnel if it is what was asked for, and with a refusal otherwise.
fn switch(
    flight: &InFlight,
    asked: Option<Box<Switch>>,
    mut response: Response<Incoming>,
) -> Result<Response<ForwardBody>, Refusal> {
    let InFlight { shared, permit, .. } = flight;
    let agreed = asked.filter(|asked| upgrade::is_agreed(&asked.protocol, response.headers()));
    let Some(Switch { client, place, .. }) = agreed.map(|agreed| *agreed) else {
        tracing::debug!("workspace switched to a protocol that was not asked for");
        return Err(flight.unreachable());
    };
    let protocol = response.headers().get(UPGRADE).cloned();
    let workspace = hyper::upgrade::on(&mut response);
    let headers = &shared.headers;
    headers.clean_response(response.headers_mut(), permit, &flight.host);
    let lease = shared.revocation.as_ref().map(|all| all.watch(permit));
    let is_websocket = protocol.as_ref().is_some_and(is_websocket);
    let usage = Usage::of(permit);
    // Nothing is read of what nobody wants to know of.
    let are_told = usage.is_some() || place.stay.is_some();
    let meter = Meter::new(usage, (is_websocket && are_told).then(Frames::default));
    tokio::spawn(async move {
        let mut place = place; // all of it, until the end
        tokio::select! {
            () = upgrade::tunnel(client, workspace, meter, place.stay.as_mut()) => {}
            () = watch::revoked(lease.as_ref()) => tracing::debug!("tunnel is no longer allowed"),
        }
    });

    let mut answer = response.map(|_none| ForwardBody::default());
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Some(protocol) = protocol {
        headers.insert(UPGRADE, protocol);
    }
    Ok(answer)
}

/// What a tunnel takes up for as long as it is there.
struct Place {
    _seat: Upgraded,
    stay: Option<Stay>,
}

fn is_websocket(protocol: &HeaderValue) -> bool {
    protocol.as_bytes().eq_ignore_ascii_case(b"websocket")
}

impl InFlight {
    fn is_revoked(&self) -> bool {
        let all = self.shared.revocation.as_ref();
        all.is_some_and(|all| !all.still_allows(&self.permit))
    }

    fn not_connected(&self, why: &ConnectError) -> Refusal {
        tracing::debug!(workspace = %self.permit.info().id, error = %why, "workspace not reached");
        match why {
            ConnectError::NotListening => {
                let lost = self.why_lost();
                lost.unwrap_or_else(|| Refusal::NotListening(self.unanswered()))
            }
            _ => self.unreachable(),
        }
    }

    fn broken(&self, why: &hyper::Error) -> Refusal {
        tracing::debug!(workspace = %self.permit.info().id, error = %why, "workspace did not answer");
        self.unreachable()
    }

    /// Nothing came of it; and if that is so because it is no longer allowed, why.
    fn unreachable(&self) -> Refusal {
        let lost = self.why_lost();
        lost.unwrap_or_else(|| Refusal::Unreachable(self.unanswered()))
    }

    /// What was allowed when it began is not any more, maybe for a share that does not stand.
    fn no_longer_allowed(&self) -> Refusal {
        match (self.why_lost(), self.permit.access()) {
            (Some(why), _) => why,
            (None, Access::Owner) => self.unreachable(),
            (None, _) => Refusal::Denied(Denied::NoToken),
        }
    }

    fn why_lost(&self) -> Option<Refusal> {
        self.shared.revocation.as_ref()?.why_lost(&self.permit)
    }

    fn unanswered(&self) -> Unanswered {
        Unanswered {
            service: self.target.service,
            debug: self.target.debug,
        }
    }
}

/// Between two tries to connect to a server that is on its way up. The longest adds to what
/// a start takes; 100 ms are little beside it, and few connections.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// An answer within this comes as good as at once, and is not asked about again.
const UNNOTICED: Duration = Duration::from_millis(100);
