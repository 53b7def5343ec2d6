//! Commands that meet.

use std::process::Stdio;
use std::time::Instant;

use crate::harness::{Up, gitpod, repository, wait_until};

#[test]
fn attack_49_starts_of_one_workspace_at_once_make_one_instance_and_all_succeed() {
    let up = Up::new();
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    assert!(up.run(&["stop", id]).status.success());

    let started: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| up.json(&["start", id, "-o", "json"])))
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });

    let instance = &started[0]["instance_id"];
    assert!(started.iter().all(|one| one["instance_id"] == *instance));
}

#[test]
fn attack_49_start_and_delete_at_once_leave_it_running_and_listed_or_gone() {
    let up = Up::new();
    let repo = repository(&[]);
    for _ in 0..6 {
        let workspace = up.start(repo.path());
        let id = workspace.id();
        assert!(up.run(&["stop", id]).status.success());
        std::thread::scope(|scope| {
            scope.spawn(|| up.run(&["start", id]));
            scope.spawn(|| up.run(&["delete", id]));
        });
        whole_or_gone(&up, id);
    }
    no_instance_is_left(&up);
}

/// Files and list agree on whether there is a workspace `id`, which is removed if there is.
fn whole_or_gone(up: &Up, id: &str) {
    let listed = up.json(&["list", "-o", "json"]).to_string().contains(id);
    let files = up.state_dir().join("workspaces").join(id).exists();
    assert_eq!(listed, files, "{id}");
    if listed {
        assert!(up.run(&["delete", id]).status.success());
    }
}

fn no_instance_is_left(up: &Up) {
    let instances = up.state_dir().join("instances");
    wait_until("no instance is left that nobody knows", || {
        std::fs::read_dir(&instances).unwrap().count() == 0
    });
}

#[test]
fn attack_49_wake_and_delete_at_once_leave_it_running_and_listed_or_gone() {
    let up = Up::new();
    let repo = repository(&[]);
    for _ in 0..6 {
        let workspace = up.start(repo.path());
        let id = workspace.id();
        assert!(up.run(&["stop", id]).status.success());
        let (answer, _) = std::thread::scope(|scope| {
            let woken = scope.spawn(|| {
                let token = [("x-gitpod-owner-token", workspace.token())];
                up.request(
                    &workspace.ide_host(),
                    "/_supervisor/v1/status/supervisor",
                    &token,
                )
            });
            let deleted = scope.spawn(|| up.run(&["delete", id]));
            (woken.join().unwrap(), deleted.join().unwrap())
        });
        assert!(
            matches!(answer.status(), 200 | 404 | 502 | 503),
            "{}",
            answer.0
        );
        whole_or_gone(&up, id);
    }
    no_instance_is_left(&up);
}

#[test]
fn start_whose_command_is_killed_at_any_moment_is_begun_or_not_and_never_pending() {
    let up = Up::new();
    let repo = repository(&[]);
    let start = || {
        let mut start = gitpod();
        start.env("GITPOD_STATE_DIR", up.state_dir());
        start.args(["start", repo.path().to_str().unwrap()]);
        // No such branch: it is over soon.
        start.args(["--branch", "nowhere", "--no-wait"]);
        start.stderr(Stdio::null()).stdout(Stdio::null());
        start.spawn().unwrap()
    };
    let begun = Instant::now();
    assert!(start().wait().unwrap().success());
    let whole = begun.elapsed();
    for moment in 10..110 {
        let mut start = start();
        std::thread::sleep(whole * moment / 110); // the moment is what is tried
        start.kill().unwrap();
        start.wait().unwrap();
    }
    wait_until("each has ended", || {
        let list = up.json(&["list", "-o", "json"]);
        let mut all = list.as_array().unwrap().iter();
        all.all(|one| one["phase"] == "stopped")
    });
}
