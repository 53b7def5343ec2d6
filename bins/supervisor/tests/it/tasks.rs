//! Tasks run as the file format promises, their output can be read, and nothing of them is left behind.

use std::fs;

use crate::support::{Place, exists, until};

#[tokio::test]
async fn phases_run_in_order_in_one_shell_and_init_only_once_per_content() {
    let place = Place::new(
        "tasks:\n- name: Web\n  before: export A=1; echo before\n  init: echo init\n  command: echo command $A $GREETING $MINE\n  env: {MINE: 7}\n",
    );
    let run = place.start().await;
    assert_eq!(
        run.output("1-web").await,
        "before\ninit\ncommand 1 hello 7\n"
    );
    assert!(run.stop().await.success());
    let second = place.dir.path().join("logs/2");
    let place = place.with("logs_dir", second.to_str().unwrap().into());
    let run = place.start().await;
    assert_eq!(run.output("1-web").await, "before\ncommand 1 hello 7\n");
}

#[tokio::test]
async fn init_that_failed_is_done_again_and_nothing_follows_it() {
    let place = Place::new(
        "tasks:\n- init: echo once >> ../count; set -e; test -e ok; echo not reached\n  command: echo command\n",
    );
    let run = place.start().await;
    assert_eq!(run.output("1-task-1").await, "");
    let task = run
        .event("tasks", |data| data["tasks"][0]["state"] == "finished")
        .await;
    assert_eq!(task["tasks"][0]["exitCode"], 1);
    run.stop().await;
    fs::write(place.file("ok"), "").unwrap();
    let run = place.start().await;
    assert_eq!(run.output("1-task-1").await, "not reached\ncommand\n");
    assert_eq!(
        fs::read_to_string(place.dir.path().join("count")).unwrap(),
        "once\nonce\n"
    );
}

