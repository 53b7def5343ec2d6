//! Paths that belong to the installation and not to a workspace.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::LOCATION;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use pin_project::pin_project;
use std::pin::Pin;
use tower_layer::Layer;
use tower_service::Service;

use crate::host::{Endpoint, HostName, HostPattern, HostSource};

/// Applies [`OwnPaths`].
#[derive(Clone, Debug)]
pub struct OwnPathsLayer {
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    pattern: HostPattern,
    source: HostSource,
}

impl OwnPathsLayer {
    /// For an installation whose workspaces are under `pattern`, with hosts read from `source`.
    #[must_use]
    pub fn new(pattern: HostPattern, source: HostSource) -> Self {
        let rules = Arc::new(Rules { pattern, source });
        Self { rules }
    }
}

impl<S> Layer<S> for OwnPathsLayer {
    type Service = OwnPaths<S>;

    fn layer(&self, inner: S) -> Self::Service {
        OwnPaths {
            inner,
            rules: Arc::clone(&self.rules),
        }
    }
}

/// Answers what no workspace may answer; goes in front of
/// [`ParseHost`](crate::layers::ParseHost). Optional.
///
/// | path | host | answer |
/// | --- | --- | --- |
/// | `/health` | none of a workspace | 200 |
/// | below `/.well-known/acme-challenge/` | every | 403, so that nobody gets a certificate |
/// | with `//`, `/./` or `/../` | an editor's, or none of a workspace | 301 to the clean path |
///
/// Apps on ports keep their own `/health`, and their paths are never touched.
///
/// **Source:** the reference, which answers `/health` and cleans paths on every host.
#[derive(Clone, Debug)]
pub struct OwnPaths<S> {
    inner: S,
    rules: Arc<Rules>,
}

enum Kind {
    Unknown,
    Editor,
    App,
}

impl Rules {
    fn answer<B, R: Default>(&self, request: Request<B>) -> Result<Request<B>, Response<R>> {
        let (parts, body) = request.into_parts();
        let host = self.source.host_of(&parts);
        let kind = match host.and_then(|host| self.pattern.parse(host)) {
            Ok(HostName::Workspace(target)) if target.endpoint == Endpoint::Ide => Kind::Editor,
            Ok(_) => Kind::App,
            Err(why) if why.is_malformed() => Kind::App, // refused by the next stage
            Err(_) => Kind::Unknown,
        };
        let decoded = percent_decode_str(parts.uri.path()).decode_utf8_lossy();
        let clean = clean(&decoded);
        if clean
            .strip_prefix(ACME)
            .is_some_and(|token| !token.is_empty())
        {
            return Err(status(StatusCode::FORBIDDEN));
        }
        if !matches!(kind, Kind::App) && clean != decoded {
            return Err(redirect(&clean, &parts.uri));
        }
        if matches!(kind, Kind::Unknown) && clean == "/health" {
            return Err(status(StatusCode::OK));
        }
        drop(decoded);
        Ok(Request::from_parts(parts, body))
    }
}

fn status<R: Default>(status: StatusCode) -> Response<R> {
    let mut response = Response::new(R::default());
    *response.status_mut() = status;
    response
}

/// A redirect on the same host: `clean` begins with exactly one slash.
fn redirect<R: Default>(clean: &str, uri: &Uri) -> Response<R> {
    let path = utf8_percent_encode(clean, UNSAFE);
    let location = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_string(),
    };
    let mut response = status(StatusCode::MOVED_PERMANENTLY);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// `path` with empty segments, `.` and `..` resolved; a slash at its end stays.
fn clean(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    let mut clean = format!("/{}", segments.join("/"));
    if path.ends_with('/') && clean.len() > 1 {
        clean.push('/');
    }
    clean
}

impl<S, B, R> Service<Request<B>> for OwnPaths<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = OwnPathsFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        OwnPathsFuture(match self.rules.answer(request) {
            Ok(request) => State::Inner(self.inner.call(request)),
            Err(response) => State::Answered(Some(response)),
        })
    }
}

/// Response future of [`OwnPaths`].
#[pin_project]
#[derive(Debug)]
pub struct OwnPathsFuture<F, R>(#[pin] State<F, R>);

#[pin_project(project = StateProj)]
#[derive(Debug)]
enum State<F, R> {
    Inner(#[pin] F),
    Answered(Option<Response<R>>),
}

impl<F, R, E> Future for OwnPathsFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().0.project() {
            StateProj::Inner(inner) => inner.poll(cx),
            StateProj::Answered(response) => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending, // polled after it was done
            },
        }
    }
}

const ACME: &str = "/.well-known/acme-challenge/";

/// What a decoded path must not show as it is in a `Location`; a backslash would be read as
/// a slash.
const UNSAFE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt, service_fn};

    use super::*;

    async fn answer(host: &str, path: &str) -> (u16, String) {
        let pattern = HostPattern::new("ws.example.com").unwrap();
        let inner = service_fn(|_: Request<()>| async {
            Ok::<_, Infallible>(status::<()>(StatusCode::IM_A_TEAPOT))
        });
        let service = OwnPathsLayer::new(pattern, HostSource::new()).layer(inner);
        let request = Request::get(path).header("host", host).body(()).unwrap();
        let response = service.oneshot(request).await.unwrap();
        let location = response.headers().get(LOCATION);
        let location = location.map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), location.unwrap_or_default())
    }

    #[tokio::test]
    async fn own_paths_are_answered_and_those_of_apps_are_left_alone() {
        let editor = "pink-panda-ns35kd21.ws.example.com";
        let port = "3000-pink-panda-ns35kd21.ws.example.com";
        let cases = [
            ("example.com", "/health", (200, "")),
            (editor, "/health", (418, "")),
            (port, "/health", (418, "")),
            (port, "/.well-known/acme-challenge/t", (403, "")),
            (port, "/x/..//.well-known/%61cme-challenge/t", (403, "")),
            (editor, "/.well-known/acme-challenge/", (418, "")),
            (port, "/a//b/../c", (418, "")),
            (editor, "/a//b/../c/?q=%zz", (301, "/a/c/?q=%zz")),
            (editor, "//evil.test/x", (301, "/evil.test/x")),
            (editor, "/a%2f..%2f%5cb%3f", (301, "/%5Cb%3F")),
            (editor, "/a%20b", (418, "")),
        ];
        for (host, path, (status, location)) in cases {
            let got = answer(host, path).await;
            assert_eq!(got, (status, location.to_owned()), "{host} {path}");
        }
    }
}
