//! A port of a local workspace leads to that workspace or nowhere.
#![cfg(feature = "process")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    dead_code
)]

mod support;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gitpod_lifecycle::process::{LocalConnector, ProcessCluster};
use gitpod_lifecycle::{Manager, NoContent, StopPolicy, UpdatePhase};
use gitpod_routing::{
    ConnectError, Connector, DialTarget, OwnerToken, WorkspaceInfo, WorkspaceService,
};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct World {
    local: Local,
    manager: Manager,
    connector: LocalConnector,
}

const LISTEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/listen.py");

impl World {
    /// With workspace `i1` that runs the shell script `run`.
    async fn running(run: &str) -> Self {
        let local = Local::new();
        let cluster: ProcessCluster = local.cluster();
        let connector = LocalConnector::new(cluster.clone());
        let manager = local.manager(cluster, NoContent::default()).await;
        let mut updates = manager.subscribe();
        manager.start(spec("i1", run)).await.unwrap();
        until(&mut updates, UpdatePhase::Running).await;
        Self {
            local,
            manager,
            connector,
        }
    }

    /// The port on which a `listen.py` called `name` listens in the workspace.
    async fn port_of(&self, name: &str) -> u16 {
        file(&self.local.content().join(format!("{name}.port")))
            .await
            .trim()
            .parse()
            .unwrap()
    }

    async fn reach(&self, service: WorkspaceService) -> Result<String, ConnectError> {
        let id = WORKSPACE.parse().unwrap();
        let info = WorkspaceInfo::new(id, support::id("i1"), OwnerToken::new("t"));
        let mut stream = self
            .connector
            .connect(&DialTarget::new(Arc::new(info), service))
            .await?;
        stream.write_all(b"?").await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        Ok(said)
    }

    async fn end(self) {
        self.manager
            .stop(&id("i1"), StopPolicy::Immediately)
            .await
            .unwrap();
        self.manager.gone(&id("i1")).await.unwrap();
        let after = self.reach(WorkspaceService::Supervisor).await;
        assert!(matches!(after, Err(ConnectError::NotListening)));
    }
}

/// A process outside of the workspace that listens on the same port.
struct Neighbour(Child);

