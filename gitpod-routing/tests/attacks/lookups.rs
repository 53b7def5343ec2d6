//! Nothing is remembered that somebody else could profit from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use gitpod_routing::{
    Lookup, MemoryProvider, OwnerToken, ProviderError, WorkspaceId, WorkspaceInfoProvider,
    WorkspaceProxy,
};

use crate::support::*;
use crate::world::{OTHER, OTHER_TOKEN, World, status};

#[tokio::test]
async fn attack_12_a_token_opens_its_own_workspace_and_only_while_it_is_its_token() {
    let world = World::new().await;
    let host = |id: &str| format!("{}-{id}.{DOMAIN}", world.private);
    let show = |token: &str| format!("x-gitpod-owner-token: {token}\n");
    let cookie = |run: &str, token: &str| format!("cookie: _example_com_ws_{run}_owner_={token}\n");
    let cases = [
        (ID, show(TOKEN), 200),
        (OTHER, show(TOKEN), 403),
        (OTHER, show(OTHER_TOKEN), 200),
        (ID, show(OTHER_TOKEN), 403),
        (ID, cookie("i-1", TOKEN), 200),
        (OTHER, cookie("i-1", TOKEN), 401),
        (OTHER, cookie("i-2", TOKEN), 403),
        (ID, cookie("i-2", OTHER_TOKEN), 401),
    ];
    // Twice and in both orders, so that anything remembered would show.
    for (id, fields, expected) in cases.iter().chain(cases.iter().rev()) {
        let answer = world.get(&host(id), "/", fields).await;
        assert_eq!(status(&answer), *expected, "{id} {fields}: {answer}");
    }
    let mut changed = (*world.workspaces.get(&id()).unwrap()).clone();
    changed.owner_token = OwnerToken::new("n3w");
    world.workspaces.insert(changed);
    for (token, expected) in [(TOKEN, 403), ("n3w", 200)] {
        let answer = world.get(&host(ID), "/", &show(token)).await;
        assert_eq!(status(&answer), expected, "{token}: {answer}");
    }
}

/// Cannot be asked now and then.
#[derive(Debug)]
struct Unreliable {
    inner: MemoryProvider,
    is_down: Arc<AtomicBool>,
}

#[async_trait]
impl WorkspaceInfoProvider for Unreliable {
    async fn workspace_info(&self, id: &WorkspaceId) -> Lookup {
        match self.is_down.load(Ordering::SeqCst) {
            true => Err(ProviderError::Unreachable("down".into())),
            false => Ok(self.inner.get(id)),
        }
    }
}

#[tokio::test]
async fn attack_12_an_error_is_remembered_neither_as_a_yes_nor_as_a_no() {
    let world = World::new().await;
    let is_down = Arc::new(AtomicBool::new(false));
    let provider = Unreliable {
        inner: world.workspaces.clone(),
        is_down: Arc::clone(&is_down),
    };
    let connector = gitpod_routing::DirectConnector::new().with_loopback_allowed();
    let proxy =
        WorkspaceProxy::new(pattern(), Arc::new(provider)).with_connector(Arc::new(connector));
    let address = serve_proxy(proxy).await;
    let rig = Rig {
        address,
        workspaces: world.workspaces.clone(),
        activity: gitpod_routing::MemoryActivity::new(),
    };
    let absent = format!("{}-no-such-abcdefgh.{DOMAIN}", world.port);
    let ask = async |host: &str| {
        let request = format!("GET / HTTP/1.1\nhost: {host}\nconnection: close\n\n");
        status(&soon("answer", rig.raw(&request)).await)
    };
    for _ in 0..2 {
        assert_eq!((ask(&world.host()).await, ask(&absent).await), (200, 404));
        is_down.store(true, Ordering::SeqCst);
        assert_eq!((ask(&world.host()).await, ask(&absent).await), (503, 503));
        is_down.store(false, Ordering::SeqCst);
    }
    // Whatever was not found a thousand times is found as soon as it is there.
    for number in 0..1000 {
        let host = format!("{}-no-such-abcdefgh.{DOMAIN}", number + 1);
        assert_eq!(ask(&host).await, 404);
    }
    let mut there = (*world.workspaces.get(&id()).unwrap()).clone();
    there.id = "no-such-abcdefgh".parse().unwrap();
    world.workspaces.insert(there);
    assert_eq!(ask(&absent).await, 200);
}
