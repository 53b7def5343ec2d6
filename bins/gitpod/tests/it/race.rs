//! Commands that meet.

use crate::harness::{Up, repository, wait_until};

#[test]
fn starts_of_one_workspace_at_once_make_one_instance_and_all_succeed() {
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
fn start_and_delete_at_once_leave_it_running_and_listed_or_gone() {
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
        let listed = up.json(&["list", "-o", "json"]).to_string().contains(id);
        let files = up.state_dir().join("workspaces").join(id).exists();
        assert_eq!(listed, files, "{id}");
        if listed {
            assert!(up.run(&["delete", id]).status.success());
        }
    }
    let instances = up.state_dir().join("instances");
    wait_until("no instance is left that nobody knows", || {
        std::fs::read_dir(&instances).unwrap().count() == 0
    });
}
