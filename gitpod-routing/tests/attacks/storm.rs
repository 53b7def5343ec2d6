//! Everybody comes back at the same moment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use gitpod_routing::{
    Lookup, ProviderError, RunState, WorkspaceId, WorkspaceInfoProvider, WorkspaceProxy,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;
use crate::world::{World, status};

/// Has just been started, and knows nothing yet.
#[derive(Debug)]
struct NotReady;

#[async_trait]
impl WorkspaceInfoProvider for NotReady {
    async fn workspace_info(&self, _: &WorkspaceId) -> Lookup {
        Err(ProviderError::NotReady)
    }
}

/// What a hundred clients are told who send `head` at once: by what comes behind `before`, how many.
async fn told(address: SocketAddr, head: &str, before: &str) -> BTreeMap<u64, usize> {
    let all = (0..100).map(|_| async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(crlf(head).as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    });
    let mut told = BTreeMap::new();
    for answer in soon("all answers", join_all(all)).await {
        assert_eq!(status(&answer), 503, "{answer}");
        let (_, rest) = answer.split_once(before).unwrap();
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        *told.entry(digits.parse().unwrap()).or_default() += 1;
    }
    told
}

/// At different times, and none of them is the time of most.
fn assert_spread(told: &BTreeMap<u64, usize>, from: u64, to: u64) {
    assert!(
        told.keys().all(|time| (from..=to).contains(time)),
        "{told:?}"
    );
    let times = usize::try_from(to - from + 1).unwrap();
    assert_eq!(told.len(), times, "{told:?}");
    let most = told.values().max().unwrap();
    assert!(*most < 200 / times, "{told:?}");
}

#[tokio::test]
async fn attack_36_whoever_is_refused_for_the_moment_is_told_another_time() {
    let world =
        World::changed(|proxy| proxy.with_forward(|forward| forward.with_max_upgrades(0))).await;
    let host = world.host();
    let get = format!("GET / HTTP/1.1\nhost: {host}\nconnection: close\n\n");
    let upgrade =
        format!("GET / HTTP/1.1\nhost: {host}\nconnection: upgrade, close\nupgrade: x\n\n");
    let (header, refresh) = ("\r\nretry-after: ", r#"http-equiv="refresh" content=""#);

    let over_limit = told(world.address, &upgrade, header).await;
    assert_spread(&over_limit, 2, 6);

    let mut starting = (*world.workspaces.get(&id()).unwrap()).clone();
    starting.state = RunState::Starting;
    world.workspaces.insert(starting);
    assert_spread(&told(world.address, &get, header).await, 2, 6);

    let nothing_known = WorkspaceProxy::new(pattern(), Arc::new(NotReady));
    let address = serve_proxy(nothing_known).await;
    assert_spread(&told(address, &get, header).await, 2, 6);
    if cfg!(feature = "pages") {
        let page = get.replace("\n\n", "\naccept: text/html\n\n");
        assert_spread(&told(world.address, &page, refresh).await, 1, 2);
        assert_spread(&told(address, &page, refresh).await, 2, 6);
    }
}

#[tokio::test]
async fn attack_36_what_will_not_pass_by_itself_is_not_to_be_tried_again() {
    let world = World::new().await;
    for (host, expected) in [
        (format!("1-{ID}.evil.test"), 404),
        (format!("1-no-such-abcdefgh.{DOMAIN}"), 404),
        (format!("{}-{ID}.{DOMAIN}", world.private), 401),
    ] {
        let answer = world.get(&host, "/", "").await;
        assert_eq!(status(&answer), expected, "{answer}");
        assert!(!answer.contains("retry-after"), "{answer}");
    }
}
