//! What each stage lets through and what it refuses, in memory.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::sync::Arc;

use async_trait::async_trait;
use gitpod_routing::layers::{AuthorizeLayer, LocateLayer, ParseHostLayer, ReportActivityLayer};
use gitpod_routing::{
    AccessPolicy, Admission, HostPattern, HostSource, Lookup, MemoryActivity, MemoryProvider,
    OwnerToken, Permit, PortInfo, ProviderError, Refusal, Routed, RunState, WorkspaceId,
    WorkspaceInfo, WorkspaceInfoProvider,
};
use http::{HeaderName, Request, Response};
use tokio_test::{assert_pending, assert_ready_ok};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_test::mock;

const EDITOR: &str = "pink-panda-ns35kd21.ws.example.com";
const PUBLIC: &str = "8080-pink-panda-ns35kd21.ws.example.com";
const PRIVATE: &str = "8081-pink-panda-ns35kd21.ws.example.com";
const FOREIGN: &str = "v--0123abc.ws.example.com";

fn pattern() -> HostPattern {
    HostPattern::new("ws.example.com").unwrap()
}

fn info() -> WorkspaceInfo {
    let id = "pink-panda-ns35kd21".parse().unwrap();
    WorkspaceInfo::new(id, "i-1".parse().unwrap(), OwnerToken::new("s3cret"))
        .running_at([10, 0, 0, 1].into())
        .with_ports(vec![PortInfo::new(8080).public()])
}

fn policy() -> AccessPolicy {
    AccessPolicy::new(pattern(), "example.com")
}

/// Status, and the reason of a refusal or the path that goes on.
async fn through(
    info: WorkspaceInfo,
    policy: AccessPolicy,
    request: Request<String>,
) -> (u16, String) {
    let workspaces = MemoryProvider::new();
    workspaces.insert(info);
    let leaf = service_fn(|routed: Routed<Permit, String>| async move {
        let (permit, request) = routed.into_parts();
        let seen = format!("{:?} {}", permit.service(), request.uri());
        Ok::<_, Infallible>(Response::new(seen))
    });
    let source = HostSource::new().with_trusted_header(HeaderName::from_static("x-wsproxy-host"));
    let service = ServiceBuilder::new()
        .layer(ParseHostLayer::new(pattern()).with_source(source))
        .layer(LocateLayer::new(Arc::new(workspaces)))
        .layer(AuthorizeLayer::new(policy))
        .layer(ReportActivityLayer::new(Arc::new(MemoryActivity::new())))
        .service(leaf);
    let response = service.oneshot(request).await.unwrap();
    let refusal = response.extensions().get::<Refusal>().map(Refusal::reason);
    let status = response.status().as_u16();
    (
        status,
        refusal.map_or_else(|| response.body().clone(), str::to_owned),
    )
}

fn get(host: &str, path: &str, token: &str) -> Request<String> {
    let request = Request::get(path).header("host", host);
    let request = request.header("x-gitpod-owner-token", token);
    request.body(String::new()).unwrap()
}

#[tokio::test]
async fn nothing_of_a_private_workspace_answers_without_the_token() {
    let cases = [
        (EDITOR, "/"),
        (EDITOR, "/_supervisor/v1/status/supervisor"),
        (EDITOR, "/_supervisor/v1/status/ide"),
        (EDITOR, "/_supervisor/frontend/main.js"),
        (EDITOR, "/health"),
        (PRIVATE, "/"),
        ("9999-pink-panda-ns35kd21.ws.example.com", "/"),
        ("8081-debug-pink-panda-ns35kd21.ws.example.com", "/"),
        ("debug-pink-panda-ns35kd21.ws.example.com", "/"),
        (FOREIGN, "/8081-pink-panda-ns35kd21/"),
        (FOREIGN, "/debug-pink-panda-ns35kd21/"),
    ];
    for (host, path) in cases {
        let got = through(info(), policy(), get(host, path, "")).await;
        assert_eq!(got, (401, "no-token".into()), "{host}{path}");
    }
}

