//! Why a stage answered a request itself.

use std::sync::Arc;

use http::header::{CONNECTION, LOCATION, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use crate::access::Denied;
use crate::host::HostError;
use crate::info::{ProviderError, RunState};
use crate::jitter::Jitter;
use crate::pages::RefusedTo;
use crate::service::WorkspaceService;

/// Why a request went no further.
///
/// The stage that refuses puts this in the extensions of its response, so an
/// outer layer can log it, count it, or draw a page for it. Nothing in it holds a
/// token or an address. One that is [transient](Self::is_transient) says when to try again, two to six seconds later,
/// which differs from client to client: [`Jitter::RETRY`].
///
/// | reason | status |
/// | --- | --- |
/// | `bad-request` | 400, and the connection is closed |
/// | `no-token`, `undecodable-token`, `wrong-token`, `foreign-origin` | 401, 400, 403, 403 |
/// | `misdirected` | 421 |
/// | `unknown-host`, `no-such-workspace` | 404; with a start page 302 for the latter |
/// | `not-running` | 503 |
/// | `wake-queue-full`, `wake-timeout`, `wake-failed`, `wake-body-too-long` | 503, 503, 503, 413 |
/// | `not-listening-yet`, to people and for a while after a start | 503 |
/// | `not-listening`, `unreachable` | 404 for a port or the editor of a debug workspace, else 502 |
/// | `limit-head`, `limit-body-idle`, and the connection is closed | 431, 408 |
/// | `limit-upgrades` | 503 |
/// | `lookup-failed`, `share-not-checked` | 503 |
/// | `link-invalid`, `link-expired`, `link-used`, `link-revoked`, `link-not-navigated` | 403 |
/// | `link-not-checked` | 503 |
/// | `stage-lost` | 500 |
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The request breaks HTTP in a way that proxies and servers read differently.
    #[error("bad request")]
    BadRequest(#[source] BadRequest),
    /// Its credentials do not open what it asks for.
    #[error("access denied")]
    Denied(#[source] Denied),
    /// Whether the workspace exists could not be found out.
    #[error("lookup failed")]
    LookupFailed(#[source] Arc<ProviderError>),
    /// It asks for more than anyone gets.
    #[error("over a limit")]
    OverLimit(#[source] Limit),
    /// It follows a link that does not let it in.
    #[error("link does not let in")]
    Link(#[source] LinkRefused),
    /// It is for another host than the client named when it began to speak TLS. Over a connection of its own it
    /// may succeed.
    #[error("host of the request is not the one named in TLS")]
    Misdirected,
    /// There is no workspace of that name.
    #[error("no such workspace")]
    NoSuchWorkspace,
    /// There is no workspace of that name, and visitors are sent to this page.
    #[error("no such workspace")]
    SentToStartPage(HeaderValue),
    /// The workspace exists and cannot be reached in this state.
    #[error("workspace is not running")]
    NotRunning(RunState),
    /// The workspace does not run, and was not brought up for this request.
    #[error("workspace was not started")]
    NotWoken(#[source] NotWoken),
    /// The workspace runs, and nothing in it listens there.
    #[error("nothing listens there")]
    NotListening(Unanswered),
    /// The workspace has just been started, and nothing in it listens there so far.
    #[error("nothing listens there yet")]
    NotListeningYet(Unanswered),
    /// A layer between two stages passed on another request than it was given.
    #[error("a layer lost what earlier stages proved")]
    StageLost,
    /// The host names no workspace.
    #[error("unknown host")]
    UnknownHost(#[source] HostError),
    /// The server in the workspace did not answer, or not in HTTP.
    #[error("server in the workspace did not answer")]
    Unreachable(Unanswered),
}

/// Which server did not answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Unanswered {
    /// Which one.
    pub service: WorkspaceService,
    /// Whether it is one of the nested debug workspace.
    pub debug: bool,
}

impl Unanswered {
    /// Server `service` of a workspace.
    #[must_use]
    pub fn new(service: WorkspaceService) -> Self {
        let debug = false;
        Self { service, debug }
    }

    /// **Source:** status table of the reference: what users start themselves is "not
    /// found" while it does not answer, what we start is a bad gateway.
    fn status(self) -> StatusCode {
        match (self.service, self.debug) {
            (WorkspaceService::Port(_), _) | (WorkspaceService::Ide, true) => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_GATEWAY,
        }
    }
}

/// Which limit a request goes over.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Limit {
    /// Its head has too many fields, or too long ones.
    #[error("head of the request is too long")]
    Head,
    /// Nothing of its body came for too long.
    #[error("body of the request came too slowly")]
    BodyIdle,
    /// The workspace has as many upgraded connections as it may.
    #[error("too many upgraded connections")]
    Upgrades,
}

impl Limit {
    fn status(self) -> StatusCode {
        match self {
            Self::Head => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyIdle => StatusCode::REQUEST_TIMEOUT,
            Self::Upgrades => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Head => "limit-head",
            Self::BodyIdle => "limit-body-idle",
            Self::Upgrades => "limit-upgrades",
        }
    }
}

/// Why a request was not held until its workspace runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotWoken {
    /// As many wait as may.
    #[error("too many requests wait already")]
    QueueFull,
    /// Its body is too long to wait with.
    #[error("body is too long to wait")]
    BodyTooLong,
    /// It does not run yet, and the time is over.
    #[error("workspace does not run in time")]
    TimedOut,
    /// Somebody stopped it meanwhile.
    #[error("workspace was stopped meanwhile")]
    Stopped,
    /// It was deleted meanwhile.
    #[error("workspace was deleted meanwhile")]
    Gone,
    /// It could not be started, or ended at once.
    #[error("workspace will not start")]
    Failed,
}

impl NotWoken {
    fn reason(self) -> &'static str {
        match self {
            Self::QueueFull => "wake-queue-full",
            Self::BodyTooLong => "wake-body-too-long",
            Self::TimedOut => "wake-timeout",
            Self::Stopped => "wake-stopped",
            Self::Gone => "wake-gone",
            Self::Failed => "wake-failed",
        }
    }
}

/// Why a link does not let somebody in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkRefused {
    /// It was not made here, for this host, and for this use.
    #[error("link is not valid here")]
    Invalid,
    /// Its time is over.
    #[error("link has expired")]
    Expired,
    /// It works once, and was used.
    #[error("link was used before")]
    Used,
    /// Its share was revoked, or its time is over.
    #[error("share was revoked or has expired")]
    Revoked,
    /// Whether it lets in is not known now.
    #[error("link cannot be checked now")]
    NotChecked,
    /// A page asks for it in the background: it has to be opened.
    #[error("link was not opened by a person")]
    NotNavigated,
}

impl LinkRefused {
    fn reason(self) -> &'static str {
        match self {
            Self::Invalid => "link-invalid",
            Self::Expired => "link-expired",
            Self::Used => "link-used",
            Self::Revoked => "link-revoked",
            Self::NotChecked => "link-not-checked",
            Self::NotNavigated => "link-not-navigated",
        }
    }
}

/// How a request breaks HTTP.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BadRequest {
    /// Its target is no path: `CONNECT`, or `*`.
    #[error("target of the request is no path")]
    BadTarget,
    /// It says in two ways, or in an unknown way, how long its body is.
    #[error("length of the body is not clear")]
    UnclearLength,
    /// It names two hosts, or none where HTTP/1.1 wants the field `Host`.
    #[error("host is not clear")]
    UnclearHost,
    /// Its `Upgrade` field is not one plain token list.
    #[error("upgrade is not clear")]
    UnclearUpgrade,
}

