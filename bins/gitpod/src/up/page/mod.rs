//! The page: all workspaces, for the person at this machine.
//!
//! ```text
//! request ─▶ front ─┬─ Host is localhost, 127.0.0.1 or [::1] ─▶ guard ─▶ home · events · logs · change
//!                   └─ any other ────────────────────────────▶ the proxy, to workspaces
//! ```
//!
//! It shares a browser with pages of workspaces, which are hostile. What keeps them
//! out, each by itself:
//!
//! | | against |
//! |---|---|
//! | only those three names, never one that workspaces are a part of | DNS rebinding, cookies set for a common domain |
//! | a cookie that a one-time link gave, `HttpOnly`, `SameSite=Strict`, of this host alone | everybody who does not have the link |
//! | `Origin` must be this very origin, port included, for whatever changes something | forms and `fetch` of other pages, also of other ports of localhost |
//! | `Sec-Fetch-*` must say that this page itself asks | embedding, reading by `<script>`, navigation that changes something |
//! | no CORS header, ever; bodies are JSON only | the same from browsers that do not say `Sec-Fetch-*` |
//! | a policy without `unsafe-*`, no frames, trusted types | markup that got in somehow |

mod card;
mod change;
mod events;
mod form;
mod front;
mod guard;
mod home;
mod logs;
mod open;
mod refusal;
mod service;
mod session;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use gitpod_routing::{WayIn, WorkspaceId};
use tokio_util::sync::CancellationToken;

pub(crate) use self::front::Front;
pub(crate) use self::home::COOKIE;
use self::session::Sessions;
use crate::exit::Failure;
use crate::workspaces::Workspaces;

/// What the page shows and who may see it. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    workspaces: Workspaces,
    sessions: Sessions,
    domain: String,
    address: SocketAddr,
    /// Streams to browsers end with it.
    closing: CancellationToken,
}

impl Page {
    /// The page of `workspaces`, whose sessions are kept in `state_dir`.
    pub(crate) fn open(
        workspaces: Workspaces,
        domain: &str,
        address: SocketAddr,
        state_dir: &Path,
    ) -> Result<Self, Failure> {
        let sessions = Sessions::open(state_dir.join(SESSIONS))?;
        Ok(Self {
            shared: Arc::new(Shared {
                workspaces,
                sessions,
                domain: domain.to_owned(),
                address,
                closing: CancellationToken::new(),
            }),
        })
    }

    /// Where workspaces are.
    pub(crate) fn domain(&self) -> &str {
        &self.shared.domain
    }

    /// Where it is, for everybody.
    pub(crate) fn url(&self) -> String {
        match self.shared.address.port() {
            80 => "http://localhost/".to_owned(),
            port => format!("http://localhost:{port}/"),
        }
    }

    /// Where workspace `id` is on it, for who may want to start it.
    pub(crate) fn url_of(&self, id: &WorkspaceId) -> String {
        format!("{}#{id}", self.url())
    }

    /// The way into workspace `id`, or to a port of it, for its owner.
    pub(crate) fn way_in(&self, id: &WorkspaceId, port: Option<u16>) -> WayIn {
        let path = open::path(id, port);
        let url = format!("{}{path}", self.url().trim_end_matches('/'));
        let port = port.map_or_else(String::new, |port| format!(" --port {port}"));
        WayIn::new(url, format!("gitpod open {id}{port}"))
    }

    /// A link that signs in whoever opens it first, for a quarter of an hour.
    pub(crate) fn sign_in_link(&self) -> std::io::Result<String> {
        let once = self.shared.sessions.invite()?;
        Ok(format!("{}sign-in?once={once}", self.url()))
    }

    /// Ends all streams to browsers.
    pub(crate) fn close(&self) {
        self.shared.closing.cancel();
    }

    fn router(&self) -> Router {
        let changes = Router::new()
            .route("/api/workspaces", post(change::create))
            .route("/api/workspaces/{id}/start", post(change::start))
            .route("/api/workspaces/{id}/stop", post(change::stop))
            .route("/api/workspaces/{id}/delete", post(change::delete))
            .route("/api/workspaces/{id}/ports", post(change::port))
            .route("/api/workspaces/{id}/timeout", post(change::timeout))
            .route("/api/workspaces/{id}/wake", post(change::wake))
            .route("/api/workspaces/{id}/shares", post(change::share))
            .route(
                "/api/workspaces/{id}/shares/{share}/revoke",
                post(change::unshare),
            )
            .route("/api/sign-out", post(home::sign_out))
            .layer(middleware::from_fn_with_state(self.clone(), guard::change));
        let reads = Router::new()
            .route("/api/events", get(events::events))
            .route("/api/workspaces/{id}/logs", get(logs::logs))
            .layer(middleware::from_fn_with_state(self.clone(), guard::read));
        let pages = Router::new()
            .route("/", get(home::home))
            .route("/open/{id}", get(open::workspace))
            .route("/open/{id}/{port}", get(open::port))
            .layer(middleware::from_fn_with_state(self.clone(), guard::visit));
        let open_to_all = Router::new()
            .route("/sign-in", get(home::sign_in))
            .route("/static/{name}", get(home::asset));
        changes
            .merge(reads)
            .merge(pages)
            .merge(open_to_all)
            .fallback(refusal::nothing_here)
            .method_not_allowed_fallback(refusal::wrong_method)
            .layer(DefaultBodyLimit::max(MOST_BYTES))
            .layer(middleware::from_fn(refusal::explain))
            .layer(middleware::from_fn(guard::secure))
            .with_state(self.clone())
    }
}

/// File in the state directory.
const SESSIONS: &str = "page-sessions.json";
/// The longest body is a form with a URL in it.
const MOST_BYTES: usize = 16 * 1024;