#[tokio::test]
async fn owner_reaches_the_server_that_host_and_path_name() {
    let cases = [
        (EDITOR, "/a?b", "Ide /a?b"),
        (
            EDITOR,
            "/_supervisor/v1/info",
            "Supervisor /_supervisor/v1/info",
        ),
        (PRIVATE, "/_supervisor/x", "Port(8081) /_supervisor/x"),
        (
            FOREIGN,
            "/8081-pink-panda-ns35kd21/a%2Fb?c",
            "Port(8081) /a%2Fb?c",
        ),
        (
            FOREIGN,
            "/debug-pink-panda-ns35kd21/_supervisor/x",
            "Ide /_supervisor/x",
        ),
    ];
    for (host, path, expected) in cases {
        let got = through(info(), policy(), get(host, path, "s3cret")).await;
        assert_eq!(got, (200, expected.into()), "{host}{path}");
    }
}

#[tokio::test]
async fn foreign_host_serves_no_editor_and_nothing_without_a_workspace() {
    for path in [
        "/pink-panda-ns35kd21/x",
        "/8081-pink-panda-ns35kd21",
        "/",
        "/_supervisor/v1/info",
    ] {
        let got = through(info(), policy(), get(FOREIGN, path, "s3cret")).await;
        assert_eq!(got, (404, "unknown-host".into()), "{path}");
    }
}

#[tokio::test]
async fn only_who_may_enter_learns_that_nothing_runs() {
    for state in [RunState::Starting, RunState::Stopping, RunState::Stopped] {
        let mut info = info();
        info.state = state;
        let owner = through(info.clone(), policy(), get(EDITOR, "/", "s3cret")).await;
        assert_eq!(owner, (503, "not-running".into()), "{state:?}");
        let stranger = through(info.clone(), policy(), get(EDITOR, "/", "")).await;
        assert_eq!(stranger, (401, "no-token".into()), "{state:?}");
        let guest = through(info, policy(), get(PUBLIC, "/", "")).await;
        assert_eq!(guest, (503, "not-running".into()), "{state:?}");
    }
}

#[tokio::test]
async fn sharing_opens_editor_ports_and_the_page_but_no_shell() {
    let shared = || info().with_admission(Admission::Everyone);
    let cases = [
        (EDITOR, "/", 200),
        (PRIVATE, "/", 200),
        (EDITOR, "/_supervisor", 200),
        (EDITOR, "/_supervisor/", 200),
        (EDITOR, "/_supervisor/static/app.js", 200),
        (EDITOR, "/_supervisor/v1/events", 200),
        (EDITOR, "/_supervisor/v1/events?output=65536", 200),
        (EDITOR, "/_supervisor/v1/tasks/1-web/log", 200),
        (EDITOR, "/_supervisor/v1/status/ports", 200),
        (EDITOR, "/_supervisor/v1", 401),
        (EDITOR, "/_supervisor/v1/eventsx", 401),
        (EDITOR, "/_supervisor/static/../v1/info", 401),
        (EDITOR, "/_supervisor/v1/terminal/open", 401),
        (EDITOR, "/_supervisor/v1/status/../terminal/open", 401),
        (EDITOR, "/_supervisor/v1/status/%2e%2e/terminal/open", 401),
        (EDITOR, "/%5fsupervisor/v1/terminal/open", 401),
    ];
    for (host, path, expected) in cases {
        let got = through(shared(), policy(), get(host, path, "")).await;
        assert_eq!(got.0, expected, "{host}{path}");
    }
    for path in ["/_supervisor/", "/_supervisor/v1/events"] {
        let mut post = get(EDITOR, path, "");
        *post.method_mut() = http::Method::POST;
        assert_eq!(through(shared(), policy(), post).await.0, 401, "{path}");
    }
    let open = policy().with_shared_supervisor();
    let got = through(
        shared(),
        open,
        get(EDITOR, "/_supervisor/v1/terminal/open", ""),
    )
    .await;
    assert_eq!(got.0, 200);
}

