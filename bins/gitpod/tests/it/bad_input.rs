//! What is wrong gets a clear error with a fix, and nothing is lost.

use std::process::Output;

use crate::harness::{Up, Workspace, gitpod, repository, wait_until};

#[track_caller]
fn refused(output: &Output, code: i32, wanted: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(wanted), "{text}");
    assert!(text.contains("fix:"), "{text}");
}

#[test]
fn commands_without_up_exit_with_5() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &["list"][..],
        &["describe", "pink-panda-ns35kd21"],
        &["start", "pink-panda-ns35kd21"],
        &["stop", "pink-panda-ns35kd21"],
        &["logs", "pink-panda-ns35kd21"],
        &["delete", "pink-panda-ns35kd21"],
    ] {
        let output = gitpod()
            .args(args)
            .arg("--state-dir")
            .arg(dir.path())
            .output();
        refused(&output.unwrap(), 5, "`gitpod up` is not running");
    }
}

#[test]
fn unknown_workspace_exits_with_3() {
    let up = Up::new();
    for id in ["pink-panda-ns35kd21", "malformed", "../../etc"] {
        for command in ["describe", "stop", "logs", "delete"] {
            refused(&up.run(&[command, id]), 3, id);
        }
    }
    refused(&up.run(&["start", "pink-panda-ns35kd21"]), 3, "pink-panda");
}

#[test]
fn usage_errors_exit_with_2_and_say_what_to_do() {
    for args in [
        &["frobnicate"][..],
        &["up", "--listen", "127.0.0.1:70000"],
        &["up", "--domain", "..", "--state-dir", "/nonexistent"],
        &["up", "--timeout", "soon"],
        &["start", "x", "--depth", "0"],
        &["start", "--", "--upload-pack=touch /tmp/x"],
        &["start", "--upload-pack=touch://x"],
        &["start", "ftp://example.com/x"],
        &["start", "file:///\u{1}x"],
        &["start", "https://example.com/x", "--branch=--orphan"],
        &["open", "pink-panda-ns35kd21", "--port", "+80"],
        &["share", "pink-panda-ns35kd21", "--port", "0080"],
        &["ports", "pink-panda-ns35kd21", "--set", "+80=public"],
    ] {
        let output = gitpod().args(args).output().unwrap();
        refused(&output, 2, "error: ");
        let wild = |byte: &u8| byte.is_ascii_control() && *byte != b'\n';
        assert!(!output.stderr.iter().any(wild), "{args:?}");
    }
}

#[test]
fn missing_repository_and_branch_exit_with_1_and_leave_nothing_running() {
    let up = Up::new();
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().to_str().unwrap();
    refused(&up.run(&["start", path]), 1, "no git repository");
    refused(&up.run(&["start", "/no/such/place"]), 1, "/no/such/place");
    refused(&up.run(&["start", "ext::sh -c id% >&2"]), 1, "ext");

    let repo = repository(&[]);
    let output = up.run(&["start", repo.path().to_str().unwrap(), "--branch", "nope"]);
    refused(&output, 1, "nope");
    wait_until("the failed workspace stops", || {
        up.json(&["list", "-o", "json"])
            .as_array()
            .unwrap()
            .iter()
            .all(|workspace| workspace["phase"] == "stopped")
    });
}

#[test]
fn second_up_on_one_state_directory_is_refused_and_the_first_goes_on() {
    let up = Up::new();
    let second = gitpod()
        .args(["up", "--listen", "127.0.0.1:0"])
        .args(["--ssh-listen", "127.0.0.1:0", "--state-dir"])
        .arg(up.state_dir())
        .output()
        .unwrap();
    refused(&second, 1, "another `gitpod up`");
    assert_eq!(up.json(&["list", "-o", "json"]), serde_json::json!([]));
}

#[test]
fn taken_address_is_refused_before_anything_is_made() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let output = gitpod()
        .args(["up", "--listen", &address, "--state-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    refused(&output, 1, &address);
}

#[test]
fn broken_gitpod_yml_is_told_and_does_not_stop_the_workspace() {
    let up = Up::new();
    let repo = repository(&[(".gitpod.yml", "ports:\n  - port: 70000\n")]);
    let output = up.run(&["start", repo.path().to_str().unwrap(), "-o", "json"]);
    assert!(output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("70000") && told.contains("fix:"), "{told}");
    let workspace = Workspace(serde_json::from_slice(&output.stdout).unwrap());
    let errors = up.describe(workspace.id())["config"]["errors"].to_string();
    assert!(errors.contains("70000"), "{errors}");

    let token = [("x-gitpod-owner-token", workspace.token())];
    let page = up.request(&workspace.ide_host(), "/", &token);
    assert_eq!(page.status(), 200);
    assert!(page.body().contains("70000"), "{}", page.0);
}

#[test]
fn ignored_keys_of_gitpod_yml_are_told() {
    let up = Up::new();
    let yml = "image: x\nports:\n  - port: 3000\n    visibilty: public\n";
    let repo = repository(&[(".gitpod.yml", yml)]);
    let output = up.run(&["start", repo.path().to_str().unwrap()]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("image"), "{told}");
    assert!(told.contains("did you mean `visibility`"), "{told}");
}

#[test]
fn start_that_takes_too_long_exits_with_4_and_says_what_is_there() {
    let up = Up::new();
    // Accepts connections and never answers: a clone that takes for ever.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("git://127.0.0.1:{}/x", mute.local_addr().unwrap().port());
    let args = ["start", &url, "--wait-timeout", "1s", "-o", "json"];
    let output = up.run(&args);
    refused(&output, 4, "does not run yet");
    let workspace = Workspace(serde_json::from_slice(&output.stdout).unwrap());
    assert_eq!(workspace.0["phase"], "initializing");
    assert!(up.run(&["delete", workspace.id()]).status.success());
}

#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    let up = Up::new();
    let mute: Vec<_> = (0..200)
        .map(|_| std::net::TcpStream::connect(up.address()).unwrap())
        .collect();
    assert_eq!(up.request("example.com", "/", &[]).status(), 404);
    assert_eq!(up.json(&["list", "-o", "json"]), serde_json::json!([]));
    drop(mute);
}

#[test]
fn link_in_the_place_of_the_lock_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    std::os::unix::fs::symlink(&victim, state.join("lock")).unwrap();
    let output = gitpod()
        .args(["up", "--listen", "127.0.0.1:0"])
        .args(["--ssh-listen", "127.0.0.1:0", "--state-dir"])
        .arg(&state)
        .output()
        .unwrap();
    refused(&output, 1, "state");
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn unknown_hosts_and_malformed_ports_get_404() {
    let up = Up::new();
    for host in [
        "example.com",
        "nobody.ws.localhost",
        "pink-panda-ns35kd21.ws.localhost",
        "70000-pink-panda-ns35kd21.ws.localhost",
        "0-pink-panda-ns35kd21.ws.localhost",
        "08080-pink-panda-ns35kd21.ws.localhost",
        "pink-panda-ns35kd21.ws.localhost.evil.test",
    ] {
        assert_eq!(up.request(host, "/", &[]).status(), 404, "{host}");
    }
}
