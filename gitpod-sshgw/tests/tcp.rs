//! The TCP connector keeps the contract, and dials nothing on its own machine unless told.
#![cfg(all(feature = "tcp", feature = "testing"))]
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use gitpod_routing::{OwnerToken, WorkspaceInfo};
use gitpod_sshgw::{
    PrivateKey, TcpUpstream, UpstreamError, UpstreamLogin, Violation, check_upstream_connector,
};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

fn workspace(address: Option<IpAddr>) -> Arc<WorkspaceInfo> {
    let (id, instance) = ("pink-panda-ns35kd21".parse(), "instance".parse());
    let mut info = WorkspaceInfo::new(id.unwrap(), instance.unwrap(), OwnerToken::new("s3cret"));
    info.address = address;
    Arc::new(info)
}

fn login() -> UpstreamLogin {
    let key = PrivateKey::generate().unwrap();
    let host_key = key.public_key().clone();
    UpstreamLogin::new("gitpod", key, host_key)
}

/// A server that greets, and its port.
async fn greeting_server() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"SSH-2.0-test\r\n").await.unwrap();
            open.push(stream);
        }
    });
    port
}

#[tokio::test]
async fn tcp_upstream_keeps_the_contract() {
    let upstream = TcpUpstream::new(|_| Ok(login())).with_port(greeting_server().await);
    let upstream = upstream.with_workspaces_on_this_machine();
    let here = workspace(Some(Ipv4Addr::LOCALHOST.into()));
    check_upstream_connector(&upstream, here, workspace(None))
        .await
        .unwrap();
}

#[tokio::test]
async fn attack_09_an_address_of_the_gateway_itself_is_not_dialled() {
    let upstream = TcpUpstream::new(|_| Ok(login())).with_port(greeting_server().await);
    let here = workspace(Some(Ipv4Addr::LOCALHOST.into()));
    let why = check_upstream_connector(&upstream, here, workspace(None))
        .await
        .unwrap_err();
    assert!(
        matches!(why, Violation::Upstream(UpstreamError::Absent)),
        "{why:?}"
    );
}