impl Neighbour {
    async fn at(world: &World, address: &str, port: u16) -> Self {
        let dir = world.local.dir.path();
        let mut command = Command::new("python3");
        command
            .args([LISTEN, "neighbour", address, &port.to_string()])
            .current_dir(dir);
        let new = Self(command.stdin(Stdio::null()).spawn().unwrap());
        file(&dir.join("neighbour.port")).await;
        new
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn every_loopback_address_that_the_workspace_listens_on_is_reached() {
    let addresses = ["127.0.0.1", "0.0.0.0", "127.0.0.7", "::1", "::", "::%only"];
    let listen = |(n, address)| format!("python3 {LISTEN} server{n} {address} & ");
    let script: String = addresses.iter().enumerate().map(listen).collect();
    let world = World::running(&script).await;
    for (n, address) in addresses.iter().enumerate() {
        let port = world.port_of(&format!("server{n}")).await;
        for _ in 0..3 {
            let said = world.reach(WorkspaceService::Port(port)).await.unwrap();
            assert_eq!(said, format!("server{n}"), "{address}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn many_connections_at_once_take_few_threads() {
    let world = World::running(&format!("python3 {LISTEN} own 127.0.0.1 &")).await;
    let port = world.port_of("own").await;
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let reaching = (0..400).map(|_| async {
        let said = world.reach(WorkspaceService::Port(port)).await.unwrap();
        (said, threads())
    });
    for (said, threads) in futures_util::future::join_all(reaching).await {
        assert_eq!(said, "own");
        assert!(threads < 100, "{threads}"); // of all tests that run now
    }
    world.end().await;
}

#[tokio::test]
async fn port_of_a_detached_process_is_reached() {
    let script = format!("(setsid env -i PATH=$PATH python3 {LISTEN} daemon 127.0.0.1 &)");
    let world = World::running(&script).await;
    let port = world.port_of("daemon").await;
    assert_eq!(
        world.reach(WorkspaceService::Port(port)).await.unwrap(),
        "daemon"
    );
    world.end().await;
}

#[tokio::test]
async fn port_of_somebody_else_is_not_listening() {
    let world = World::running("true").await;
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port();
    let refused = world.reach(WorkspaceService::Port(port)).await;
    assert!(
        matches!(refused, Err(ConnectError::NotListening)),
        "{refused:?}"
    );
    stranger.set_nonblocking(true).unwrap();
    assert!(stranger.accept().is_err(), "it was not even connected to");
    world.end().await;
}

#[tokio::test]
async fn port_where_nobody_listens_is_not_listening() {
    let world = World::running("true").await;
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let refused = world.reach(WorkspaceService::Port(port)).await;
    assert!(
        matches!(refused, Err(ConnectError::NotListening)),
        "{refused:?}"
    );
    world.end().await;
}

#[tokio::test]
async fn shared_port_leads_nowhere_while_a_neighbour_could_answer() {
    let world = World::running(&format!("python3 {LISTEN} own 127.0.0.1 &")).await;
    let port = world.port_of("own").await;
    assert_eq!(
        world.reach(WorkspaceService::Port(port)).await.unwrap(),
        "own"
    );
    for address in ["127.0.0.1", "0.0.0.0"] {
        let neighbour = Neighbour::at(&world, address, port).await;
        for _ in 0..20 {
            let refused = world.reach(WorkspaceService::Port(port)).await;
            assert!(
                matches!(refused, Err(ConnectError::NotListening)),
                "{refused:?}"
            );
        }
        drop(neighbour);
        std::fs::remove_file(world.local.dir.path().join("neighbour.port")).unwrap();
        assert_eq!(
            world.reach(WorkspaceService::Port(port)).await.unwrap(),
            "own"
        );
    }
    world.end().await;
}

#[tokio::test]
async fn another_address_is_used_where_a_neighbour_holds_one() {
    let world = World::running(&format!("python3 {LISTEN} own ::1 &")).await;
    let port = world.port_of("own").await;
    let _neighbour = Neighbour::at(&world, "127.0.0.1", port).await;
    assert_eq!(
        world.reach(WorkspaceService::Port(port)).await.unwrap(),
        "own"
    );
    world.end().await;
}

#[tokio::test]
async fn neighbour_that_comes_and_goes_is_never_reached() {
    let world = World::running(&format!("python3 {LISTEN} own 127.0.0.1 &")).await;
    let port = world.port_of("own").await;
    let dir = world.local.dir.path().to_owned();
    let reached = Arc::new(AtomicUsize::new(0));
    let refused = Arc::new(AtomicUsize::new(0));
    let (seen_alone, seen_beside) = (Arc::clone(&reached), Arc::clone(&refused));
    let flapping = tokio::task::spawn_blocking(move || {
        // It stays, and stays away, until that has made a difference.
        let changes = |count: &AtomicUsize| {
            let before = count.load(Ordering::Relaxed);
            while count.load(Ordering::Relaxed) == before {
                std::thread::yield_now();
            }
        };
        for _ in 0..10 {
            let mut command = Command::new("python3");
            let port = port.to_string();
            command
                .args([LISTEN, "neighbour", "127.0.0.1", &port])
                .current_dir(&dir);
            let mut child = command.spawn().unwrap();
            changes(&seen_beside);
            child.kill().unwrap();
            child.wait().unwrap();
            std::fs::remove_file(dir.join("neighbour.port")).unwrap();
            changes(&seen_alone);
        }
    });
    while !flapping.is_finished() {
        match world.reach(WorkspaceService::Port(port)).await {
            Ok(said) => {
                assert!(said == "own", "{said}");
                reached.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {
                refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    flapping.await.unwrap();
    world.end().await;
}
