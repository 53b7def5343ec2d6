//! The real program beside a real manager: what happens to workspaces is in the database, and is told.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::PathBuf;
use std::process::Command;

use gitpod_bridge::{InstancePhase, InstanceStore, SqliteStore};
use gitpod_lifecycle::grpc::client::WorkspacePhase;
use serde_json::Value;
use support::testing::{
    ManagerClient, Program, binary, bridge_config, manager_config, repository, request, wait_until,
};
use tokio::time::{Instant, sleep};

fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_ws-manager-bridge").into()
}

/// Waits until the row of `id` is in `phase`.
async fn row_reaches(store: &SqliteStore, id: &str, phase: InstancePhase) {
    let give_up = Instant::now() + support::testing::PATIENCE;
    loop {
        let row = store.instance(&id.parse().unwrap()).await.unwrap();
        if row.as_ref().is_some_and(|row| row.state.phase == phase) {
            return;
        }
        assert!(Instant::now() < give_up, "{id} is not {phase:?}: {row:?}");
        sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn announced(bridge: &Program, instance: &str) -> Vec<Value> {
    let printed = bridge.printed();
    let lines = printed
        .iter()
        .map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|line: &Value| line["payload"]["instanceID"] == instance)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_kept_and_told_also_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let repository = repository(&[(".gitpod.yml", "tasks: [{command: 'sleep 1000'}]")]);
    // A unix socket: its address outlives a restart of the manager.
    let socket = format!("unix:{}", dir.path().join("manager.sock").display());
    let mut config = manager_config(dir.path());
    config["rpcServer"]["addr"] = socket.as_str().into();
    let manager = Program::run(&binary("ws-manager"), dir.path(), &config);
    let _ = manager.logged("gRPC", |line| line["what"] == "gRPC");
    let mut client = ManagerClient::new(&socket, None);

    let bridge_config = bridge_config(dir.path(), &socket);
    let bridge = Program::run(&program(), dir.path(), &bridge_config);
    let health = bridge.address("health");
    wait_until("ready", || {
        request(health, "x", "/readyz", &[]).status() == 200
    });
    let started = client
        .start("run-1", "pink-panda-ns35kd21", repository.path())
        .await;
    let store = SqliteStore::open(dir.path().join("gitpod.db"))
        .await
        .unwrap();
    row_reaches(&store, "run-1", InstancePhase::Running).await;
    wait_until("an announcement", || {
        !announced(&bridge, "run-1").is_empty()
    });
    let first = &announced(&bridge, "run-1")[0];
    assert_eq!(first["payload"]["workspaceID"], "pink-panda-ns35kd21");
    let metrics = request(bridge.address("metrics"), "x", "/metrics", &[]);
    assert!(
        metrics.body().contains("gitpod_ws_manager_bridge_"),
        "{}",
        metrics.body()
    );
    assert!(!bridge.log().contains(&started.token));
    assert!(!bridge.printed().join("").contains(&started.token));

    // The manager goes and comes back, and the bridge finds it again.
    manager.kill();
    let manager = Program::run(&binary("ws-manager"), dir.path(), &config);
    let _ = manager.logged("gRPC", |line| line["what"] == "gRPC");
    client.reaches("run-1", WorkspacePhase::Running).await;
    client
        .start("run-2", "blue-whale-ns35kd22", repository.path())
        .await;
    row_reaches(&store, "run-2", InstancePhase::Running).await;

    // What ends while no bridge runs is found by the next one.
    assert!(bridge.stop().success());
    for run in ["run-1", "run-2"] {
        client.stop(run).await;
        client.reaches(run, WorkspacePhase::Stopped).await;
    }
    let bridge = Program::run(&program(), dir.path(), &bridge_config);
    row_reaches(&store, "run-1", InstancePhase::Stopped).await;
    row_reaches(&store, "run-2", InstancePhase::Stopped).await;
    wait_until("an announcement of the end", || {
        !announced(&bridge, "run-1").is_empty()
    });
    assert!(bridge.stop().success());
    store.close().await;
}

#[test]
fn broken_configuration_is_told_by_key() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.json");
    std::fs::write(
        &file,
        r#"{"staticBridges": [{"name": "a", "url": "nowhere"}]}"#,
    )
    .unwrap();
    let output = Command::new(program())
        .args(["check", "-j=false"])
        .env("WSMAN_BRIDGE_CONFIGPATH", &file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("staticBridges[0].url: \"nowhere\": has no port"),
        "{told}"
    );
    assert!(told.contains("store.sqlite: is missing"), "{told}");
}
