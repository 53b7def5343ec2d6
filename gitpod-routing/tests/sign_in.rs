//! Links let in whom they are for, and nobody learns of them.
#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use gitpod_routing::layers::{AuthorizeLayer, LocateLayer, ParseHostLayer, SignInLayer};
use gitpod_routing::{
    Access, AccessPolicy, HostTarget, Links, LocalPath, MemoryProvider, NewShare, Permit, PortInfo,
    PublicUrl, Routed, Scheme, SecretUrl, ShareScope, SigningKey,
};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use support::*;
use tower::{ServiceBuilder, ServiceExt, service_fn};

/// What the workspace has seen, as text.
type Seen = Arc<Mutex<Vec<String>>>;

struct Stand {
    rig: Rig,
    links: Links,
    seen: Seen,
    port: u16,
}

impl Stand {
    /// A workspace with one private port, at public URLs of `scheme`.
    async fn new(scheme: Scheme) -> Self {
        let seen = Seen::default();
        let server = watched(Arc::clone(&seen)).await;
        let links = Links::new(
            SigningKey::from_bytes([9; 32]),
            PublicUrl::new(scheme, pattern()),
        );
        let rig = Rig::changed(server, |proxy| proxy.with_links(links.clone())).await;
        let port = server.port();
        rig.workspaces
            .insert(info(&[]).with_ports(vec![PortInfo::new(port)]));
        Self {
            rig,
            links,
            seen,
            port,
        }
    }

    fn target(&self) -> HostTarget {
        HostTarget::port(id(), self.port)
    }

    fn open_link(&self, path: &str) -> SecretUrl {
        let path: LocalPath = path.parse().unwrap();
        self.links
            .open(&self.target(), &path, SystemTime::now())
            .unwrap()
    }

    async fn share_link(&self, scope: ShareScope) -> (gitpod_routing::ShareId, SecretUrl) {
        let wish = NewShare::new(id(), Duration::from_secs(3600)).of(scope);
        let (share, url) = self.links.share(wish, SystemTime::now()).await.unwrap();
        (share.id, url)
    }

    async fn ask(&self, method: &str, host: &str, path: &str, fields: &[&str]) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\nhost: {host}\nconnection: close\n");
        for field in fields {
            request.push_str(field);
            request.push('\n');
        }
        request.push('\n');
        Answer(soon("an answer", self.rig.raw(&request)).await)
    }

    /// Follows `url` as a browser does.
    async fn follow(&self, url: &SecretUrl, fields: &[&str]) -> Answer {
        let (host, path) = parts(url);
        self.ask("GET", &host, &path, fields).await
    }
}

async fn watched(seen: Seen) -> SocketAddr {
    upstream(move |request: Request<Incoming>| {
        let text = format!("{} {:?}", request.uri(), request.headers());
        seen.lock().unwrap().push(text);
        async { Response::new(Full::new(Bytes::from("inside"))) }
    })
    .await
}

fn parts(url: &SecretUrl) -> (String, String) {
    let rest = url.expose().split_once("://").unwrap().1;
    let (host, path) = rest.split_once('/').unwrap();
    (host.into(), format!("/{path}"))
}

struct Answer(String);

impl Answer {
    fn status(&self) -> u16 {
        self.0[9..12].parse().unwrap()
    }

    fn field(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        self.0.lines().find_map(|line| line.strip_prefix(&start))
    }

    /// The cookie that was set, as it is sent back.
    fn cookie(&self) -> String {
        let line = self
            .field("set-cookie")
            .unwrap_or_else(|| panic!("no cookie: {}", self.0));
        format!("cookie: {}", line.split(';').next().unwrap())
    }
}

#[tokio::test]
async fn open_link_hands_the_owner_cookie_over_and_leaves_no_trace() {
    let stand = Stand::new(Scheme::Https).await;
    let answer = stand.follow(&stand.open_link("/lab?tree=a"), &[]).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.field("location"), Some("/lab?tree=a"));
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    assert_eq!(answer.field("referrer-policy"), Some("no-referrer"));
    let cookie = answer.field("set-cookie").unwrap();
    let expected = format!(
        "_example_com_ws_i-1_owner_={TOKEN}; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure; Domain={DOMAIN}"
    );
    assert_eq!(cookie, expected);

    // The cookie opens this port, and the editor as well.
    for host in [host(stand.port), format!("{ID}.{DOMAIN}")] {
        let answer = stand.ask("GET", &host, "/", &[&answer.cookie()]).await;
        assert_eq!(answer.status(), 200, "{host}");
    }
}