#[tokio::test]
async fn states_and_exit_codes_are_told() {
    let place = Place::new(
        "tasks:\n- command: exit 7\n- command: kill -9 $$\n- command: read x < gate\n- {}\n",
    );
    fifo(&place.file("gate"));
    let run = place.start().await;
    let list = run
        .event("tasks", |data| {
            data["tasks"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|task| task["state"] == "finished")
                .count()
                == 3
        })
        .await;
    let seen: Vec<_> = list["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| {
            (
                task["state"].as_str().unwrap(),
                task["exitCode"].as_i64(),
                task["signal"].as_i64(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("finished", Some(7), None),
            ("finished", None, Some(9)),
            ("running", None, None),
            ("finished", Some(0), None)
        ]
    );
    assert_eq!(
        run.json("/_supervisor/v1/status/tasks").await["tasks"],
        list["tasks"]
    );
}

#[tokio::test]
async fn output_is_streamed_while_the_task_runs() {
    let place = Place::new(
        "tasks:\n- command: echo first; read x < gate; echo second $x >&2; exec sleep 1000\n",
    );
    fifo(&place.file("gate"));
    let run = place.start().await;
    let path = "/_supervisor/v1/tasks/1-task-1/log?follow=1";
    run.read_until(path, "first\n").await;
    let gate = place.file("gate");
    tokio::task::spawn_blocking(move || fs::write(gate, "go\n").unwrap());
    assert_eq!(
        run.read_until(path, "second go\n").await,
        "first\nsecond go\n"
    );
    assert_eq!(
        run.get("/_supervisor/v1/tasks/1-task-1/log?tail=3")
            .await
            .body,
        "go\n"
    );
}

#[tokio::test]
async fn orphans_are_adopted_and_their_ends_collected() {
    let place = Place::new(
        "tasks:\n- command: (sh -c 'echo $$ > ../orphan; read x < gate' > /dev/null 2>&1 &)\n",
    );
    fifo(&place.file("gate"));
    let run = place.start().await;
    run.output("1-task-1").await;
    let file = place.dir.path().join("orphan");
    until(|| fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n'))).await;
    let pid: u32 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(
        status.contains(&format!("PPid:\t{}\n", run.pid())),
        "{status}"
    );
    let gate = place.file("gate");
    tokio::task::spawn_blocking(move || fs::write(gate, "go\n").unwrap());
    until(|| !exists(pid)).await;
}

#[tokio::test]
async fn sigterm_ends_daemons_stopped_processes_and_interactive_shells() {
    let place = Place::new(
        "tasks:\n\
         - command: setsid sh -c 'echo $$ > ../daemon.pid; exec sleep 1000' < /dev/null > /dev/null 2>&1 &\n\
         - command: echo $$ > ../stopped.pid; kill -STOP $$; sleep 1000\n\
         - command: trap '' TERM; echo $$ > ../stubborn.pid; while :; do sleep 1000; done\n",
    );
    let run = place.start().await;
    let pid_of = |name: &str| {
        let path = place.dir.path().join(format!("{name}.pid"));
        move || {
            fs::read_to_string(&path)
                .ok()
                .filter(|text| text.ends_with('\n'))
                .map(|text| text.trim().parse::<u32>().unwrap())
        }
    };
    let pids = ["daemon", "stopped", "stubborn"].map(pid_of);
    until(|| pids.iter().all(|pid| pid().is_some())).await;
    let pids: Vec<u32> = pids.iter().map(|pid| pid().unwrap()).collect();
    assert!(run.stop().await.success());
    assert!(!pids.into_iter().any(exists));
    assert!(!place.dir.path().join("supervisor.sock").exists());
}

#[tokio::test]
async fn ports_come_and_go_with_their_servers() {
    let place = Place::new(
        "ports:\n- {port: 1, name: One, visibility: public}\ntasks:\n- command: |\n    python3 -u -c \"import socket; s=socket.create_server(('127.0.0.1',0)); print(s.getsockname()[1]); input()\" < gate\n",
    );
    fifo(&place.file("gate"));
    let run = place.start().await;
    let ports = run.json("/_supervisor/v1/status/ports").await;
    assert_eq!(ports["ports"][0]["served"], false);
    assert_eq!(
        ports["ports"][0]["exposed"]["url"],
        "http://1-pink-panda-ns35kd21.ws.localhost:8080/"
    );
    assert_eq!(ports["ports"][0]["exposed"]["visibility"], "public");
    let gate = place.file("gate");
    let opened =
        tokio::task::spawn_blocking(move || fs::File::options().write(true).open(gate).unwrap())
            .await
            .unwrap();
    let port: u16 = run
        .read_until("/_supervisor/v1/tasks/1-task-1/log?follow=1", "\n")
        .await
        .trim()
        .parse()
        .unwrap();
    let has = |data: &serde_json::Value| {
        data["ports"]
            .as_array()
            .unwrap()
            .iter()
            .any(|it| it["localPort"] == port && it["served"] == true)
    };
    let shown = run.event("ports", has).await;
    assert_eq!(shown["ports"][1]["exposed"]["visibility"], "private");
    drop(opened);
    run.event("ports", |data| !has(data)).await;
}

fn fifo(path: &std::path::Path) {
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
async fn output_of_all_tasks_comes_with_the_events() {
    let place = Place::new(
        "tasks:\n- command: printf 'caf\\303'; read x < gate; printf '\\251\\n'\n- command: echo other\n",
    );
    fifo(&place.file("gate"));
    let run = place.start().await;
    let path = "/_supervisor/v1/events?output=1000";
    run.read_until(path, "\"text\":\"caf\"").await;
    run.read_until(path, "{\"id\":\"2-task-2\",\"text\":\"other\\n\"}")
        .await;
    let gate = place.file("gate");
    tokio::task::spawn_blocking(move || fs::write(gate, "go\n").unwrap());
    run.output("1-task-1").await;
    run.read_until(path, "café").await;
}

#[tokio::test]
async fn limits_hold_for_tasks() {
    let place = Place::new("tasks: [{command: ulimit -n; ulimit -Hn; ulimit -c}]\n").with(
        "limits",
        serde_json::json!({"open_files": 77, "core_bytes": 0}),
    );
    let run = place.start().await;
    assert_eq!(run.output("1-task-1").await, "77\n77\n0\n");
}

#[tokio::test]
async fn script_longer_than_an_argument_and_odd_scripts_run() {
    let long = "x".repeat(200_000);
    let place = Place::new(&format!(
        "tasks:\n- command: 'x={long}; echo ${{#x}}'\n- command: |\n    cat <<END\n    here\n    END\n    # last line is a comment\n- {{before: 'exit 3', command: echo never}}\n- {{init: 'echo \"', command: echo never}}\n"
    ));
    let run = place.start().await;
    assert_eq!(run.output("1-task-1").await, "200000\n");
    assert_eq!(run.output("2-task-2").await, "here\n");
    assert_eq!(run.output("3-task-3").await, "");
    let broken = run.output("4-task-4").await;
    assert!(
        broken.contains("4-task-4.init.sh: line 1") && !broken.contains("never\n"),
        "{broken}"
    );
}

#[tokio::test]
async fn programs_that_buffer_when_not_on_a_terminal_are_seen_at_once() {
    let place = Place::new(
        "tasks:\n- command: python3 -c 'import time; print(\"up\"); time.sleep(1000)'\n",
    );
    let run = place.start().await;
    assert_eq!(
        run.read_until("/_supervisor/v1/tasks/1-task-1/log?follow=1", "up\n")
            .await,
        "up\n"
    );
}

#[tokio::test]
async fn much_output_is_complete() {
    let place = Place::new("tasks:\n- command: seq 200000\n");
    let run = place.start().await;
    let output = run.output("1-task-1").await;
    assert_eq!(output.lines().count(), 200_000);
    assert!(output.ends_with("\n200000\n"));
}

#[tokio::test]
async fn task_that_never_stops_writing_neither_blocks_nor_fills_the_disk() {
    let place = Place::new("tasks:\n- command: exec yes\n- command: exec yes no\n");
    let run = place.start().await;
    let logs = place.dir.path().join("logs/1");
    until(|| logs.join("1-task-1.log.1").exists()).await;
    assert_eq!(
        run.json("/_supervisor/v1/status/ide/wait/true").await["ok"],
        true
    );
    run.event("tasks", |data| data["tasks"][1]["state"] == "running")
        .await;
    assert!(run.stop().await.success());
    let sizes: u64 = fs::read_dir(&logs)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(sizes <= 4 * (8 * 1024 * 1024 + 64 * 1024), "{sizes}");
}