#[tokio::test]
async fn open_status_routes_are_whole_segments_and_for_reading() {
    let cases = [
        ("/_supervisor/v1/status/ide", 200),
        ("/_supervisor/v1/status/ide/wait/true", 200),
        ("/_supervisor/v1/status/supervisor", 200),
        ("/_supervisor/v1/status/idefoo", 401),
        ("/_supervisor/v1/status/content", 401),
        ("/_supervisor/v1/status/ide/../content", 401),
        ("/_supervisor/v1/status/ide/%2e%2e/content", 401),
    ];
    for (path, expected) in cases {
        let open = policy().with_open_status_routes();
        let got = through(info(), open, get(EDITOR, path, "")).await;
        assert_eq!(got.0, expected, "{path}");
    }
    let mut post = get(EDITOR, "/_supervisor/v1/status/ide", "");
    *post.method_mut() = http::Method::POST;
    let got = through(info(), policy().with_open_status_routes(), post).await;
    assert_eq!(got.0, 401);
}

#[tokio::test]
async fn trusted_header_names_the_host_and_there_is_no_second_try() {
    let with_header = |host: &str, value: &str| {
        let mut request = get(host, "/", "s3cret");
        request
            .headers_mut()
            .insert("x-wsproxy-host", value.parse().unwrap());
        request
    };
    let cases = [
        ("internal.test", PRIVATE, 200),
        (EDITOR, "internal.test", 404),
        (EDITOR, "", 200),
    ];
    for (host, value, expected) in cases {
        let got = through(info(), policy(), with_header(host, value)).await;
        assert_eq!(got.0, expected, "{host} {value}");
    }
}

#[tokio::test]
async fn attack_04_header_that_is_not_trusted_names_nothing() {
    let (mut service, mut handle) =
        mock::spawn_layer::<Routed<_, ()>, Response<()>, _>(ParseHostLayer::new(pattern()));
    assert_ready_ok!(service.poll_ready());
    let request = Request::get("/")
        .header("host", "example.org")
        .header("x-wsproxy-host", EDITOR)
        .header("x-forwarded-host", EDITOR)
        .body(())
        .unwrap();
    let answer = service.call(request).await.unwrap();
    assert_eq!(answer.status(), 404);
    assert_pending!(handle.poll_request());
}

/// Answers late, and then as it is told.
#[derive(Debug)]
struct Slow(Result<(), ()>);

#[async_trait]
impl WorkspaceInfoProvider for Slow {
    async fn workspace_info(&self, _id: &WorkspaceId) -> Lookup {
        tokio::task::yield_now().await;
        match self.0 {
            Ok(()) => Ok(None),
            Err(()) => Err(ProviderError::NotReady),
        }
    }
}

#[tokio::test]
async fn unknown_is_404_and_not_known_is_503() {
    for (provider, status, reason) in [
        (Slow(Ok(())), 404, "no-such-workspace"),
        (Slow(Err(())), 503, "lookup-failed"),
    ] {
        let leaf = service_fn(|_: Routed<_, ()>| async { Ok::<_, Infallible>(Response::new(())) });
        let service = ServiceBuilder::new()
            .layer(ParseHostLayer::new(pattern()))
            .layer(LocateLayer::new(Arc::new(provider)))
            .service(leaf);
        let request = Request::get("/").header("host", EDITOR).body(()).unwrap();
        let response = service.oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
        let refusal = response.extensions().get::<Refusal>().unwrap();
        assert_eq!(refusal.reason(), reason);
    }
}

