//! Providers and connectors of this crate keep the promises of their traits.
#![cfg(all(feature = "proxy", feature = "testing"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gitpod_routing::{
    ConnectError, Connector, DialTarget, DirectConnector, Lookup, MemoryProvider, MemoryShares,
    MemoryStarter, MemoryUsedLinks, RunState, WorkspaceId, WorkspaceInfoProvider, WorkspaceService,
    conformance,
};
use http::Response;
use http_body_util::Full;
use support::*;

#[tokio::test]
async fn memory_provider_conforms() {
    let provider = MemoryProvider::new();
    provider.insert(info(&[3000]));
    conformance::provider_finds(&provider, &info(&[3000])).await;
    conformance::provider_survives_a_dropped_question(&provider, &info(&[3000])).await;
    let absent = "no-such-workspace0".parse().unwrap();
    conformance::provider_knows_what_is_not_there(&provider, &absent).await;
    let insert = async { provider.insert(info(&[])) };
    soon(
        "insert",
        conformance::provider_tells_of_a_change(&provider, insert),
    )
    .await;
    let remove = async { provider.remove(&id()) };
    soon(
        "remove",
        conformance::provider_tells_of_a_change(&provider, remove),
    )
    .await;
}

/// Says of every workspace that it is this one.
#[derive(Debug)]
struct Liar;

#[async_trait]
impl WorkspaceInfoProvider for Liar {
    async fn workspace_info(&self, _id: &WorkspaceId) -> Lookup {
        Ok(Some(Arc::new(info(&[]))))
    }
}

#[tokio::test]
#[should_panic(expected = "is Ok(None)")]
async fn provider_that_finds_everything_does_not_conform() {
    let absent = "no-such-workspace0".parse().unwrap();
    conformance::provider_knows_what_is_not_there(&Liar, &absent).await;
}

#[tokio::test]
async fn direct_connector_conforms() {
    let server = upstream(|_| async { Response::new(Full::new(Bytes::from("ok"))) }).await;
    let connector = DirectConnector::new().with_loopback_allowed();
    let target = |port| DialTarget::new(Arc::new(info(&[])), WorkspaceService::Port(port));
    conformance::connector_reaches(&connector, &target(server.port())).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    conformance::connector_tells_what_does_not_listen(&connector, &target(closed.port())).await;
}

#[tokio::test]
async fn attack_09_addresses_that_are_no_pods_are_never_dialled() {
    let connector = DirectConnector::new();
    for address in [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "::",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b::127.0.0.1",
        "::127.0.0.1",
        "fe80::1",
        "224.0.0.1",
    ] {
        let info = info(&[]).running_at(address.parse().unwrap());
        let target = DialTarget::new(Arc::new(info), WorkspaceService::Port(80));
        let answer = connector.connect(&target).await;
        assert!(matches!(answer, Err(ConnectError::Refused(_))), "{address}");
    }
}

#[tokio::test]
async fn attack_06_ports_of_the_platform_are_no_user_ports() {
    let connector = DirectConnector::new().with_loopback_allowed();
    for port in [0, 22_999, 24_999, 25_003] {
        let target = DialTarget::new(Arc::new(info(&[])), WorkspaceService::Port(port));
        let answer = connector.connect(&target).await;
        assert!(matches!(answer, Err(ConnectError::NotListening)), "{port}");
    }
}

#[tokio::test]
async fn stores_behind_links_conform() {
    let other = "blue-whale-ns35kd21".parse().unwrap();
    conformance::share_store_remembers_and_forgets(&MemoryShares::new(), &id(), &other).await;
    conformance::used_links_are_used_once(&MemoryUsedLinks::new()).await;
}

#[tokio::test]
async fn memory_starter_conforms() {
    let workspaces = MemoryProvider::new();
    let mut stopped = info(&[]);
    stopped.state = RunState::Stopped;
    workspaces.insert(stopped.clone());
    let starter = MemoryStarter::new(workspaces.clone(), [127, 0, 0, 1].into());
    let started = conformance::starter_starts_one_run(&starter, &workspaces, &stopped);
    soon("a start", started).await;
    assert_eq!(starter.starts(), 1);
}
