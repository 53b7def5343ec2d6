//! The page itself, and how one gets in and out.

use askama::Template;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use gitpod_routing::WorkspaceId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::form::Named;
use super::refusal::{self, Refusal};
use super::session::SESSION;
use super::{Page, guard, open};
use crate::port;

/// The page. What changes is filled in by its script from the events.
#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    domain: &'a str,
    version: &'a str,
}

/// What somebody sees for a moment who came from elsewhere.
#[derive(Template)]
#[template(path = "come_again.html")]
struct ComeAgain {
    /// What she wanted to open.
    workspace: Option<Wanted>,
}

/// A workspace, and the way into it.
struct Wanted {
    name: String,
    path: String,
}

impl Wanted {
    /// What `/open/ID` and `/open/ID/PORT` lead to.
    fn at(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/open/")?;
        let (id, port) = rest
            .split_once('/')
            .map_or((rest, None), |(id, port)| (id, Some(port)));
        let id: WorkspaceId = id.parse().ok()?;
        let port = port.map(port::read).transpose().ok()?;
        Some(Self {
            name: port.map_or_else(|| id.to_string(), |port| format!("port {port} of {id}")),
            path: open::path(&id, port),
        })
    }
}

pub(super) async fn home(State(page): State<Page>) -> Response {
    let home = Home {
        domain: &page.shared.domain,
        version: env!("CARGO_PKG_VERSION"),
    };
    drawn(StatusCode::OK, &home)
}

/// By itself only to the page, never to where the other page wanted to send its visitor:
/// at `path` a workspace may be opened, which takes her own click.
pub(super) fn come_again(path: &str) -> Response {
    let workspace = Wanted::at(path);
    drawn(StatusCode::OK, &ComeAgain { workspace })
}

fn drawn(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, axum::response::Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "the page cannot be drawn");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    #[serde(default)]
    once: String,
}

/// Turns a link that is good for once into a session.
///
/// A browser that only fetches ahead, or a frame, does not use it up.
pub(super) async fn sign_in(
    State(page): State<Page>,
    method: Method,
    headers: HeaderMap,
    link: Result<Query<SignIn>, QueryRejection>,
) -> Response {
    let ahead = ["sec-purpose", "purpose"]
        .iter()
        .any(|name| headers.contains_key(*name));
    if ahead || method != Method::GET || !guard::is_whole_page(&headers) {
        return Refusal::signed_out(StatusCode::FORBIDDEN).into_response();
    }
    // What cannot be read is no link of ours.
    let once = link.map_or_else(|_| String::new(), |Query(link)| link.once);
    match page.shared.sessions.accept(&once) {
        Ok(Some(secret)) => {
            let cookie = page.cookie(&secret, SESSION.as_secs());
            ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
        }
        // The link was opened twice.
        Ok(None) if page.session_of(&headers).is_some() => Redirect::to("/").into_response(),
        Ok(None) => Refusal::link_expired().into_response(),
        Err(why) => {
            tracing::warn!(%why, "sessions of the page cannot be kept");
            Refusal::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "who is signed in cannot be written down",
                "free some space in the state directory",
            )
            .into_response()
        }
    }
}

pub(super) async fn sign_out(
    State(page): State<Page>,
    headers: HeaderMap,
) -> (HeaderMap, Json<Value>) {
    if let Some(secret) = page.session_of(&headers)
        && let Err(why) = page.shared.sessions.end(&secret)
    {
        tracing::warn!(%why, "that somebody signed out is not written down");
    }
    let mut answer = HeaderMap::new();
    if let Ok(cookie) = HeaderValue::from_str(&page.cookie("", 0)) {
        answer.insert(header::SET_COOKIE, cookie);
    }
    (answer, Json(json!({})))
}

impl Page {
    /// The secret of the session that a request brings.
    pub(super) fn session_of(&self, headers: &HeaderMap) -> Option<String> {
        let wanted = self.cookie_name();
        let lines = headers.get_all(header::COOKIE).iter();
        lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(name, _)| *name == wanted)
            .map(|(_, value)| value)
            .find(|secret| self.shared.sessions.is_signed_in(secret))
            .map(str::to_owned)
    }

    /// With the port in it, as cookies of a host are the same for all its ports.
    fn cookie_name(&self) -> String {
        format!("{COOKIE}{}", self.shared.address.port())
    }

    /// Without `Secure`, and therefore without the prefix `__Host-`: this is plain HTTP,
    /// where browsers do not take such cookies, not even all of them on localhost.
    fn cookie(&self, secret: &str, seconds: u64) -> String {
        let name = self.cookie_name();
        format!("{name}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}")
    }
}

/// What the names of all cookies of pages begin with. No workspace gets to see one.
pub(crate) const COOKIE: &str = "gitpod_page_";

pub(super) async fn asset(Named(name): Named<String>) -> Response {
    let Some((_, kind, text)) = ASSETS.iter().find(|(known, ..)| *known == name) else {
        return refusal::nothing_here().await.into_response();
    };
    ([(header::CONTENT_TYPE, *kind)], *text).into_response()
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const ASSETS: [(&str, &str, &str); 9] = [
    (
        "style.css",
        "text/css; charset=utf-8",
        include_str!("../../../static/style.css"),
    ),
    ("app.js", SCRIPT, include_str!("../../../static/app.js")),
    ("again.js", SCRIPT, include_str!("../../../static/again.js")),
    ("api.js", SCRIPT, include_str!("../../../static/api.js")),
    ("card.js", SCRIPT, include_str!("../../../static/card.js")),
    (
        "dialog.js",
        SCRIPT,
        include_str!("../../../static/dialog.js"),
    ),
    ("dom.js", SCRIPT, include_str!("../../../static/dom.js")),
    ("logs.js", SCRIPT, include_str!("../../../static/logs.js")),
    ("ports.js", SCRIPT, include_str!("../../../static/ports.js")),
];
