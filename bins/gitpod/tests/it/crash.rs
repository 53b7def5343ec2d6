//! What the next `gitpod up` makes of what a killed one has left.

use std::fs;

use crate::harness::{Up, repository, wait_until};

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
