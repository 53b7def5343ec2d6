//! Which requests are for the page, and which for workspaces.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body as PageBody;
use gitpod_routing::HostSource;
use http::{Request, Response};
use http_body_util::Either;
use hyper::body::Incoming;
use tower::{Service, ServiceExt};

use super::Page;

/// Answers requests for the page, and hands all others to `inner`.
///
/// The page has names of its own that workspaces are no part of: `localhost`,
/// `127.0.0.1` and `[::1]`, with any port, as somebody may come through a tunnel. A
/// name under attack of DNS rebinding is none of them. The domain of workspaces is
/// none either: browsers take it and the workspaces under it for one site, and a
/// workspace's page may set cookies for it.
#[derive(Clone, Debug)]
pub(crate) struct Front<S> {
    page: Router,
    inner: S,
}

impl<S> Front<S> {
    pub(crate) fn new(page: &Page, inner: S) -> Self {
        Self {
            page: page.router(),
            inner,
        }
    }
}

type Answer<B> = Result<Response<Either<PageBody, B>>, Infallible>;

impl<S, B> Service<Request<Incoming>> for Front<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: 'static,
{
    type Response = Response<Either<PageBody, B>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Answer<B>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let is_for_page = HostSource::new()
            .host_of(&parts)
            .is_ok_and(is_name_of_the_page);
        let request = Request::from_parts(parts, body);
        if is_for_page {
            let answer = self.page.clone().oneshot(request.map(PageBody::new));
            return Box::pin(async { Ok(answer.await?.map(Either::Left)) });
        }
        let answer = self.inner.call(request);
        Box::pin(async { Ok(answer.await?.map(Either::Right)) })
    }
}

/// Whether `host`, with or without a port, is one of the page's names.
fn is_name_of_the_page(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    NAMES.iter().any(|own| name.eq_ignore_ascii_case(own))
}

const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_has_three_names_and_any_port() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:80",
        ] {
            assert!(is_name_of_the_page(host), "{host}");
        }
        for host in [
            "ws.localhost:8080",
            "pink-panda-ns35kd21.ws.localhost:8080",
            "localhost.evil.test",
            "localhost.",
            "localhost:",
            "localhost:8080.evil.test",
            "127.0.0.1.evil.test",
            "127.0.0.2",
            "user@localhost",
            "::1",
            "",
        ] {
            assert!(!is_name_of_the_page(host), "{host}");
        }
    }
}
