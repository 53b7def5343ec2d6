//! Refusals say what happened in the form that the client wants, and give nothing away.
#![cfg(all(feature = "proxy", feature = "pages"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::Arc;

use gitpod_routing::layers::{AuthorizeLayer, LocateLayer, ParseHostLayer};
use gitpod_routing::{
    AccessPolicy, BuiltInPages, MemoryProvider, Permit, PortInfo, Routed, RunState,
};
use http::{Request, Response};
use support::*;
use tower::{ServiceBuilder, ServiceExt, service_fn};

const MARK: &str = "<script>alert(1)</script>";

/// A rig with one workspace whose ports do not answer.
async fn rig() -> (Rig, u16) {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let pages = BuiltInPages::new().with_start_url(|id| format!("https://example.com/start#{id}"));
    let rig = Rig::changed(address, |proxy| proxy.with_pages(Arc::new(pages))).await;
    (rig, address.port())
}

fn head_and_body(answer: &str) -> (&str, &str) {
    answer.split_once("\r\n\r\n").unwrap()
}

#[tokio::test]
async fn attack_28_nothing_of_a_request_is_shown_and_nothing_of_the_inside() {
    let (rig, port) = rig().await;
    let token = format!("x-gitpod-owner-token: {TOKEN}\n");
    let private = format!("{}-{ID}.{DOMAIN}", if port == 1 { 2 } else { 1 });
    let cases = [
        (format!("{MARK}.{DOMAIN}"), String::new(), 404),
        (format!("no-such-workspace0.{DOMAIN}"), String::new(), 404),
        (private.clone(), String::new(), 401),
        (private, format!("x-gitpod-owner-token: {MARK}\n"), 403),
        (host(port), String::new(), 404),
        (format!("{ID}.{DOMAIN}"), token, 502),
    ];
    for (host, fields, status) in cases {
        for (accept, kind) in [
            ("text/html", "text/html; charset=utf-8"),
            ("application/json", "application/problem+json"),
            ("*/*", "text/plain; charset=utf-8"),
            (MARK, "text/plain; charset=utf-8"),
        ] {
            let request = format!(
                "GET /%3Cscript%3E\"alert(1)?q='alert HTTP/1.1\nhost: {host}\nconnection: close\naccept: {accept}\nreferer: {MARK}\nuser-agent: {MARK}\ncookie: a={MARK}\n{fields}\n"
            );
            let answer = soon("an answer", rig.raw(&request)).await;
            let what = format!("{host} {accept}: {answer}");
            let (head, body) = head_and_body(&answer);
            assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{what}");
            assert!(head.contains(&format!("content-type: {kind}")), "{what}");
            assert!(!body.is_empty(), "{what}");
            assert!(!head.contains("unsafe-inline"), "{what}");
            let is_page = kind.starts_with("text/html");
            assert_eq!(head.contains("style-src 'sha256-"), is_page, "{what}");
            for leaked in ["<script", "alert", "127.0.0.1:", TOKEN, "refused"] {
                assert!(!answer.contains(leaked), "{leaked} in {what}");
            }
            for field in [
                "content-security-policy: default-src 'none'",
                "x-content-type-options: nosniff",
                "cache-control: no-store",
                "referrer-policy: no-referrer",
            ] {
                assert!(head.contains(field), "{field} not in {what}");
            }
        }
    }
}

#[tokio::test]
async fn owner_of_a_stopped_workspace_gets_a_button_and_a_stranger_does_not_learn_that_it_is() {
    let (rig, port) = rig().await;
    let mut stopped = info(&[]).with_ports(vec![PortInfo::new(port)]);
    stopped.state = RunState::Stopped;
    rig.workspaces.insert(stopped);
    let ask = async |fields: &str| {
        let request = format!(
            "GET / HTTP/1.1\nhost: {}\nconnection: close\naccept: text/html\n{fields}\n",
            host(port)
        );
        soon("an answer", rig.raw(&request)).await
    };
    let mine = ask(&format!("x-gitpod-owner-token: {TOKEN}\n")).await;
    assert!(mine.starts_with("HTTP/1.1 503"), "{mine}");
    let button = format!(r#"href="https://example.com/start#{ID}""#);
    assert!(mine.replace("&#35;", "#").contains(&button), "{mine}");
    let theirs = ask("").await;
    assert!(theirs.starts_with("HTTP/1.1 401"), "{theirs}");
    assert!(!theirs.contains("start#"), "{theirs}");
}

#[tokio::test]
async fn only_who_opens_a_page_is_sent_to_another_one() {
    let leaf = service_fn(|_: Routed<Permit, ()>| async {
        Ok::<_, std::convert::Infallible>(Response::new(()))
    });
    let provider = Arc::new(MemoryProvider::new());
    let service = ServiceBuilder::new()
        .layer(ParseHostLayer::new(pattern()))
        .layer(LocateLayer::new(provider).with_start_page("https://example.com/start"))
        .layer(AuthorizeLayer::new(AccessPolicy::new(
            pattern(),
            "example.com",
        )))
        .service(leaf);
    let cases = [
        ("GET", "accept", "text/html", 302),
        ("GET", "sec-fetch-mode", "navigate", 302),
        ("GET", "sec-fetch-mode", "cors", 404),
        ("GET", "sec-fetch-mode", "no-cors", 404),
        ("POST", "accept", "text/html", 404),
        ("GET", "upgrade", "websocket", 404),
    ];
    for (method, name, value, status) in cases {
        let request = Request::builder()
            .method(method)
            .header("host", format!("{ID}.{DOMAIN}"))
            .header("connection", "upgrade")
            .header(name, value)
            .body(())
            .unwrap();
        let answer = service.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), status, "{method} {name}: {value}");
    }
}
