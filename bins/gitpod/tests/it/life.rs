//! From a repository to a running workspace and back.

use std::process::Command;

use crate::harness::{Up, Workspace, free_port, repository, wait_until};

fn web(port: u16) -> String {
    format!(
        "tasks:\n  - name: web\n    command: exec python3 -m http.server {port}\nports:\n  - port: {port}\n    visibility: private\n    name: web\n"
    )
}

#[test]
fn repository_becomes_a_workspace_that_answers_at_its_own_hostname() {
    let up = Up::new();
    let web_port = free_port();
    let repo = repository(&[
        (".gitpod.yml", &web(web_port)),
        ("hello.txt", "hello from git\n"),
    ]);
    let workspace = up.start(repo.path());

    assert_eq!(workspace.0["phase"], "running");
    let port = up.address().rsplit_once(':').unwrap().1;
    assert_eq!(
        workspace.0["url"],
        format!("http://{}.ws.localhost:{port}/", workspace.id())
    );
    assert_eq!(workspace.0["ports"][0]["port"], web_port);
    up.request_until(&workspace, web_port, |answer| answer.status() == 200);
    let answer = up.owner_request(&workspace, web_port, "/hello.txt");
    assert_eq!(answer.body(), "hello from git\n");
}

#[test]
fn stop_keeps_files_and_start_brings_them_back_with_a_new_token() {
    let up = Up::new();
    let repo = repository(&[]);
    let first = up.start(repo.path());
    let id = first.id();
    let path = up.describe(id)["content"]["path"]
        .as_str()
        .unwrap()
        .to_owned();
    std::fs::write(format!("{path}/made-by-hand"), "kept").unwrap();

    assert!(up.run(&["stop", id]).status.success());
    assert_eq!(up.describe(id)["phase"], "stopped");
    let again = Workspace(up.json(&["start", id, "-o", "json"]));

    assert_eq!(again.id(), id);
    assert_ne!(again.0["instance_id"], first.0["instance_id"]);
    assert_ne!(again.token(), first.token());
    assert_eq!(
        std::fs::read_to_string(format!("{path}/made-by-hand")).unwrap(),
        "kept"
    );

    assert!(up.run(&["delete", id]).status.success());
    assert!(!std::path::Path::new(&path).exists());
    assert_eq!(up.json(&["list", "-o", "json"]), serde_json::json!([]));
    assert_eq!(up.run(&["describe", id]).status.code(), Some(3));
}

#[test]
fn stop_ends_every_process_even_one_that_ran_away() {
    let marker = format!("{}", std::process::id());
    let yml = format!(
        "tasks:\n  - command: |\n      setsid sh -c 'sh -c \"exec sleep 98765{marker}\" &' \n      trap '' TERM\n      sleep 98764{marker}\n"
    );
    let up = Up::new();
    let repo = repository(&[(".gitpod.yml", &yml)]);
    let workspace = up.start(repo.path());
    let alive = |number: &str| {
        let pattern = format!("sleep {number}{marker}");
        let found = Command::new("pgrep")
            .args(["-f", &format!("^{pattern}$")])
            .output();
        !found.unwrap().stdout.is_empty()
    };
    wait_until("both sleeps start", || alive("98765") && alive("98764"));

    assert!(up.run(&["stop", workspace.id()]).status.success());

    assert!(!alive("98765") && !alive("98764"));
}