impl Refusal {
    /// The status that tells the client.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::Denied(Denied::UndecodableToken) => StatusCode::BAD_REQUEST,
            Self::Denied(Denied::NoToken) => StatusCode::UNAUTHORIZED,
            Self::Denied(Denied::WrongToken | Denied::ForeignOrigin) => StatusCode::FORBIDDEN,
            Self::LookupFailed(_)
            | Self::NotRunning(_)
            | Self::NotListeningYet(_)
            | Self::Denied(Denied::UncheckedShare)
            | Self::Link(LinkRefused::NotChecked) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Link(_) => StatusCode::FORBIDDEN,
            Self::OverLimit(limit) => limit.status(),
            Self::NotWoken(NotWoken::BodyTooLong) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotWoken(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::NoSuchWorkspace | Self::UnknownHost(_) => StatusCode::NOT_FOUND,
            Self::SentToStartPage(_) => StatusCode::FOUND,
            Self::NotListening(server) | Self::Unreachable(server) => server.status(),
            Self::StageLost => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A word for programs. It stays the same between versions.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad-request",
            Self::Denied(Denied::NoToken) => "no-token",
            Self::Denied(Denied::UndecodableToken) => "undecodable-token",
            Self::Denied(Denied::WrongToken) => "wrong-token",
            Self::Denied(Denied::ForeignOrigin) => "foreign-origin",
            Self::Denied(Denied::UncheckedShare) => "share-not-checked",
            Self::Link(why) => why.reason(),
            Self::OverLimit(limit) => limit.reason(),
            Self::LookupFailed(_) => "lookup-failed",
            Self::Misdirected => "misdirected",
            Self::NoSuchWorkspace | Self::SentToStartPage(_) => "no-such-workspace",
            Self::NotRunning(_) => "not-running",
            Self::NotWoken(why) => why.reason(),
            Self::NotListening(_) => "not-listening",
            Self::NotListeningYet(_) => "not-listening-yet",
            Self::StageLost => "stage-lost",
            Self::UnknownHost(_) => "unknown-host",
            Self::Unreachable(_) => "unreachable",
        }
    }

    /// Whether the same request can succeed a little later without anyone doing something.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::LookupFailed(why) => why.is_transient(),
            Self::NotRunning(state) => *state == RunState::Starting,
            Self::NotWoken(why) => matches!(why, NotWoken::QueueFull | NotWoken::TimedOut),
            Self::Denied(Denied::UncheckedShare)
            | Self::Link(LinkRefused::NotChecked)
            | Self::NotListeningYet(_)
            | Self::OverLimit(Limit::Upgrades) => true,
            _ => false,
        }
    }

    /// The same, or a redirect to `page` if the workspace is unknown and there is one.
    pub(crate) fn or_redirect(self, page: Option<HeaderValue>) -> Self {
        match (self, page) {
            (Self::NoSuchWorkspace, Some(page)) => Self::SentToStartPage(page),
            (other, _) => other,
        }
    }

    /// A response with this refusal in its extensions, and an empty body.
    #[must_use]
    pub fn into_response<B: Default>(self) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        if matches!(
            self,
            Self::BadRequest(_) | Self::OverLimit(Limit::Head | Limit::BodyIdle)
        ) {
            // What follows on the connection may be part of this request.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Self::SentToStartPage(url) = &self {
            headers.insert(LOCATION, url.clone());
        }
        if self.is_transient() {
            headers.insert(RETRY_AFTER, Jitter::RETRY.retry_after());
        }
        response.extensions_mut().insert(self);
        response
    }

    /// The same, with whom it is told to beside it.
    pub(crate) fn into_response_to<B: Default>(self, to: RefusedTo) -> Response<B> {
        let mut response = self.into_response();
        response.extensions_mut().insert(to);
        response
    }
}

impl From<HostError> for Refusal {
    fn from(why: HostError) -> Self {
        match why.is_malformed() {
            true => Self::BadRequest(BadRequest::UnclearHost),
            false => Self::UnknownHost(why),
        }
    }
}
