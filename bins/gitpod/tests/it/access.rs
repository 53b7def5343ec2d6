//! Commands about who may use workspaces, and about the program itself.

use crate::harness::{Up, gitpod, repository, wait_until};

fn text(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn open_prints_a_link_that_signs_in_once() {
    let up = Up::new();
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    let url = up.json(&["open", workspace.id(), "-o", "json"])["url"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        url.starts_with(workspace.0["url"].as_str().unwrap()),
        "{url}"
    );
    assert!(!url.contains(workspace.token()), "no lasting secret");
    let path = format!("/{}", url.splitn(4, '/').nth(3).unwrap());
    let host = workspace.ide_host();

    assert_eq!(up.request(&host, "/", &[]).status(), 401);
    let first = up.request(&host, &path, &[]);
    assert_eq!(first.status(), 303, "{}", first.0);
    let cookie = first
        .0
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .unwrap();
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(up.request(&host, "/", &[("Cookie", cookie)]).status(), 200);
    assert_eq!(up.request(&host, &path, &[]).status(), 403, "used");

    let plain = up.run(&["open", workspace.id(), "--port", "3000", "--no-browser"]);
    assert!(text(&plain).starts_with("http://3000-"), "{}", text(&plain));
}

#[test]
fn browser_is_not_told_the_link_among_its_arguments() {
    let up = Up::new();
    let dir = tempfile::tempdir().unwrap();
    let browser = dir.path().join("browser");
    let told = dir.path().join("told");
    let script = format!(
        "#!/bin/sh\necho \"$@\" > {0}.new; cat \"$1\" >> {0}.new; mv {0}.new {0}\n",
        told.display()
    );
    std::fs::write(&browser, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&browser, mode).unwrap();
    let output = gitpod()
        .args(["open"])
        .env("GITPOD_STATE_DIR", up.state_dir())
        .env("BROWSER", &browser)
        .output()
        .unwrap();
    let url = text(&output).trim().to_owned();
    wait_until("the browser is started", || told.exists());
    let told = std::fs::read_to_string(told).unwrap();
    let (arguments, file) = told.split_once('\n').unwrap();
    assert!(!arguments.contains("once="), "{arguments}");
    assert!(file.contains(&url), "{file}");
}

#[test]
fn ports_are_shown_and_opened_to_everybody() {
    let up = Up::new();
    let yml = "ports:\n  - port: 3000\n    name: shop\n";
    let repo = repository(&[(".gitpod.yml", yml)]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    let shown = up.json(&["ports", id, "-o", "json"]);
    assert_eq!(shown[0]["port"], 3000);
    assert_eq!(shown[0]["visibility"], "private");
    assert_eq!(shown[0]["served"], false);

    let set = up.json(&[
        "ports",
        id,
        "--set",
        "3000=public",
        "--set",
        "4000=public",
        "-o",
        "json",
    ]);
    assert_eq!(set[0]["visibility"], "public");
    assert_eq!(set[0]["name"], "shop");
    // Nobody listens, which everybody is told now.
    wait_until("both are public", || {
        [3000, 4000]
            .iter()
            .all(|port| up.request(&workspace.host(*port), "/", &[]).status() == 404)
    });
    assert!(
        up.run(&["ports", id, "--set", "3000=private"])
            .status
            .success()
    );
    wait_until("one is private again", || {
        up.request(&workspace.host(3000), "/", &[]).status() == 401
    });
    for wrong in ["3000", "0=public", "3000=open"] {
        assert_eq!(
            up.run(&["ports", id, "--set", wrong]).status.code(),
            Some(2),
            "{wrong}"
        );
    }
}

#[test]
fn timeout_changes_when_a_run_stops() {
    let up = Up::new();
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    let before = up.describe(id)["stops_at"].as_str().unwrap().to_owned();
    assert!(up.run(&["timeout", id, "2h"]).status.success());
    wait_until("it stops later", || {
        up.describe(id)["stops_at"].as_str().unwrap() > before.as_str()
    });
    assert_eq!(up.run(&["timeout", id, "0"]).status.code(), Some(2));

    assert!(up.run(&["stop", id]).status.success());
    let stopped = up.run(&["timeout", id, "2h"]);
    let why = String::from_utf8_lossy(&stopped.stderr);
    assert_eq!(stopped.status.code(), Some(1));
    assert!(
        why.contains("does not run") && why.contains("fix: gitpod start"),
        "{why}"
    );
}

#[test]
fn shares_are_listed_and_outlive_up_and_the_stop_of_the_workspace() {
    let up = Up::new();
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    let id = workspace.id();
    let share = up.json(&["share", id, "--for", "1h", "-o", "json"]);
    assert!(up.run(&["stop", id]).status.success());
    let up = Up::at(up.stop(), &[]);
    let listed = up.json(&["share", id, "--list", "-o", "json"]);
    assert_eq!(listed[0]["share_id"], share["share_id"]);
    assert!(up.run(&["unshare", id]).status.success());
    assert_eq!(
        up.json(&["share", id, "--list", "-o", "json"]),
        serde_json::json!([])
    );

    let unknown = up.run(&["unshare", id, "00000000000000000000000000000000"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("fix:"));
    assert!(up.run(&["share", id]).status.success());
    assert!(up.run(&["delete", id]).status.success());
    let kept = std::fs::read_to_string(up.state_dir().join("shares.json")).unwrap();
    assert_eq!(kept, "[]", "of a deleted workspace nothing is shared");
}

#[test]
fn unknown_workspaces_exit_with_3() {
    let up = Up::new();
    let id = "pink-panda-ns35kd21";
    for args in [
        &["open", id][..],
        &["ports", id],
        &["ports", id, "--set", "3000=public"],
        &["share", id],
        &["share", id, "--list"],
        &["unshare", id],
        &["timeout", id, "2h"],
    ] {
        assert_eq!(up.run(args).status.code(), Some(3), "{args:?}");
    }
}

#[test]
fn doctor_says_what_is_wrong_and_what_to_do() {
    let up = Up::new();
    let all: Vec<_> = up
        .json(&["doctor", "-o", "json"])
        .as_array()
        .unwrap()
        .clone();
    assert!(
        all.iter()
            .any(|it| it["check"] == "git" && it["status"] == "ok"),
        "{all:?}"
    );
    for finding in &all {
        let is_well = finding["status"] == "ok";
        assert_eq!(finding.get("fix").is_none(), is_well, "{finding}");
    }

    let dir = tempfile::tempdir().unwrap();
    let output = gitpod()
        .args([
            "doctor",
            "-o",
            "json",
            "--ssh-listen",
            "off",
            "--listen",
            up.address(),
        ])
        .args(["--domain", "no-such-name.invalid", "--state-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let found = text(&output);
    let found: Vec<serde_json::Value> = serde_json::from_str(&found).unwrap();
    for check in ["http port", "names"] {
        let finding = found.iter().find(|it| it["check"] == check).unwrap();
        assert_eq!(finding["status"], "problem", "{finding}");
    }
}

#[test]
fn completion_manual_and_version_are_made_without_up() {
    for (shell, part) in [
        ("bash", "_gitpod()"),
        ("zsh", "#compdef gitpod"),
        ("fish", "complete -c gitpod"),
    ] {
        let output = gitpod().args(["completion", shell]).output().unwrap();
        assert!(text(&output).contains(part), "{shell}");
    }
    let dir = tempfile::tempdir().unwrap();
    let output = gitpod()
        .args(["man", "--dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success());
    let page = std::fs::read_to_string(dir.path().join("gitpod-share.1")).unwrap();
    assert!(page.contains("Make a link by which others"), "{page}");
    let none = tempfile::tempdir().unwrap();
    let output = gitpod()
        .args(["version", "-o", "json", "--state-dir"])
        .arg(none.path())
        .output();
    let told: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    assert!(told["up"].is_null());
}

#[test]
fn tables_in_a_pipe_have_no_colours_and_whole_lines() {
    let up = Up::new();
    let repo = repository(&[]);
    let workspace = up.start(repo.path());
    let listed = text(&up.run(&["list"]));
    assert!(!listed.contains('\x1b'), "{listed:?}");
    assert!(listed.contains(repo.path().to_str().unwrap()), "{listed}");
    assert!(
        listed.contains(workspace.0["url"].as_str().unwrap()),
        "{listed}"
    );
}
