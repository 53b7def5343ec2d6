//! What a workspace does to files that `up` reads or writes holds up nobody.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::harness::{Up, gitpod, program, repository, skip};

fn make_pipe(path: &Path) {
    let _ = std::fs::remove_file(path);
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[test]
fn pipes_in_the_place_of_logs_and_keys_hold_up_neither_commands_nor_the_end() {
    let up = Up::new();
    let repo = repository(&[(".gitpod.yml", "tasks:\n  - command: echo hello\n")]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    let run = workspace.0["instance_id"].as_str().unwrap();
    let logs = up.state_dir().join("workspaces").join(id).join("logs");
    // More than there are threads that could wait for them.
    for number in 10..30 {
        make_pipe(&logs.join(run).join(format!("{number}-x.log")));
    }
    make_pipe(&logs.join(run).join("tasks.json"));
    make_pipe(
        &up.state_dir()
            .join("instances")
            .join(run)
            .join("ssh_host_key.pub"),
    );
    make_pipe(
        &up.state_dir()
            .join("workspaces")
            .join(id)
            .join("content/.gitpod.yml"),
    );
    let said = up.run(&["logs", id]);
    assert!(said.status.success(), "{said:?}");
    assert!(String::from_utf8_lossy(&said.stdout).contains("hello"));
    assert!(!up.run(&["ssh", id, "--", "true"]).status.success());
    assert_eq!(up.describe(id)["phase"], "running");
    assert!(up.run(&["stop", id]).status.success());
    assert!(up.run(&["delete", id]).status.success());
    up.stop();
}

#[test]
fn deleting_a_workspace_removes_what_its_broken_record_left() {
    let up = Up::new();
    let repo = repository(&[("file", "text")]);
    let workspace = up.start(repo.path());
    let run = workspace.0["instance_id"].as_str().unwrap();
    let instance = up.state_dir().join("instances").join(run);
    let dir = up.kill();
    std::fs::write(instance.join("record.json"), "{").unwrap();
    let up = Up::at(dir, &[]);
    assert!(up.run(&["delete", workspace.id()]).status.success());
    assert!(!instance.exists());
}

#[test]
fn sessions_that_others_may_have_written_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let sessions = dir.path().join("page-sessions.json");
    std::fs::write(&sessions, "{}").unwrap();
    std::fs::set_permissions(&sessions, PermissionsExt::from_mode(0o666)).unwrap();
    let up = gitpod()
        .args(["up", "--listen", "127.0.0.1:0", "--ssh-listen", "off"])
        .arg("--state-dir")
        .arg(dir.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&up.stderr);
    assert!(!up.status.success() && told.contains("chmod 600"), "{told}");
}

#[test]
fn workspace_that_fills_the_disk_is_stopped_and_deleted_all_the_same() {
    let mut probe = Command::new("unshare");
    probe.args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
    if !probe.status().is_ok_and(|status| status.success()) {
        return skip("no file system can be mounted here");
    }
    let repo = repository(&[(
        ".gitpod.yml",
        "tasks:\n  - command: until [ -e go ]; do sleep 0.1; done; while true; do cat /dev/zero >> more; sleep 0.05; done\n",
    )]);
    let dir = tempfile::tempdir().unwrap();
    let said = Command::new(program("full_disk.sh"))
        .arg(env!("CARGO_BIN_EXE_gitpod"))
        .arg(repo.path())
        .arg(dir.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&said.stdout);
    let log = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{told}\n{log}");
    let expected = "no space left\nstopped\nno space left\ndeleted\n0\n";
    assert_eq!(told, expected, "{log}");
}
