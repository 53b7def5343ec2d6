//! One request, one answer.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header::{CONNECTION, EXPECT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep, timeout};

use crate::forward::body::{ForwardBody, RequestBody};
use crate::forward::connect::{ConnectError, Connection, DialTarget};
use crate::forward::continuing::Gate;
use crate::forward::frames::Frames;
use crate::forward::headers::OwnHost;
use crate::forward::pool::{Checkin, Sender};
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

/// Forwards `request`, which `permit` lets through.
pub(crate) async fn exchange<B>(
    shared: &Shared,
    permit: &Permit,
    mut request: Request<B>,
) -> Result<Response<ForwardBody>, Refusal>
where
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    let began = Exchange::begin(&request);
    let asked = match request.version() {
        Version::HTTP_11 => {
            headers::requested_upgrade(request.headers()).map_err(Refusal::BadRequest)?
        }
        _ => None,
    };
    // Only now: it marks the connection as one that may change its protocol.
    let client = asked.as_ref().map(|_| hyper::upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    let place = asked
        .as_ref()
        .map(|_| shared.place_for(permit, &mut parts))
        .transpose()?;
    let host = shared
        .headers
        .prepare(&mut parts, permit, asked.clone())
        .map_err(Refusal::BadRequest)?;
    let target = DialTarget::of(permit);
    let body = RequestBody::new(body).watched(|| Watch::of(shared, permit, Counts::AsUse));
    let (body, is_idle) = body.with_patience(shared.limits.body_idle);
    let request = Request::from_parts(head_only(parts), body);
    let sent = watch::while_allowed(shared, permit, send(shared, permit, &target, request)).await;
    let sent = sent.unwrap_or_else(|| Err(Refusal::Unreachable(unanswered(&target))));
    let (mut response, sender) = sent.map_err(|why| match is_idle {
        Some(is_idle) if is_idle.load(Ordering::SeqCst) => Refusal::OverLimit(Limit::BodyIdle),
        _ => why,
    })?;
    if began.took() > UNNOTICED && shared.has_revoked(permit) {
        return Err(Refusal::Unreachable(unanswered(&target)));
    }
    // The version is one of a connection: what the server speaks says nothing about ours.
    *response.version_mut() = Version::HTTP_11;
    began.count(
        "gitpod_ws_proxy_http_client_requests_total",
        "gitpod_ws_proxy_http_client_requests_duration_seconds",
        Served::of(permit).label(),
        response.status(),
    );
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let asked = asked.zip(client).zip(place);
        return switch(shared, permit, &host, asked, response);
    }
    shared
        .headers
        .clean_response(response.headers_mut(), permit, &host);
    let checkin = Checkin {
        pool: shared.pool.clone(),
        target,
        sender,
    };
    Ok(streamed(shared, permit, checkin, response))
}

/// `response`, with a body that brings its connection back at the end.
fn streamed(
    shared: &Shared,
    permit: &Permit,
    checkin: Checkin,
    response: Response<Incoming>,
) -> Response<ForwardBody> {
    response.map(|body| {
        let body = ForwardBody::new(body, Some(checkin));
        let counts = match body.size_hint().exact() {
            Some(_) => Counts::AsUse,
            None => Counts::Not,
        };
        body.watched(|| Watch::of(shared, permit, counts))
    })
}

/// `parts` without the extensions that layers before us have left.
fn head_only(mut parts: Parts) -> Parts {
    parts.extensions.clear();
    parts
}

/// Sends `request` over an idle connection, or over a new one.
async fn send(
    shared: &Shared,
    permit: &Permit,
    target: &DialTarget,
    request: Request<RequestBody>,
) -> Result<(Response<Incoming>, Sender), Refusal> {
    let is_websocket = request.headers().contains_key(SEC_WEBSOCKET_KEY);
    // A WebSocket keeps its connection, and wants one that spells names.
    let idle = (!is_websocket).then(|| shared.pool.take(target)).flatten();
    let request = match idle {
        None => request,
        Some(sender) => {
            let again = repeatable(&request);
            match send_over(sender, request).await {
                Ok(answer) => return Ok(answer),
                // Never sent, or harmless to send again: the server had closed while idle.
                Err(Failed {
                    unsent: Some(request),
                    ..
                }) => *request,
                Err(Failed { why, .. }) => again.ok_or_else(|| unreachable(target, &why))?,
            }
        }
    };
    let connection = dial_patiently(shared, permit, target).await?;
    let connection: Connection = match is_websocket {
        true => Box::new(Spelled::new(connection)),
        false => connection,
    };
    let sender = handshake(target, connection).await?;
    send_over(sender, request)
        .await
        .map_err(|failed| unreachable(target, &failed.why))
}

