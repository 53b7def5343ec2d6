//! What a refused client gets to read.

mod accept;
#[cfg(feature = "pages")]
mod html;
mod text;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

pub use self::accept::Format;
use self::text::Explanation;
use crate::access::{Access, Denied};
use crate::host::{Endpoint, HostTarget};
use crate::id::WorkspaceId;
use crate::info::RunState;
use crate::refusal::{LinkRefused, NotWoken, Refusal};

/// Draws pages for refused requests.
///
/// Called once for each refused request, on its path: return at once. A page must not
/// hold tokens or addresses; a [`Refusal`] holds neither. Text that goes into HTML needs
/// escaping.
///
/// # Source
///
/// Chosen by us: the reference answers most refusals with an empty body.
pub trait Pages: fmt::Debug + Send + Sync + 'static {
    /// The body that tells a client in `format` of `refusal`. Another format may be given.
    fn page(&self, refusal: &Refusal, format: Format) -> Page;

    /// The same for somebody of whom more is known: here a button can stand that starts the
    /// workspace. Called in the place of [`page`](Self::page), which the default calls.
    fn page_for(&self, refusal: &Refusal, format: Format, _to: &RefusedTo) -> Page {
        self.page(refusal, format)
    }
}

/// Whom a refusal is told to: somebody who may use the workspace, or who asked for one that
/// there is and may not.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RefusedTo {
    /// What was asked for.
    pub workspace: WorkspaceId,
    /// As whom; anonymously, if access was denied.
    pub access: Access,
    /// At which of its ports, if access was denied there.
    pub port: Option<u16>,
}

impl RefusedTo {
    /// Somebody who came to `workspace` as `access`.
    #[must_use]
    pub fn new(workspace: WorkspaceId, access: Access) -> Self {
        let port = None;
        Self {
            workspace,
            access,
            port,
        }
    }

    /// Somebody who may not use `target`.
    pub(crate) fn nobody(target: &HostTarget) -> Self {
        let port = match target.endpoint {
            Endpoint::Port(number) => Some(number),
            Endpoint::Ide => None,
        };
        Self {
            port,
            ..Self::new(target.workspace.clone(), Access::Anonymous)
        }
    }
}

/// How the owner of a workspace gets into it with a browser that is not signed in to it.
///
/// Everybody is told of it who knows the workspace's address, so it must not hold a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct WayIn {
    /// A page of the installation, which knows who is signed in there.
    pub url: String,
    /// What to type in a terminal, of letters that need no escaping.
    pub command: String,
}

impl WayIn {
    /// By the page at `url`, or by typing `command`.
    #[must_use]
    pub fn new(url: impl Into<String>, command: impl Into<String>) -> Self {
        let (url, command) = (url.into(), command.into());
        Self { url, command }
    }
}

/// The body of a response, and its type.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page {
    /// Value of `Content-Type`.
    pub content_type: HeaderValue,
    /// The text.
    pub body: Bytes,
    /// Value of `Content-Security-Policy`, if not one that allows inline styles and nothing
    /// else.
    pub policy: Option<HeaderValue>,
}

impl Page {
    /// `body` of type `content_type`.
    #[must_use]
    pub fn new(content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self {
            content_type,
            body: body.into(),
            policy: None,
        }
    }

    /// With a `Content-Security-Policy` of its own, such as one that names its styles by
    /// their hashes.
    #[must_use]
    pub fn with_policy(mut self, policy: HeaderValue) -> Self {
        self.policy = Some(policy);
        self
    }
}

/// Small pages in English: what happened, and what to do.
///
/// HTML needs feature `pages`; without it browsers get plain text.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct BuiltInPages {
    start: Option<Arc<StartUrl>>,
    way_in: Option<Arc<FindWayIn>>,
}

type StartUrl = dyn Fn(&WorkspaceId) -> String + Send + Sync;
type FindWayIn = dyn Fn(&WorkspaceId, Option<u16>) -> WayIn + Send + Sync;

impl BuiltInPages {
    /// The pages.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Leads the owner of a stopped workspace to `url` of it, where it can be started.
    ///
    /// That is a page of the installation: what is on a workspace's own host could be asked
    /// for by what runs in it.
    #[must_use]
    pub fn with_start_url(
        mut self,
        url: impl Fn(&WorkspaceId) -> String + Send + Sync + 'static,
    ) -> Self {
        self.start = Some(Arc::new(url));
        self
    }

    /// Tells who is denied access to a workspace, or to a port of it, or comes with a link
    /// that lets nobody in any more, which way its owner takes.
    #[must_use]
    pub fn with_way_in(
        mut self,
        way_in: impl Fn(&WorkspaceId, Option<u16>) -> WayIn + Send + Sync + 'static,
    ) -> Self {
        self.way_in = Some(Arc::new(way_in));
        self
    }

    fn way_in(&self, refusal: &Refusal, to: &RefusedTo) -> Option<WayIn> {
        let is_left_outside = matches!(
            refusal,
            Refusal::Denied(Denied::NoToken | Denied::WrongToken)
                | Refusal::Link(LinkRefused::Used | LinkRefused::Expired)
        );
        let find = self.way_in.as_ref().filter(|_| is_left_outside)?;
        Some(find(&to.workspace, to.port)).filter(|way| is_web(&way.url))
    }

    fn start_url(&self, refusal: &Refusal, to: &RefusedTo) -> Option<String> {
        let is_startable = matches!(
            refusal,
            Refusal::NotRunning(RunState::Stopped) | Refusal::NotWoken(NotWoken::Failed)
        );
        let url = self.start.as_ref()?;
        let url = (is_startable && to.access == Access::Owner).then(|| url(&to.workspace))?;
        is_web(&url).then_some(url)
    }
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

impl fmt::Debug for BuiltInPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuiltInPages").finish_non_exhaustive()
    }
}

impl Pages for BuiltInPages {
    fn page(&self, refusal: &Refusal, format: Format) -> Page {
        draw(refusal, format, &Explanation::of(refusal))
    }

    fn page_for(&self, refusal: &Refusal, format: Format, to: &RefusedTo) -> Page {
        let explanation = Explanation {
            start_url: self.start_url(refusal, to),
            ..Explanation::of(refusal)
        };
        let explanation = match self.way_in(refusal, to) {
            Some(way) if matches!(refusal, Refusal::Link(_)) => Explanation {
                way_in: Some(way),
                ..explanation
            },
            Some(way) => explanation.with_way_in(way),
            None => explanation,
        };
        draw(refusal, format, &explanation)
    }
}

fn draw(refusal: &Refusal, format: Format, explanation: &Explanation) -> Page {
    let page = match format {
        Format::Json => explanation.json(refusal),
        #[cfg(feature = "pages")]
        Format::Html => return html::page(explanation, refusal),
        _ => explanation.text(),
    };
    page.with_policy(HeaderValue::from_static(NO_STYLES))
}

const NO_STYLES: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

#[cfg(test)]
mod tests;