#[test]
fn describe_says_why_it_is_alive_and_when_it_stops() {
    let up = Up::new();
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    let told = up.describe(workspace.id());

    assert!(!told["alive_because"].as_str().unwrap().is_empty());
    assert!(told["stops_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(told["content"]["ready"], true);
    assert!(
        told["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .any(|c| { c["type"] == "ContentReady" && c["status"] == "True" })
    );
}

#[test]
fn workspace_nobody_uses_stops_by_itself() {
    let up = Up::with(&["--timeout", "2s"]);
    let repo = repository(&[]);
    let workspace = up.start(repo.path());

    wait_until("it stops", || {
        up.describe(workspace.id())["phase"] == "stopped"
    });
    let conditions = up.describe(workspace.id())["conditions"].clone();
    assert!(conditions.to_string().contains("Timeout"), "{conditions}");
}

#[test]
fn end_of_up_ends_its_workspaces_and_the_next_one_knows_them() {
    let up = Up::new();
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    let dir = up.stop();

    let up = Up::at(dir, &[]);
    let listed = up.json(&["list", "-o", "json"]);
    assert_eq!(listed[0]["id"], workspace.id());
    assert_eq!(listed[0]["phase"], "stopped");
    let again = Workspace(up.json(&["start", workspace.id(), "-o", "json"]));
    assert_eq!(again.0["phase"], "running");
}

#[test]
fn workspace_survives_the_violent_end_of_up() {
    let up = Up::new();
    let port = free_port();
    let repo = repository(&[(".gitpod.yml", &web(port))]);
    let workspace = up.start(repo.path());
    up.request_until(&workspace, port, |answer| answer.status() == 200);
    let dir = up.kill();

    let up = Up::at(dir, &[]);
    let answer = up.request_until(&workspace, port, |answer| answer.status() == 200);
    assert_eq!(answer.status(), 200);
    assert_eq!(up.describe(workspace.id())["phase"], "running");
}

#[test]
fn logs_show_what_tasks_print() {
    let up = Up::new();
    let yml = "tasks:\n  - name: greet\n    command: echo hello from a task\n";
    let repo = repository(&[(".gitpod.yml", yml)]);
    let workspace = up.start(repo.path());

    wait_until("the task prints", || {
        let output = up.run(&["logs", workspace.id()]);
        String::from_utf8_lossy(&output.stdout).contains("hello from a task")
    });
}

#[test]
fn describe_says_how_tasks_ended_and_logs_know_their_names() {
    let up = Up::new();
    let yml = "tasks:\n  - name: Greet People\n    command: echo hello\n  - name: broken\n    command: exit 7\n  - name: slow\n    command: exec sleep 1000\n";
    let repo = repository(&[(".gitpod.yml", yml)]);
    let workspace = up.start(repo.path());
    let tasks = || up.describe(workspace.id())["tasks"].clone();

    wait_until("two tasks end", || {
        tasks()[1]["exit_code"] == 7 && tasks()[0]["exit_code"] == 0
    });
    let told = tasks();
    assert_eq!(told[0]["name"], "Greet People");
    assert_eq!(told[0]["state"], "finished");
    assert_eq!(told[2]["state"], "running");
    let shown = up.run(&["describe", workspace.id()]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("broken failed with exit code 7"), "{shown}");

    let of = |task: &str| up.run(&["logs", workspace.id(), "--task", task]);
    for name in ["Greet People", "greet-people"] {
        let said = of(name);
        assert_eq!(said.stdout, b"hello\n", "{name}");
        assert_eq!(said.stderr, b"==> Greet People <==\n", "{name}");
    }
    let silent = of("broken");
    assert!(silent.status.success(), "{silent:?}");
    assert!(silent.stdout.is_empty());
    let unknown = of("gret");
    assert_eq!(unknown.status.code(), Some(1));
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(
        said.contains("there is no task \"gret\"") && said.contains("Greet People"),
        "{said}"
    );
}

#[test]
fn up_prints_a_line_for_each_event_and_no_token() {
    let up = Up::new();
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    assert!(up.run(&["stop", workspace.id()]).status.success());

    let phases = || -> Vec<String> {
        let of_workspace = |event: &serde_json::Value| {
            (event["event"] == "workspace" && event["id"] == workspace.id())
                .then(|| event["phase"].as_str().unwrap().to_owned())
        };
        let mut phases: Vec<_> = up.events().iter().filter_map(of_workspace).collect();
        phases.dedup();
        phases
    };
    wait_until("the stop is told", || {
        phases().last().is_some_and(|phase| phase == "stopped")
    });
    assert!(phases().contains(&"running".to_owned()), "{:?}", phases());
    let told = serde_json::to_string(&up.events()).unwrap();
    assert!(!told.contains(workspace.token()));
}