struct Failed {
    why: hyper::Error,
    unsent: Option<Box<Request<RequestBody>>>,
}

async fn send_over(
    mut sender: Sender,
    mut request: Request<RequestBody>,
) -> Result<(Response<Incoming>, Sender), Failed> {
    if expects_continue(&request) {
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
    }
    match sender.try_send_request(request).await {
        Ok(response) => Ok((response, sender)),
        Err(mut failed) => Err(Failed {
            unsent: failed.take_message().map(Box::new),
            why: failed.into_error(),
        }),
    }
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
async fn dial_patiently(
    shared: &Shared,
    permit: &Permit,
    target: &DialTarget,
) -> Result<Connection, Refusal> {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let why = match dial(shared, target).await {
            Ok(connection) => return Ok(connection),
            Err(why) => why,
        };
        let is_over = |until| Instant::now() + pause > until;
        let is_lost = matches!(why, ConnectError::Refused(_)) || shared.has_revoked(permit);
        if is_lost || permit.patience().is_none_or(is_over) {
            return Err(not_connected(target, &why));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn dial(shared: &Shared, target: &DialTarget) -> Result<Connection, ConnectError> {
    timeout(shared.limits.connect, reach(shared, target))
        .await
        .unwrap_or(Err(ConnectError::TimedOut))
}

async fn reach(shared: &Shared, target: &DialTarget) -> Result<Connection, ConnectError> {
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

async fn handshake(target: &DialTarget, connection: Connection) -> Result<Sender, Refusal> {
    let (sender, driver) = http1::handshake(TokioIo::new(connection))
        .await
        .map_err(|why| unreachable(target, &why))?;
    // Ends with the connection, which ends when nobody holds `sender`.
    tokio::spawn(async move {
        if let Err(why) = driver.with_upgrades().await {
            tracing::debug!(error = %why, "connection to workspace broke");
        }
    });
    Ok(sender)
}

/// Answers a `101`: with a tunnel if it is what was asked for, and with a refusal otherwise.
fn switch(
    shared: &Shared,
    permit: &Permit,
    host: &OwnHost,
    asked: Option<((HeaderValue, OnUpgrade), Place)>,
    mut response: Response<Incoming>,
) -> Result<Response<ForwardBody>, Refusal> {
    let server = Unanswered {
        service: permit.service(),
        debug: permit.target().debug,
    };
    let agreed = asked.filter(|((asked, _), _)| upgrade::is_agreed(asked, response.headers()));
    let Some(((_, client), place)) = agreed else {
        tracing::debug!("workspace switched to a protocol that was not asked for");
        return Err(Refusal::Unreachable(server));
    };
    let protocol = response.headers().get(UPGRADE).cloned();
    let workspace = hyper::upgrade::on(&mut response);
    shared
        .headers
        .clean_response(response.headers_mut(), permit, host);
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

impl Shared {
    /// A place for the tunnel that a request may become.
    fn place_for(&self, permit: &Permit, parts: &mut Parts) -> Result<Place, Refusal> {
        let seat = self.upgrades.admit(&permit.info().id);
        Ok(Place {
            _seat: seat.ok_or(Refusal::OverLimit(Limit::Upgrades))?,
            stay: parts.extensions.remove(),
        })
    }

    fn has_revoked(&self, permit: &Permit) -> bool {
        let all = self.revocation.as_ref();
        all.is_some_and(|all| !all.still_allows(permit))
    }
}

fn not_connected(target: &DialTarget, why: &ConnectError) -> Refusal {
    tracing::debug!(workspace = %target.info.id, error = %why, "workspace not reached");
    match why {
        ConnectError::NotListening => Refusal::NotListening(unanswered(target)),
        _ => Refusal::Unreachable(unanswered(target)),
    }
}

fn unreachable(target: &DialTarget, why: &hyper::Error) -> Refusal {
    tracing::debug!(workspace = %target.info.id, error = %why, "workspace did not answer");
    Refusal::Unreachable(unanswered(target))
}

fn unanswered(target: &DialTarget) -> Unanswered {
    Unanswered {
        service: target.service,
        debug: target.debug,
    }
}

/// Between two tries to connect to a server that is on its way up. The longest adds to what
/// a start takes; 100 ms are little beside it, and few connections.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// An answer within this comes as good as at once, and is not asked about again.
const UNNOTICED: Duration = Duration::from_millis(100);
