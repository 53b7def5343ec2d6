//! Ports of workspaces that speak HTTPS, with a real TLS server.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use gitpod_routing::{PortInfo, Protocol, RustlsClient};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use support::*;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Answers one request over TLS, with a certificate that nobody knows.
async fn https_server() -> SocketAddr {
    let made = rcgen::generate_simple_self_signed(["anything".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tokio::io::AsyncReadExt::read_u8(&mut stream).await.unwrap());
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\ntls body";
        stream.write_all(answer).await.unwrap();
        stream.flush().await.unwrap();
    });
    address
}

async fn rig(server: SocketAddr) -> Rig {
    let rig = Rig::changed(server, |proxy| {
        let tls = RustlsClient::new(Arc::new(default_provider())).unwrap();
        proxy.with_forward(|forward| forward.with_tls(Arc::new(tls)))
    })
    .await;
    let port = PortInfo::new(server.port()).public();
    let port = port.with_protocol(Protocol::Https);
    rig.workspaces.insert(info(&[]).with_ports(vec![port]));
    rig
}

async fn ask(rig: &Rig, port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let request = crlf(&format!("GET / HTTP/1.1\nhost: {}\n\n", host(port)));
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn port_that_speaks_https_is_reached_whatever_its_certificate() {
    let server = https_server().await;
    let rig = rig(server).await;
    let mut stream = ask(&rig, server.port()).await;
    let head = soon("head", read_head(&mut stream)).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    soon("body", read_text(&mut stream, "tls body")).await;
}

#[tokio::test]
async fn server_that_does_not_speak_tls_is_answered_for() {
    let server = raw_upstream(|mut stream| async move {
        stream.write_all(b"no TLS here\n").await.unwrap();
    })
    .await;
    let rig = rig(server).await;
    let mut stream = ask(&rig, server.port()).await;
    let head = soon("head", read_head(&mut stream)).await;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
}
