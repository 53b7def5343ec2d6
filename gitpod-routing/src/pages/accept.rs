//! Which form of an answer a client prefers.

use http::HeaderValue;

/// Form of a page.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Format {
    /// `text/html`, for people.
    Html,
    /// `application/problem+json`, for programs (RFC 9457).
    Json,
    /// `text/plain`, for terminals and for who does not say.
    Text,
}

impl Format {
    /// What a client with these `Accept` fields likes best: the highest `q`, then the first.
    #[must_use]
    pub fn preferred<'v>(accept: impl IntoIterator<Item = &'v HeaderValue>) -> Self {
        let mut best = (0, Self::Text);
        for field in accept {
            for item in field.as_bytes().split(|b| *b == b',') {
                let Some(format) = Self::named(item) else {
                    continue;
                };
                let weight = weight(item);
                if weight > best.0 {
                    best = (weight, format);
                }
            }
        }
        best.1
    }

    fn named(item: &[u8]) -> Option<Self> {
        let kind = item.split(|b| *b == b';').next()?.trim_ascii();
        if kind.eq_ignore_ascii_case(b"text/html")
            || kind.eq_ignore_ascii_case(b"application/xhtml+xml")
        {
            Some(Self::Html)
        } else if kind.eq_ignore_ascii_case(b"application/json")
            || kind.eq_ignore_ascii_case(b"application/problem+json")
        {
            Some(Self::Json)
        } else if kind.eq_ignore_ascii_case(b"text/plain") || kind == b"text/*" || kind == b"*/*" {
            Some(Self::Text)
        } else {
            None
        }
    }
}

/// The `q` of `item` in thousandths; what cannot be read counts as 1.
fn weight(item: &[u8]) -> u16 {
    let parameter = item.split(|b| *b == b';').skip(1).find_map(|parameter| {
        let text = str::from_utf8(parameter.trim_ascii()).ok()?;
        text.strip_prefix("q=").or_else(|| text.strip_prefix("Q="))
    });
    let Some(text) = parameter else {
        return 1000;
    };
    let Some((whole, fraction)) = text.split_once('.') else {
        return if text == "0" { 0 } else { 1000 };
    };
    let thousandths = format!("{fraction:0<3}")
        .get(..3)
        .and_then(|digits| digits.parse().ok());
    match (whole, thousandths) {
        ("0", Some(value)) => value,
        _ => 1000,
    }
}
