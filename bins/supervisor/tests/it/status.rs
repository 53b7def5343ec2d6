//! What the supervisor answers on its socket, and that nothing of a workspace becomes markup.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::Place;
use axum::http::{Method, StatusCode};
use serde_json::json;

#[tokio::test]
async fn status_of_a_workspace_without_editor_is_ready_at_once() {
    let run = Place::new("").start().await;
    assert_eq!(
        run.json("/_supervisor/v1/status/supervisor").await["ok"],
        true
    );
    assert_eq!(
        run.json("/_supervisor/v1/status/ide").await,
        json!({"ok": true})
    );
    assert_eq!(
        run.json("/_supervisor/v1/status/ide/wait/true").await,
        json!({"ok": true})
    );
    assert_eq!(
        run.json("/_supervisor/v1/status/content").await,
        json!({"available": true, "source": "from-other"})
    );
    assert_eq!(
        run.json("/_supervisor/v1/status/ports").await,
        json!({"ports": []})
    );
    assert_eq!(
        run.json("/_supervisor/v1/status/tasks").await,
        json!({"tasks": [], "config": {"state": "read", "ignored": []}})
    );
}

#[tokio::test]
async fn socket_is_for_its_owner_and_for_one_supervisor() {
    let place = Place::new("");
    let run = place.start().await;
    let socket = place.dir.path().join("supervisor.sock");
    assert_eq!(
        fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_supervisor"))
        .arg("--config")
        .arg(place.dir.path().join("supervisor.json"))
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another supervisor serves"));
    assert!(run.stop().await.success());
}

#[tokio::test]
async fn unknown_paths_and_other_methods_are_refused_as_json() {
    let run = Place::new("").start().await;
    for path in [
        "/x",
        "/_supervisor/v1",
        "/_supervisor/v1/status/idefoo",
        "/_supervisor/v1/tasks/9/log",
        "/_supervisor/static/../home.html",
    ] {
        let answer = run.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(run.get("/x").await.body.contains("\"fix\""));
    let answer = run.ask(Method::POST, "/_supervisor/v1/status/ide").await;
    assert_eq!(
        (answer.status, answer.headers["allow"].to_str().unwrap()),
        (StatusCode::METHOD_NOT_ALLOWED, "GET,HEAD")
    );
    assert!(run.ask(Method::HEAD, "/").await.body.is_empty());
}

#[tokio::test]
async fn broken_file_is_shown_with_its_fix_and_does_not_stop_the_workspace() {
    let run = Place::new("ports:\n- port: 70000\n").start().await;
    let page = run.get("/").await;
    for text in [
        "Line 2, column 9",
        "70000 is not a port",
        "write a number like 3000",
    ] {
        assert!(page.body.contains(text), "{text}");
    }
    let config = run.json("/_supervisor/v1/status/tasks").await["config"].clone();
    assert_eq!(
        (&config["state"], &config["problems"][0]["line"]),
        (&"broken".into(), &2.into())
    );
    assert_eq!(
        run.json("/_supervisor/v1/status/ide/wait/true").await["ok"],
        true
    );
}

#[tokio::test]
async fn hostile_names_and_output_never_become_markup() {
    let hostile = "<script>alert(1)</script>";
    let run = Place::new(&format!(
        "'{hostile}': 1\ntasks:\n- name: '{hostile}'\n  command: echo '{hostile}'\nports:\n- {{port: 1, name: '{hostile}', description: '{hostile}'}}\n"
    ))
    .with("workspace_id", hostile.into())
    .with("repository_url", "javascript:alert(1)".into())
    .start()
    .await;
    let page = run.get("/_supervisor/").await;
    assert!(
        page.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(
        !page.body.contains(hostile) && page.body.contains("&#60;script&#62;"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("href=\"javascript:"));
    assert!(!page.body.contains("<style") && !page.body.contains("onclick"));
    let log = run
        .get("/_supervisor/v1/tasks/1-script-alert-1-script/log?follow=1")
        .await;
    assert_eq!(log.body, format!("{hostile}\n"));
    assert_eq!(log.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(log.headers["x-content-type-options"], "nosniff");
    assert!(
        !run.get("/_supervisor/static/app.js")
            .await
            .body
            .contains("innerHTML")
    );
}

#[tokio::test]
async fn events_begin_with_the_whole_state_and_are_not_buffered() {
    let run = Place::new("tasks: [{command: sleep 1000}]\n").start().await;
    for name in ["state", "ide", "tasks", "ports"] {
        run.event(name, |_| true).await;
    }
    let answer = run.event("state", |data| data["state"] == "running").await;
    assert_eq!(answer, json!({"state": "running"}));
}

#[tokio::test]
async fn paths_longer_than_a_socket_address_work() {
    let place = Place::new("");
    let deep = place.dir.path().join("d".repeat(60)).join("e".repeat(60));
    fs::create_dir_all(&deep).unwrap();
    let socket = deep.join("supervisor.sock");
    let place = place.with("socket", socket.to_str().unwrap().into());
    let run = place.start().await;
    assert_eq!(run.json("/_supervisor/v1/status/ide").await["ok"], true);
    assert!(run.stop().await.success());
}

#[tokio::test]
async fn wrong_configuration_says_what_to_write() {
    let place = Place::new("").with("content_dir", "/nowhere".into());
    fs::write(place.dir.path().join("x.json"), r#"{"owner_token":"t"}"#).unwrap();
    let refused = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_supervisor"))
            .args(arguments)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let file = place.dir.path().join("x.json");
    let (code, text) = refused(&["--config", file.to_str().unwrap()]);
    assert!(
        code == Some(1) && text.contains("unknown field `owner_token`"),
        "{text}"
    );
    let (code, text) = refused(&["--config", "/nowhere.json"]);
    assert!(
        code == Some(1) && text.contains("cannot read the configuration /nowhere.json"),
        "{text}"
    );
    assert_eq!(refused(&[]).0, Some(2));
}

#[tokio::test]
async fn file_that_is_no_file_is_shown_and_does_not_block() {
    let place = Place::new("");
    let file = place.file(".gitpod.yml");
    for make in [fifo_at as fn(&std::path::Path), |path| {
        std::os::unix::fs::symlink("/dev/zero", path).unwrap()
    }] {
        fs::remove_file(&file).unwrap();
        make(&file);
        let run = place.start().await;
        assert!(run.get("/").await.body.contains("it is not a regular file"));
        run.stop().await;
    }
}

fn fifo_at(path: &std::path::Path) {
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from(0o600),
        0,
    )
    .unwrap();
}

#[tokio::test]
async fn on_a_shared_network_nothing_is_connected_to() {
    let run = Place::new("").start().await;
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let target = server.local_addr().unwrap().to_string();

    let answer = run.ask(Method::CONNECT, &target).await;

    assert!(answer.status.is_client_error(), "{}", answer.status);
    assert!(server.accept().is_err(), "it was connected to");
}
