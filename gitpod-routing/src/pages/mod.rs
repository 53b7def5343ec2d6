//! What a refused client gets to read.

mod accept;
#[cfg(feature = "pages")]
mod html;
mod text;

use std::fmt;

use bytes::Bytes;
use http::HeaderValue;

pub use self::accept::Format;
use self::text::Explanation;
use crate::refusal::Refusal;

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
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct BuiltInPages;

impl BuiltInPages {
    /// The pages.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Pages for BuiltInPages {
    fn page(&self, refusal: &Refusal, format: Format) -> Page {
        let explanation = Explanation::of(refusal);
        match format {
            Format::Json => explanation.json(refusal),
            #[cfg(feature = "pages")]
            Format::Html => html::page(&explanation, refusal),
            _ => explanation.text(),
        }
    }
}

#[cfg(test)]
mod tests;