#[tokio::test]
async fn attack_31_no_page_of_another_workspace_uses_the_cookie_of_an_owner() {
    const PRIVATE: &str = "3000-pink-panda-ns35kd21.ws.example.com";
    const PUBLIC: &str = "8080-pink-panda-ns35kd21.ws.example.com";
    const OWN_PAGE: &str = "https://4000-pink-panda-ns35kd21.ws.example.com";
    const FOREIGN_PAGE: &str = "https://4000-blue-whale-ns35kd21.ws.example.com";
    let navigate = |dest| [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", dest)];
    let with = |fields: &[(&'static str, &'static str)]| {
        [&[("sec-fetch-site", "same-site")], fields].concat()
    };
    let cases = [
        ("GET", PRIVATE, vec![], 200), // no browser, or an old one
        ("GET", PRIVATE, vec![("sec-fetch-site", "none")], 200),
        (
            "POST",
            PRIVATE,
            vec![("sec-fetch-site", "same-origin")],
            200,
        ),
        ("GET", PRIVATE, with(&navigate("document")), 200),
        ("POST", PRIVATE, with(&navigate("document")), 403),
        ("GET", PRIVATE, with(&navigate("iframe")), 403),
        ("GET", PRIVATE, with(&[("sec-fetch-mode", "no-cors")]), 403),
        ("GET", PRIVATE, with(&[("referer", FOREIGN_PAGE)]), 403),
        ("GET", PRIVATE, with(&[("referer", OWN_PAGE)]), 200),
        (
            "GET",
            PRIVATE,
            with(&[("referer", "https://example.com/")]),
            200,
        ),
        ("POST", PRIVATE, with(&[("origin", OWN_PAGE)]), 200),
        ("POST", PRIVATE, with(&[("origin", FOREIGN_PAGE)]), 403),
        (
            "POST",
            PRIVATE,
            with(&[("origin", FOREIGN_PAGE), ("referer", OWN_PAGE)]),
            403,
        ),
        ("POST", PRIVATE, vec![("origin", FOREIGN_PAGE)], 403),
        ("POST", PRIVATE, vec![("origin", "null")], 403),
        ("POST", EDITOR, with(&[("origin", FOREIGN_PAGE)]), 403),
        ("POST", PUBLIC, with(&[("origin", FOREIGN_PAGE)]), 200), // as without a cookie
    ];
    for (method, host, fields, expected) in cases {
        assert_answer(method, host, &fields, expected).await;
    }
}

/// The owner's browser sends `fields` with her cookie, and gets an answer of status `expected`.
async fn assert_answer(method: &str, host: &str, fields: &[(&str, &str)], expected: u16) {
    let mut request = Request::builder()
        .method(method)
        .uri("/")
        .header("host", host)
        .header("cookie", "_example_com_ws_i-1_owner_=s3cret");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(String::new()).unwrap();
    let policy = policy().with_origin_check_on_ports();
    let (status, says) = through(info(), policy, request).await;
    assert_eq!(status, expected, "{method} {host} {fields:?}: {says}");
    assert_eq!(status == 403, says == "foreign-origin", "{says}");
}

/// Over plain HTTP browsers send no Fetch Metadata. People may follow links there, too.
#[tokio::test]
async fn attack_31_where_browsers_say_no_more_than_referer_it_counts() {
    const PRIVATE: &str = "3000-pink-panda-ns35kd21.ws.example.com";
    const PUBLIC: &str = "8080-pink-panda-ns35kd21.ws.example.com";
    let own = (
        "referer",
        "https://4000-pink-panda-ns35kd21.ws.example.com/",
    );
    let foreign = ("referer", "https://4000-blue-whale-ns35kd21.ws.example.com");
    let (image, page) = (("accept", "image/avif,*/*"), ("accept", "text/html,*/*"));
    for (method, host, fields, expected) in [
        ("GET", PRIVATE, vec![foreign], 403),
        ("GET", PRIVATE, vec![foreign, image], 403),
        ("GET", PRIVATE, vec![foreign, page], 200),
        ("POST", PRIVATE, vec![foreign, page], 403),
        ("GET", PRIVATE, vec![("referer", "nonsense")], 403),
        ("GET", PRIVATE, vec![own, image], 200),
        ("GET", PUBLIC, vec![foreign, image], 200), // as without a cookie
    ] {
        assert_answer(method, host, &fields, expected).await;
    }
}
