//! An editor is started, watched, and started again.

use crate::support::Place;
use serde_json::json;

#[tokio::test]
async fn readiness_waits_for_the_editor_and_a_crash_starts_it_again() {
    let run = Place::new("")
        .with(
            "ide",
            json!([
                "python3",
                "-m",
                "http.server",
                "--bind",
                "127.0.0.1",
                "--directory",
                "{content}",
                "{port}"
            ]),
        )
        .start()
        .await;
    let ready = run.json("/_supervisor/v1/status/ide/wait/true").await;
    assert_eq!(
        (&ready["ok"], &ready["name"]),
        (&true.into(), &"python3".into())
    );
    let port = ready["port"].as_u64().unwrap();
    assert!(std::net::TcpStream::connect(("127.0.0.1", u16::try_from(port).unwrap())).is_ok());
    assert_eq!(
        run.json("/_supervisor/v1/status/ports").await,
        json!({"ports": []}),
        "its port is not one of the user's"
    );
    let children =
        std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", run.pid())).unwrap();
    let editor = rustix::process::Pid::from_raw(
        children
            .split_ascii_whitespace()
            .next()
            .unwrap()
            .parse()
            .unwrap(),
    )
    .unwrap();
    rustix::process::kill_process(editor, rustix::process::Signal::KILL).unwrap();
    run.event("ide", |data| data["state"] == "starting").await;
    let again = run.json("/_supervisor/v1/status/ide/wait/true").await;
    assert_eq!(again["ok"], true);
    assert!(run.stop().await.success());
}

#[tokio::test]
async fn editor_that_cannot_start_does_not_keep_the_workspace_from_being_used() {
    let run = Place::new("")
        .with("ide", json!(["no-such-editor", "{port}"]))
        .start()
        .await;
    let answer = run.json("/_supervisor/v1/status/ide/wait/true").await;
    assert_eq!(answer["ok"], true);
    assert!(answer["port"].is_null());
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .contains("`no-such-editor` cannot be started; install it"),
        "{answer}"
    );
    assert!(run.get("/").await.body.contains("no-such-editor"));
}

#[tokio::test]
async fn installed_editor_is_found_and_told_where_to_listen() {
    let script = "#!/bin/sh\necho \"$@\"\n[ \"$1 $3\" = '--host --port' ] && exec python3 -m http.server --bind \"$2\" \"$4\"\n";
    let place = Place::new("")
        .with_program("openvscode-server", script)
        .with("ide", json!("auto"));
    let run = place.start().await;
    let ready = run.json("/_supervisor/v1/status/ide/wait/true").await;
    assert_eq!(ready["name"], "openvscode-server");
    let content = place.dir.path().join("content");
    let asked = format!(
        "--port {} --without-connection-token --default-folder {}\n",
        ready["port"],
        content.display()
    );
    run.read_until("/_supervisor/v1/tasks/ide/log?follow=1", &asked)
        .await;
    assert!(
        run.get("/_supervisor/")
            .await
            .body
            .contains("openvscode-server")
    );
}
