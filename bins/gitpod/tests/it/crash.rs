//! What the next `gitpod up` makes of what a killed one has left.

use std::fs;
use std::process::Command;

use crate::harness::{Up, gitpod, repository, wait_until};

#[test]
fn removal_that_was_cut_off_is_finished_and_never_leaves_half_a_workspace() {
    let up = Up::new();
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    assert!(up.run(&["stop", id]).status.success());
    let workspaces = up.state_dir().join("workspaces");
    let dir = up.kill();
    // As if it was killed between its first files and its row.
    fs::write(workspaces.join(format!("{id}.removal")), "").unwrap();
    fs::remove_dir_all(workspaces.join(id).join("content")).unwrap();

    let up = Up::at(dir, &[]);
    assert_eq!(up.json(&["list", "-o", "json"]), serde_json::json!([]));
    let left = fs::read_dir(up.state_dir().join("workspaces")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn half_written_files_of_a_killed_up_are_removed() {
    let up = Up::new();
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    assert!(up.run(&["stop", workspace.id()]).status.success());
    let state = up.state_dir();
    let dir = up.kill();
    let of_workspace = state.join("workspaces").join(workspace.id());
    let of_instance = state.join("instances/0f1e2d3c-0000-4000-8000-000000000001");
    fs::create_dir(of_workspace.join("content.new")).unwrap();
    fs::create_dir(&of_instance).unwrap();
    fs::write(of_instance.join("record.new"), "{").unwrap();
    let note = state.join("workspaces/grey-wolf-ns35kd21.new");
    fs::write(&note, "").unwrap();

    let _up = Up::at(dir, &[]);
    assert!(of_workspace.join("content").exists());
    assert!(!of_workspace.join("content.new").exists());
    assert!(!of_instance.exists() && !note.exists());
}

#[test]
fn start_that_was_acknowledged_goes_on_after_a_kill() {
    let repo = repository(&[]);
    let mut up = Up::new();
    for _ in 0..3 {
        let words = [
            "start",
            repo.path().to_str().unwrap(),
            "--no-wait",
            "-o",
            "json",
        ];
        let started = up.json(&words);
        let id = started["id"].as_str().unwrap().to_owned();
        up = Up::at(up.kill(), &[]);
        wait_until("it runs", || up.describe(&id)["phase"] == "running");
        assert_eq!(up.describe(&id)["instance_id"], started["instance_id"]);
    }
}

/// A workspace whose task does not end when it is asked to.
const UNWILLING: &str =
    "tasks:\n  - name: stays\n    command: trap '' TERM; while :; do sleep 1; done\n";

#[test]
fn deletion_that_was_cut_off_before_the_end_of_processes_is_finished() {
    let up = Up::new();
    let repo = repository(&[(".gitpod.yml", UNWILLING)]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    let mut deleting = gitpod();
    let deleting = deleting.env("GITPOD_STATE_DIR", up.state_dir());
    let deleting = deleting
        .args(["delete", id])
        .stderr(std::process::Stdio::piped());
    let deleting = deleting.spawn().unwrap();
    wait_until("its end has begun", || {
        up.describe(id)["phase"] == "stopping"
    });
    let dir = up.kill();

    // Who asked for it is told that nobody knows what came of it.
    let told = deleting.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&told.stderr).into_owned();
    assert_eq!(told.status.code(), Some(5), "{said}");
    assert!(said.contains("it may have done this, or not"), "{said}");
    assert!(
        said.contains("fix: start it again with `gitpod up`"),
        "{said}"
    );

    let up = Up::at(dir, &[]);
    assert_eq!(up.json(&["list", "-o", "json"]), serde_json::json!([]));
    let left = fs::read_dir(up.state_dir().join("workspaces")).unwrap();
    assert_eq!(left.count(), 0);
    let left = fs::read_dir(up.state_dir().join("instances")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn workspace_that_is_no_more_than_rows_is_forgotten() {
    let up = Up::new();
    let repo = repository(&[]);
    let kept = up.start(repo.path());
    let database = up.state_dir().join("gitpod.db");
    let dir = up.kill();
    // As if it was killed after the first row, and after the second.
    let made = Command::new("python3")
        .args(["-c", UNMADE])
        .arg(database)
        .status();
    assert!(made.unwrap().success());

    let up = Up::at(dir, &[]);
    let all = up.json(&["list", "-o", "json"]);
    let ids: Vec<_> = all.as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!(ids, [kept.id()]);
}

const UNMADE: &str = r#"
import sqlite3, sys
rows = sqlite3.connect(sys.argv[1])
for number in '12':
    rows.execute("INSERT INTO workspace (id, owner_id, context_url, description, definition, created_at)"
        " SELECT ?, owner_id, context_url, description, definition, created_at FROM workspace LIMIT 1",
        ("grey-wolf-ns35kd2" + number,))
rows.execute("INSERT INTO workspace_instance (id, workspace_id, region, created_at, phase)"
    " SELECT '0f1e2d3c-0000-4000-8000-000000000001', 'grey-wolf-ns35kd21', region, created_at, 'pending'"
    " FROM workspace_instance LIMIT 1")
rows.commit()
"#;

#[test]
fn end_in_order_leaves_no_sockets() {
    let up = Up::new();
    let repo = repository(&[]);
    let _kept = up.start(repo.path());
    let sockets = |dir: &std::path::Path| -> Vec<_> {
        let names = fs::read_dir(dir).unwrap().map(|it| it.unwrap().file_name());
        let names = names.map(|name| name.into_string().unwrap());
        names.filter(|name| name.ends_with(".sock")).collect()
    };
    assert_eq!(sockets(&up.state_dir()).len(), 3);
    let dir = up.stop();
    assert_eq!(sockets(&dir.path().join("state")), [""; 0]);
}