#[tokio::test]
async fn attack_24_neither_token_nor_cookie_nor_link_reaches_the_workspace() {
    let stand = Stand::new(Scheme::Http).await;
    let url = stand.open_link("/");
    let (host, path) = parts(&url);
    let owner = stand.follow(&url, &[]).await.cookie();
    let (_, share) = stand.share_link(ShareScope::Port(stand.port)).await;
    let visitor = stand.follow(&share, &[]).await.cookie();
    let referer = format!("referer: {}", url.expose());
    let of_share = format!("referer: {}", share.expose());
    for fields in [[&*owner, &*referer], [&*visitor, &*of_share]] {
        let answer = stand.ask("GET", &host, "/x", &fields).await;
        assert_eq!(answer.status(), 200);
        assert!(!answer.0.contains(TOKEN));
    }
    // Used up, and still not passed on.
    assert_eq!(stand.ask("GET", &host, &path, &[]).await.status(), 403);
    let seen = stand.seen.lock().unwrap().join("\n");
    assert_eq!(seen.matches("/x").count(), 2, "{seen}");
    for secret in [TOKEN, "cookie", ".gitpod", "referer"] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
}

#[tokio::test]
async fn attack_27_link_is_not_used_up_by_who_only_looks_and_not_used_twice() {
    let stand = Stand::new(Scheme::Http).await;
    let url = stand.open_link("/");
    let (host, path) = parts(&url);
    let looks = [
        ("HEAD", "accept: */*", 204),
        ("GET", "sec-purpose: prefetch;prerender", 204),
        ("GET", "purpose: prefetch", 204),
        ("GET", "x-moz: prefetch", 204),
        ("GET", "sec-fetch-mode: no-cors", 403),
        ("POST", "content-length: 0", 405),
        ("OPTIONS", "sec-fetch-mode: cors", 405),
    ];
    for (method, field, expected) in looks {
        let answer = stand.ask(method, &host, &path, &[field]).await;
        assert_eq!(answer.status(), expected, "{method} {field}");
        assert_eq!(answer.field("set-cookie"), None, "{method} {field}");
    }
    let other = stand
        .ask("GET", &format!("{ID}.{DOMAIN}"), &path, &[])
        .await;
    assert_eq!(other.status(), 403, "on another host");
    let first = stand.follow(&url, &["sec-fetch-mode: navigate"]).await;
    assert_eq!(first.status(), 303);
    let again = stand.follow(&url, &["accept: application/json"]).await;
    assert_eq!(again.status(), 403);
    assert!(again.0.contains(r#""reason":"link-used""#), "{}", again.0);
    let owner = stand.follow(&url, &[&first.cookie()]).await;
    assert_eq!((owner.status(), owner.field("location")), (303, Some("/")));
}

#[tokio::test]
async fn attack_26_link_with_another_path_or_parameters_leads_nowhere() {
    let stand = Stand::new(Scheme::Http).await;
    let (host, path) = parts(&stand.open_link("/"));
    for changed in [
        format!("{path}&to=//evil.test"),
        path.replace("open?", "open?to=//evil.test&"),
        format!("{path}/../../evil.test"),
        path.replace("open?", "share?"),
        "/.gitpod/open".into(),
        "/.gitpod/open?".into(),
        "/.gitpod/share?//evil.test".into(),
    ] {
        let answer = stand.ask("GET", &host, &changed, &[]).await;
        assert_eq!(
            (answer.status(), answer.field("location")),
            (403, None),
            "{changed}"
        );
    }
}

#[tokio::test]
async fn visitor_of_a_share_sees_what_is_shared_and_nothing_else() {
    let stand = Stand::new(Scheme::Https).await;
    let editor = format!("{ID}.{DOMAIN}");
    let (of_port, url) = stand.share_link(ShareScope::Port(stand.port)).await;
    let answer = stand.follow(&url, &[]).await;
    assert_eq!(
        (answer.status(), answer.field("location")),
        (303, Some("/"))
    );
    let line = answer.field("set-cookie").unwrap();
    assert!(
        line.starts_with(&format!("__Host-_example_com_ws_{ID}_share_=")),
        "{line}"
    );
    assert!(!line.contains("Domain"), "{line}");
    let port_visitor = answer.cookie();

    let (of_all, url) = stand.share_link(ShareScope::Workspace).await;
    let answer = stand.follow(&url, &[]).await;
    let line = answer.field("set-cookie").unwrap();
    assert!(
        line.ends_with(&format!("Secure; Domain={DOMAIN}")),
        "{line}"
    );
    let visitor = answer.cookie();

    let port = host(stand.port);
    let terminal = "/_supervisor/v1/terminal/open";
    for (host, path, by_port, by_all) in [
        (&port, "/", 200, 200),
        (&editor, "/", 401, 200),
        (&host(1), "/", 401, 404),
        (&editor, terminal, 401, 401),
        (
            &format!("{}-debug-{ID}.{DOMAIN}", stand.port),
            "/",
            401,
            401,
        ),
    ] {
        let answer = stand.ask("GET", host, path, &[&port_visitor]).await;
        assert_eq!(answer.status(), by_port, "port: {host}{path}");
        let answer = stand.ask("GET", host, path, &[&visitor]).await;
        assert_eq!(answer.status(), by_all, "all: {host}{path}");
    }
    for share in [of_port, of_all] {
        assert!(stand.links.revoke(&id(), share).await.unwrap());
    }
    for cookie in [&port_visitor, &visitor] {
        assert_eq!(stand.ask("GET", &port, "/", &[cookie]).await.status(), 401);
    }
}

#[tokio::test]
async fn share_cookie_that_a_sibling_sets_does_not_keep_a_visitor_out() {
    let stand = Stand::new(Scheme::Http).await;
    let (_, url) = stand.share_link(ShareScope::Port(stand.port)).await;
    let cookie = stand.follow(&url, &[]).await.cookie();
    let pair = cookie.strip_prefix("cookie: ").unwrap();
    let name = pair.split('=').next().unwrap();
    let both = format!("cookie: {name}=forged; {name}=; {pair}");
    let answer = stand.ask("GET", &host(stand.port), "/", &[&both]).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn permit_of_a_visitor_says_by_which_share() {
    let links = Links::new(
        SigningKey::from_bytes([9; 32]),
        PublicUrl::new(Scheme::Http, pattern()),
    );
    let workspaces = MemoryProvider::new();
    workspaces.insert(info(&[]).with_ports(vec![PortInfo::new(3000)]));
    let policy = AccessPolicy::new(pattern(), "example.com");
    let leaf = service_fn(|routed: Routed<Permit, ()>| async move {
        let access = format!("{:?}", routed.stage().access());
        Ok::<_, Infallible>(Response::new(access))
    });
    let service = ServiceBuilder::new()
        .layer(ParseHostLayer::new(pattern()))
        .layer(LocateLayer::new(Arc::new(workspaces)))
        .layer(SignInLayer::new(links.clone(), policy.cookies().clone()))
        .layer(AuthorizeLayer::new(policy))
        .service(leaf);
    let ask = async |path: &str, name: &str, value: &str| {
        let request = Request::get(path)
            .header("host", host(3000))
            .header(name, value);
        service
            .clone()
            .oneshot(request.body(()).unwrap())
            .await
            .unwrap()
    };
    let wish = NewShare::new(id(), Duration::from_secs(60)).of(ShareScope::Port(3000));
    let (share, url) = links.share(wish, SystemTime::now()).await.unwrap();
    let answer = ask(&parts(&url).1, "accept", "*/*").await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    let visitor = ask("/", "cookie", cookie.split(';').next().unwrap()).await;
    assert_eq!(visitor.body(), &format!("{:?}", Access::Shared(share.id)));
    // Who is the owner as well goes on as the owner.
    let owner = ask("/", "x-gitpod-owner-token", TOKEN).await;
    assert_eq!(owner.body(), "Owner");
}
