//! Explanations in plain text and JSON.

use std::borrow::Cow;

use http::HeaderValue;

use crate::access::Denied;
use crate::info::RunState;
use crate::pages::{Page, WayIn};
use crate::refusal::{Limit, LinkRefused, NotWoken, Refusal, Unanswered};
use crate::service::WorkspaceService;

/// What happened, and what to do about it. Holds nothing that came with the request but
/// a port number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Explanation {
    pub(crate) title: Cow<'static, str>,
    pub(crate) advice: Cow<'static, str>,
    /// Where the owner can start the workspace.
    pub(crate) start_url: Option<String>,
    /// How the owner gets in.
    pub(crate) way_in: Option<WayIn>,
}

impl Explanation {
    pub(crate) fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::BadRequest(_) => fixed(
                "Bad request",
                "The request is not clear HTTP; it was not passed on.",
            ),
            Refusal::Denied(why) => denied(*why),
            Refusal::LookupFailed(_) => fixed(
                "Workspace list is not available",
                "Whether this workspace exists is not known right now. Try again in a moment.",
            ),
            Refusal::Link(why) => link(*why),
            Refusal::OverLimit(limit) => over_limit(*limit),
            Refusal::Misdirected => fixed(
                "Wrong connection",
                "This connection was opened for another host. Ask again over a connection of its own; browsers do so by themselves.",
            ),
            Refusal::NoSuchWorkspace | Refusal::SentToStartPage(_) => fixed(
                "No such workspace",
                "There is no workspace of this name here. Check the address, or start the workspace.",
            ),
            Refusal::NotRunning(state) => not_running(*state),
            Refusal::NotWoken(why) => not_woken(*why),
            Refusal::NotListening(server) => unanswered(*server),
            Refusal::Unreachable(server) => unreachable(*server),
            Refusal::NotListeningYet(server) => unanswered_yet(*server),
            Refusal::StageLost => fixed(
                "Internal error",
                "The proxy is put together wrongly. Tell its operator.",
            ),
            Refusal::UnknownHost(_) => fixed(
                "Unknown host",
                "This host name belongs to no workspace. An address has the form [<port>-]<workspace id>.<domain>, with a port from 1 to 65535.",
            ),
        }
    }

    /// The owner is told of `way`; what a program can do stays said.
    pub(crate) fn with_way_in(self, way: WayIn) -> Self {
        Self {
            title: "This workspace is private".into(),
            advice: "It is open to its owner, who signs this browser in from the page of all workspaces or by a command in a terminal, for each start of the workspace anew; to whoever has a link that shares it; and to programs that send the owner token of this run in the header x-gitpod-owner-token.".into(),
            way_in: Some(way),
            ..self
        }
    }

    pub(crate) fn text(&self) -> Page {
        let mut body = format!("{}\n\n{}\n", self.title, self.advice);
        if let Some(url) = &self.start_url {
            body.push_str(&format!("\nStart it: {url}\n"));
        }
        if let Some(way) = &self.way_in {
            body.push_str(&format!("\nOpen it: {}\n", way.command));
            body.push_str(&format!("In a browser: {}\n", way.url));
        }
        Page::new(HeaderValue::from_static("text/plain; charset=utf-8"), body)
    }

    /// Titles and advices are our own words without quotes or backslashes, so they need no
    /// escaping; a test reads each of them back. Other text with one of them is left out.
    pub(crate) fn json(&self, refusal: &Refusal) -> Page {
        let more = [
            ("start_url", self.start_url.as_ref()),
            ("open_url", self.way_in.as_ref().map(|way| &way.url)),
            ("open_command", self.way_in.as_ref().map(|way| &way.command)),
        ];
        let is_plain = |text: &&String| !text.contains(|c: char| c == '"' || c == '\\' || c < ' ');
        let more = more.into_iter().filter_map(|(name, text)| {
            let text = text.filter(is_plain)?;
            Some(format!(r#","{name}":"{text}""#))
        });
        let more: String = more.collect();
        let body = format!(
            r#"{{"type":"about:blank","status":{},"reason":"{}","title":"{}","detail":"{}"{more}}}"#,
            refusal.status().as_u16(),
            refusal.reason(),
            self.title,
            self.advice,
        );
        Page::new(HeaderValue::from_static("application/problem+json"), body)
    }
}

fn denied(why: Denied) -> Explanation {
    match why {
        Denied::NoToken => fixed(
            "Access denied",
            "This is private. Open it from a browser that is signed in as the owner, send the owner token in the header x-gitpod-owner-token, or have the owner make it public.",
        ),
        Denied::UndecodableToken => fixed(
            "Unreadable token",
            "The owner token is not form-encoded text.",
        ),
        Denied::WrongToken => fixed(
            "Access denied",
            "The owner token is not the one of this run of the workspace. Each start makes a new one; get it again.",
        ),
        Denied::UncheckedShare => fixed(
            "Shares cannot be checked",
            "Whether this is still shared with you is not known right now. Try again in a moment.",
        ),
        Denied::ForeignOrigin => fixed(
            "Access denied",
            "A web page of another origin may not use this workspace in your name. Open it by itself. If the page is one of this workspace, it hides where it comes from: leave out its Referrer-Policy no-referrer or same-origin.",
        ),
    }
}

fn over_limit(limit: Limit) -> Explanation {
    match limit {
        Limit::Head => fixed(
            "Request is too long",
            "It has too many header fields, or too long ones. Cookies of many sites add up: clear those of this domain.",
        ),
        Limit::BodyIdle => fixed(
            "Request came too slowly",
            "Nothing of its body came for a long time. Send it again.",
        ),
        Limit::Upgrades => fixed(
            "Too many connections",
            "This workspace has as many WebSockets open as it may. Close some, or try again in a moment.",
        ),
    }
}

fn link(why: LinkRefused) -> Explanation {
    match why {
        LinkRefused::Invalid => fixed(
            "Link is not valid",
            "It was not made for this address, or not copied as a whole. Get a new one.",
        ),
        LinkRefused::Expired => fixed(
            "Link has expired",
            "Get a new one from the page of the installation, with gitpod open, or from who shared it.",
        ),
        LinkRefused::Used => fixed(
            "Link was used before",
            "Links that make you the owner work once. Get a new one from the page of the installation, or with gitpod open.",
        ),
        LinkRefused::Revoked => fixed(
            "This is no longer shared",
            "The owner ended this share, or its time is over. Ask for a new link.",
        ),
        LinkRefused::NotChecked => fixed(
            "Links cannot be checked",
            "Whether this link is good is not known right now. Try again in a moment.",
        ),
        LinkRefused::NotNavigated => fixed(
            "Link was not opened",
            "This link has to be opened in a browser, not loaded by a page.",
        ),
    }
}

fn not_running(state: RunState) -> Explanation {
    match state {
        RunState::Starting => fixed(
            "Workspace is starting",
            "It will be here in a moment. Try again.",
        ),
        RunState::Stopping => fixed(
            "Workspace is stopping",
            "Start it again once it has stopped.",
        ),
        _ => fixed(
            "Workspace is not running",
            "Start it and try again. Its files are kept.",
        ),
    }
}

fn not_woken(why: NotWoken) -> Explanation {
    match why {
        NotWoken::QueueFull => fixed(
            "Workspace is starting",
            "Too many requests wait for it already. Try again in a moment.",
        ),
        NotWoken::BodyTooLong => fixed(
            "Workspace is not running",
            "It is started for smaller requests, and not for one with a body of this length. Open it first, then send this again.",
        ),
        NotWoken::TimedOut => fixed(
            "Workspace is still starting",
            "It was started for this request and takes longer than a request can wait. Try again in a moment.",
        ),
        NotWoken::Stopped => fixed(
            "Workspace was stopped",
            "Somebody stopped it while it was starting for this request. Try again to have it started.",
        ),
        NotWoken::Gone => fixed(
            "Workspace was deleted",
            "Somebody deleted it while it was starting for this request.",
        ),
        NotWoken::Failed => fixed(
            "Workspace did not start",
            "It was asked to start for this request, and could not. Look at its logs, or start it by hand to see why.",
        ),
    }
}

fn unanswered(server: Unanswered) -> Explanation {
    match server.service {
        WorkspaceService::Port(port) => Explanation {
            title: format!("Port {port} is not open").into(),
            advice: format!(
                "No server in the workspace answers on port {port}. Start one there, for example with: python3 -m http.server {port} - then reload. It may listen on 127.0.0.1 or on all addresses."
            )
            .into(),
            start_url: None,
            way_in: None,
        },
        WorkspaceService::Ide => fixed(
            "Editor does not answer",
            "The workspace runs, and its editor does not answer yet. Try again in a moment.",
        ),
        WorkspaceService::Supervisor => fixed(
            "Workspace does not answer",
            "The workspace runs, and its supervisor does not answer. Try again in a moment, or restart the workspace.",
        ),
    }
}

/// Somebody listens, or may: it is not said that nobody does.
fn unreachable(server: Unanswered) -> Explanation {
    let WorkspaceService::Port(port) = server.service else {
        return unanswered(server);
    };
    Explanation {
        title: format!("Port {port} does not answer as a web server").into(),
        advice: format!(
            "Something in the workspace listens on port {port}, but it closed the connection, was silent for too long, or answered with something that is not HTTP. Look at what it prints. A server that speaks HTTPS needs the line `protocol: https` at its port in .gitpod.yml."
        )
        .into(),
        start_url: None,
        way_in: None,
    }
}

fn unanswered_yet(server: Unanswered) -> Explanation {
    let WorkspaceService::Port(port) = server.service else {
        return not_running(RunState::Starting);
    };
    Explanation {
        title: format!("Port {port} is not open yet").into(),
        advice: "The workspace has just been started. This page follows as soon as a server in it answers here.".into(),
        start_url: None,
        way_in: None,
    }
}

fn fixed(title: &'static str, advice: &'static str) -> Explanation {
    Explanation {
        title: title.into(),
        advice: advice.into(),
        start_url: None,
        way_in: None,
    }
}
