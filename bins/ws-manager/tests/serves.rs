//! The real program: workspaces over gRPC, as long as it runs and after.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::process::Command;

use gitpod_lifecycle::grpc::client::WorkspacePhase;
use serde_json::{Value, json};
use support::testing::{Authority, ManagerClient, Program, repository, request};
use support::tls::ClientTls;

fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_ws-manager").into()
}

fn config(dir: &Path) -> Value {
    json!({
        "manager": {
            "urlTemplate": "http://{{ .Prefix }}.ws.localhost/",
            "portUrlTemplate": "http://{{ .WorkspacePort }}-{{ .Prefix }}.ws.localhost/",
            "workspaceClass": {"g1-standard": {"name": "Standard"}},
            "preferredWorkspaceClass": "g1-standard",
            "schedulerName": "workspace-scheduler",
        },
        "rpcServer": {"addr": "127.0.0.1:0"},
        "prometheus": {"addr": "127.0.0.1:0"},
        "health": {"addr": "127.0.0.1:0"},
        "local": {"stateDir": dir.join("state"), "network": "shared"},
        "colour": "red",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn workspaces_outlive_it_and_are_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let repository = repository(&[(".gitpod.yml", "tasks: [{command: 'sleep 1000'}]")]);
    let first = Program::run(&program(), dir.path(), &config(dir.path()));
    let mut client = ManagerClient::new(&first.address("gRPC").to_string(), None);
    let started = client
        .start("run-1", "pink-panda-ns35kd21", repository.path())
        .await;
    assert_eq!(started.url, "http://pink-panda-ns35kd21.ws.localhost/");
    client.reaches("run-1", WorkspacePhase::Running).await;

    let health = first.address("health");
    assert_eq!(request(health, "x", "/readyz?verbose", &[]).status(), 200);
    let metrics = request(first.address("metrics"), "x", "/metrics", &[]);
    let line = r#"grpc_server_started_total{grpc_service="wsman.WorkspaceManager",grpc_method="StartWorkspace"} 1"#;
    assert!(metrics.body().contains(line), "{}", metrics.body());

    // What does nothing is named, and what is secret is nowhere.
    let _ = first.logged("unknown key", |line| line["key"] == "colour");
    let _ = first.logged("key without effect", |line| {
        line["key"] == "manager.schedulerName"
    });
    assert!(!first.log().contains(&started.token), "{}", first.log());

    assert!(first.stop().success());
    let second = Program::run(&program(), dir.path(), &config(dir.path()));
    let mut client = ManagerClient::new(&second.address("gRPC").to_string(), None);
    client.reaches("run-1", WorkspacePhase::Running).await;
    client.stop("run-1").await;
    client.reaches("run-1", WorkspacePhase::Stopped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_only_clients_of_its_authority_are_heard() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let server = authority.write(dir.path(), "server", "ws-manager");
    let ours = authority.write(dir.path(), "client", "ws-proxy");
    let mut config = config(dir.path());
    config["rpcServer"] = json!({
        "addr": "127.0.0.1:0",
        "tls": {"ca": server.authority, "crt": server.certificate, "key": server.key},
    });
    let program = Program::run(&program(), dir.path(), &config);
    let address = program.address("gRPC").to_string();
    let list = async |tls| {
        let mut client = ManagerClient::new(&address, tls).client;
        client
            .get_workspaces(gitpod_lifecycle::grpc::client::GetWorkspacesRequest::default())
            .await
    };
    assert!(
        list(Some(ClientTls::open(ours.clone(), "ws-manager").unwrap()))
            .await
            .is_ok()
    );
    assert!(list(None).await.is_err(), "in the clear");

    // Trusts the server, but is signed by somebody else.
    let elsewhere = tempfile::tempdir().unwrap();
    let mut stranger = Authority::new().write(elsewhere.path(), "client", "ws-proxy");
    stranger.authority = ours.authority;
    assert!(
        list(Some(ClientTls::open(stranger, "ws-manager").unwrap()))
            .await
            .is_err()
    );
}

#[test]
fn broken_configuration_is_told_before_anything_is_bound() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    let mut broken = config(dir.path());
    broken["rpcServer"]["addr"] = "0.0.0.0:1".into();
    broken["manager"]["urlTemplate"] = "{{ nope }}".into();
    std::fs::write(&file, broken.to_string()).unwrap();
    let output = Command::new(program())
        .args(["run", "--json-log=false"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    for expected in [
        "config.json",
        "rpcServer.tls: is missing, although",
        "manager.urlTemplate: ",
    ] {
        assert!(told.contains(expected), "{told}");
    }
    assert!(!dir.path().join("state").exists());
}

#[test]
fn help_says_what_it_does_not_do_yet() {
    let output = Command::new(program()).arg("--help").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("Kubernetes") && text.contains("later"),
        "{text}"
    );
}
