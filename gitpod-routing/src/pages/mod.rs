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
use crate::access::Access;
use crate::id::WorkspaceId;
use crate::info::RunState;
use crate::refusal::{NotWoken, Refusal};

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

/// Whom a refusal is told to: somebody who may use the workspace.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RefusedTo {
    /// What was asked for.
    pub workspace: WorkspaceId,
    /// As whom.
    pub access: Access,
}

impl RefusedTo {
    /// Somebody who came to `workspace` as `access`.
    #[must_use]
    pub fn new(workspace: WorkspaceId, access: Access) -> Self {
        Self { workspace, access }
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
}

impl Page {
    /// `body` of type `content_type`.
    #[must_use]
    pub fn new(content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self {
            content_type,
            body: body.into(),
        }
    }
}

/// Small pages in English: what happened, and what to do.
///
/// HTML needs feature `pages`; without it browsers get plain text.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct BuiltInPages {
    start: Option<Arc<StartUrl>>,
}

type StartUrl = dyn Fn(&WorkspaceId) -> String + Send + Sync;

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

    fn start_url(&self, refusal: &Refusal, to: &RefusedTo) -> Option<String> {
        let is_startable = matches!(
            refusal,
            Refusal::NotRunning(RunState::Stopped) | Refusal::NotWoken(NotWoken::Failed)
        );
        let url = self.start.as_ref()?;
        let url = (is_startable && to.access == Access::Owner).then(|| url(&to.workspace))?;
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        is_web.then_some(url)
    }
}

impl fmt::Debug for BuiltInPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuiltInPages").finish_non_exhaustive()
    }
}

impl Pages for BuiltInPages {
    fn page(&self, refusal: &Refusal, format: Format) -> Page {
        draw(refusal, format, None)
    }

    fn page_for(&self, refusal: &Refusal, format: Format, to: &RefusedTo) -> Page {
        draw(refusal, format, self.start_url(refusal, to))
    }
}

fn draw(refusal: &Refusal, format: Format, start_url: Option<String>) -> Page {
    let explanation = Explanation {
        start_url,
        ..Explanation::of(refusal)
    };
    match format {
        Format::Json => explanation.json(refusal),
        #[cfg(feature = "pages")]
        Format::Html => html::page(&explanation, refusal),
        _ => explanation.text(),
    }
}

#[cfg(test)]
mod tests;
