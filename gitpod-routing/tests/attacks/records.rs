//! What a provider says that has been told lies, or tells them.

use std::sync::Arc;

use async_trait::async_trait;
use gitpod_routing::{
    AccessPolicy, DirectConnector, Lookup, MemoryProvider, MemoryStarter, RunState, Wakes,
    WorkspaceId, WorkspaceInfoProvider, WorkspaceProxy,
};

use crate::support::*;
use crate::world::{OTHER, OTHER_TOKEN, World, status};

/// Answers every question with the record of one workspace, once its own has been seen to be stopped.
#[derive(Debug)]
struct Impostor {
    truth: MemoryProvider,
    answer: WorkspaceId,
}

#[async_trait]
impl WorkspaceInfoProvider for Impostor {
    async fn workspace_info(&self, id: &WorkspaceId) -> Lookup {
        let own = self.truth.get(id);
        match own.filter(|info| info.state == RunState::Stopped) {
            Some(stopped) => {
                self.truth.remove(id);
                Ok(Some(stopped))
            }
            None => Ok(self.truth.get(&self.answer)),
        }
    }
}

#[tokio::test]
async fn attack_50_record_of_another_workspace_is_no_answer() {
    let world = World::new().await;
    let provider = Arc::new(Impostor {
        truth: world.workspaces.clone(),
        answer: OTHER.parse().unwrap(),
    });
    let mut mine = (*world.workspaces.get(&id()).unwrap()).clone();
    mine.state = RunState::Stopped;
    let starter = MemoryStarter::new(MemoryProvider::new(), [127, 0, 0, 2].into());
    let proxy = WorkspaceProxy::new(pattern(), provider.clone())
        .with_policy(AccessPolicy::new(pattern(), "example.com"))
        .with_connector(Arc::new(DirectConnector::new().with_loopback_allowed()))
        .with_wakes(Wakes::new(Arc::new(starter), provider));
    let rig = Rig {
        address: serve_proxy(proxy).await,
        workspaces: world.workspaces.clone(),
        activity: gitpod_routing::MemoryActivity::new(),
    };
    let ask = async |host: String, token: &str| {
        let token = format!("x-gitpod-owner-token: {token}");
        let head = format!("GET / HTTP/1.1\nhost: {host}\nconnection: close\n{token}\n\n");
        soon("an answer", rig.raw(&head)).await
    };
    // As itself it is reached, so that there is something to be taken over.
    let theirs = ask(format!("{}-{OTHER}.{DOMAIN}", world.port), OTHER_TOKEN).await;
    assert!(theirs.ends_with("theirs"), "{theirs}");
    assert_eq!(world.seen.who(), ["theirs"]);
    // Neither at once, nor with the token that opens the other one, nor after a start.
    for (host, token) in [
        (format!("{}-no-such-abcdefgh.{DOMAIN}", world.port), TOKEN),
        (
            format!("{}-no-such-abcdefgh.{DOMAIN}", world.private),
            OTHER_TOKEN,
        ),
    ] {
        let answer = ask(host, token).await;
        assert_eq!(status(&answer), 404, "{answer}");
    }
    world.workspaces.insert(mine);
    let answer = ask(world.host(), TOKEN).await;
    assert_eq!(status(&answer), 404, "{answer}");
    assert_eq!(world.seen.who(), [""; 0]);
}

#[tokio::test]
async fn attack_50_addresses_of_a_record_lead_to_no_server_of_this_host() {
    let world =
        World::changed(|proxy| proxy.with_connector(Arc::new(DirectConnector::new()))).await;
    for address in [
        "127.0.0.1",
        "127.0.0.2",
        "127.1.2.3",
        "0.0.0.0",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:0.0.0.0",
        "::127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fe80::1",
        "ff02::1",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        let info = (*world.workspaces.get(&id()).unwrap()).clone();
        world
            .workspaces
            .insert(info.running_at(address.parse().unwrap()));
        let answer = world.get(&world.host(), "/", "").await;
        assert_eq!(status(&answer), 404, "{address}: {answer}");
        assert!(!answer.contains(address), "{answer}");
    }
    assert_eq!(world.seen.who(), [""; 0]);
}
