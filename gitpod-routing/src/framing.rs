//! Requests that two servers would read as two different things.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, Method, Version};

use crate::refusal::BadRequest;

/// Refuses a request whose target is no path, or whose length is not said exactly once.
///
/// HTTP servers accept some of these and forward nothing wrong, because everything sent
/// on is framed anew. The client still meant something else than we would send, so it is
/// told. A server may have removed a contradiction before we see it.
pub(crate) fn check(parts: &Parts) -> Result<(), BadRequest> {
    if parts.method == Method::CONNECT || !parts.uri.path().starts_with('/') {
        return Err(BadRequest::BadTarget);
    }
    let lengths = content_lengths(&parts.headers)?;
    let mut codings = parts.headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None)
            if lengths == Lengths::None
                && parts.version == Version::HTTP_11
                && coding.as_bytes().eq_ignore_ascii_case(b"chunked") =>
        {
            Ok(())
        }
        _ => Err(BadRequest::UnclearLength),
    }
}

#[derive(Debug, Eq, PartialEq)]
enum Lengths {
    None,
    One,
}

fn content_lengths(headers: &HeaderMap) -> Result<Lengths, BadRequest> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(value) = values.next() else {
        return Ok(Lengths::None);
    };
    let digits = value.as_bytes();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    match values.next() {
        None if is_number => Ok(Lengths::One),
        _ => Err(BadRequest::UnclearLength),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn verdict(version: Version, fields: &[(&str, &str)]) -> Result<(), BadRequest> {
        let mut request = Request::post("/").version(version);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn length_is_said_once_and_plainly_or_not_at_all() {
        let te = "transfer-encoding";
        let cl = "content-length";
        let cases: [(&[(&str, &str)], bool); 13] = [
            (&[], true),
            (&[(cl, "5")], true),
            (&[(te, "chunked")], true),
            (&[(te, "Chunked")], true),
            (&[(te, ",chunked")], false),
            (&[(te, "gzip, chunked")], false),
            (&[(te, "xchunked")], false),
            (&[(te, "chunked"), (te, "chunked")], false),
            (&[(te, "identity")], false),
            (&[(cl, "5"), (te, "chunked")], false),
            (&[(cl, "5"), (cl, "5")], false),
            (&[(cl, "5, 5")], false),
            (&[(cl, "+5")], false),
        ];
        for (fields, clear) in cases {
            assert_eq!(
                verdict(Version::HTTP_11, fields).is_ok(),
                clear,
                "{fields:?}"
            );
        }
    }

    #[test]
    fn only_http_1_1_has_chunks() {
        for version in [Version::HTTP_10, Version::HTTP_2] {
            assert!(verdict(version, &[("transfer-encoding", "chunked")]).is_err());
        }
    }

    #[test]
    fn connect_is_no_request_for_a_path() {
        let request = Request::connect("a.test:80").body(()).unwrap();
        assert_eq!(check(&request.into_parts().0), Err(BadRequest::BadTarget));
    }
}
