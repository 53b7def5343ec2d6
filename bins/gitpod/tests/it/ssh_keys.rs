//! Whose keys open workspaces, and by which the gateway is known.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::harness::{Up, gitpod};
use crate::ssh_harness::{port, text, with_input};

fn keygen(dir: &std::path::Path, name: &str, args: &[&str]) -> std::path::PathBuf {
    let path = dir.join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-C", name, "-f"])
        .arg(&path)
        .args(args)
        .status();
    assert!(made.unwrap().success());
    path.with_extension("pub")
}

#[test]
fn host_key_is_made_once_and_stays() {
    let up = Up::new();
    let key = |up: &Up| std::fs::read(up.state_dir().join("ssh/host_ed25519")).unwrap();
    let first = key(&up);
    for file in std::fs::read_dir(up.state_dir().join("ssh")).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file:?}");
    }
    let up = Up::at(up.stop(), &[]);
    assert_eq!(key(&up), first);
}

#[test]
fn key_that_is_open_or_broken_is_refused_before_anything_listens() {
    let dir = Up::new().stop();
    let key = dir.path().join("state/ssh/host_ed25519");
    // The address is taken, too: the key is what is told, as it comes first.
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let refused = |wanted: &str| {
        let output = gitpod()
            .args([
                "up",
                "--listen",
                &address,
                "--ssh-listen",
                "off",
                "--state-dir",
            ])
            .arg(dir.path().join("state"))
            .output()
            .unwrap();
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(
            told.contains("host_ed25519") && told.contains(wanted),
            "{told}"
        );
        assert!(told.contains("fix:"), "{told}");
    };
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    refused("chmod 600");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&key, "garbage").unwrap();
    refused("copy of it");
}

#[test]
fn taken_ssh_address_is_refused_and_off_does_without() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let output = gitpod()
        .args([
            "up",
            "--listen",
            "127.0.0.1:0",
            "--ssh-listen",
            &address,
            "--state-dir",
        ])
        .arg(dir.path().join("state"))
        .output()
        .unwrap();
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains(&address) && told.contains("--ssh-listen"),
        "{told}"
    );
    assert!(!dir.path().join("state").exists(), "nothing was made");

    let up = Up::with(&["--ssh-listen", "off"]);
    assert!(up.ready["ssh"].is_null(), "{}", up.ready);
    let workspace = up.start(crate::harness::repository(&[]).path());
    assert!(workspace.0["ssh"].is_null(), "{}", workspace.0);
    let file = dir.path().join("config");
    let file = file.to_str().unwrap();
    for args in [
        &["ssh", workspace.id()][..],
        &["ssh-config"],
        &["ssh-config", "--write", "--file", file],
    ] {
        let output = up.run(args);
        let told = text(&output.stderr);
        assert!(
            told.contains("--ssh-listen off") && told.contains("fix:"),
            "{args:?}: {told}"
        );
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    assert!(!std::path::Path::new(file).exists());
}

#[test]
fn workspace_that_is_being_prepared_and_wakes_for_nobody_is_told_to_be_waited_for() {
    let up = Up::new();
    // Accepts connections and never answers: a clone that takes for ever.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("git://127.0.0.1:{}/x", mute.local_addr().unwrap().port());
    let args = ["start", &url, "--no-wait", "--wake", "never", "-o", "json"];
    let started = up.json(&args);
    let id = started["id"].as_str().unwrap();
    let output = up.run(&["ssh", id]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("does not run yet"), "{told}");
    assert!(told.contains("waits until it runs"), "{told}");
    assert!(up.run(&["delete", id]).status.success());
}

#[test]
fn keys_are_added_listed_and_removed() {
    let up = Up::new();
    let dir = tempfile::tempdir().unwrap();
    let one = keygen(dir.path(), "one", &["-t", "ed25519"]);
    let two = keygen(dir.path(), "two", &["-t", "rsa", "-b", "2048"]);
    assert_eq!(
        up.json(&["ssh-key", "list", "-o", "json"]),
        serde_json::json!([])
    );

    let added = up.json(&["ssh-key", "add", one.to_str().unwrap(), "-o", "json"]);
    assert_eq!(added[0]["comment"], "one");
    assert_eq!(added[0]["type"], "ssh-ed25519");
    let piped = with_input(
        gitpod()
            .env("GITPOD_STATE_DIR", up.state_dir())
            .args(["ssh-key", "add", "-"]),
        std::fs::read(&two).unwrap(),
    );
    assert!(piped.status.success(), "{}", text(&piped.stderr));
    let list = up.json(&["ssh-key", "list", "-o", "json"]);
    assert_eq!(list.as_array().unwrap().len(), 2);
    let told = Command::new("ssh-keygen")
        .arg("-lf")
        .arg(&one)
        .output()
        .unwrap();
    let fingerprint = list[0]["fingerprint"].as_str().unwrap();
    assert!(text(&told.stdout).contains(fingerprint), "{fingerprint}");

    assert!(up.run(&["ssh-key", "remove", fingerprint]).status.success());
    assert!(up.run(&["ssh-key", "remove", "two"]).status.success());
    assert_eq!(
        up.json(&["ssh-key", "list", "-o", "json"]),
        serde_json::json!([])
    );
}

#[test]
fn what_is_no_good_key_is_refused_with_a_fix() {
    let up = Up::new();
    let dir = tempfile::tempdir().unwrap();
    let good = keygen(dir.path(), "good", &["-t", "ed25519"]);
    let weak = keygen(dir.path(), "weak", &["-t", "rsa", "-b", "1024"]);
    let line = std::fs::read_to_string(&good).unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    for (path, wanted) in [
        (good.with_extension(""), "private key"),
        (weak, "1024 bits"),
        (write("options", &format!("no-pty {line}")), "options"),
        (write("empty", ""), "no key"),
        (write("nonsense", "ssh-ed25519 AAAA me\n"), "no public key"),
        (dir.path().join("missing"), "missing"),
    ] {
        let output = up.run(&["ssh-key", "add", path.to_str().unwrap()]);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(
            told.contains(wanted) && told.contains("fix:"),
            "{path:?}: {told}"
        );
    }
    let output = up.run(&["ssh-key", "remove", "nobody"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("nobody"));
}

#[test]
fn of_a_file_the_new_keys_are_added_and_the_known_ones_told() {
    let up = Up::new();
    let dir = tempfile::tempdir().unwrap();
    let known = keygen(dir.path(), "known", &["-t", "ed25519"]);
    let new = keygen(dir.path(), "new", &["-t", "ed25519"]);
    up.json(&["ssh-key", "add", known.to_str().unwrap(), "-o", "json"]);
    let read = |path| std::fs::read_to_string(path).unwrap();
    let both = dir.path().join("both");
    std::fs::write(&both, format!("{0}{1}{1}", read(&known), read(&new))).unwrap();
    let add = || up.run(&["ssh-key", "add", both.to_str().unwrap(), "-o", "json"]);

    let output = add();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let added: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(added.as_array().unwrap().len(), 1, "{added}");
    assert_eq!(added[0]["comment"], "new");
    let told = text(&output.stderr);
    assert!(
        told.contains("there already") && told.contains("known"),
        "{told}"
    );
    assert!(!told.contains(" new"), "{told}");

    let again = add();
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert_eq!(text(&again.stdout).trim(), "[]");
    let list = up.json(&["ssh-key", "list", "-o", "json"]);
    assert_eq!(list.as_array().unwrap().len(), 2);
}

#[test]
fn add_without_a_file_takes_the_keys_of_the_home_once() {
    let up = Up::new();
    let home = tempfile::tempdir().unwrap();
    let add = || {
        gitpod()
            .env("GITPOD_STATE_DIR", up.state_dir())
            .env("HOME", home.path())
            .args(["ssh-key", "add", "-o", "json"])
            .output()
            .unwrap()
    };
    let output = add();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("ssh-keygen"),
        "{}",
        text(&output.stderr)
    );

    let dir = home.path().join(".ssh");
    std::fs::create_dir(&dir).unwrap();
    keygen(&dir, "id_ed25519", &["-t", "ed25519"]);
    keygen(&dir, "id_ecdsa", &["-t", "ecdsa"]);
    keygen(&dir, "other", &["-t", "ed25519"]);
    let added: serde_json::Value = serde_json::from_slice(&add().stdout).unwrap();
    assert_eq!(added.as_array().unwrap().len(), 2, "{added}");
    let output = add();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).trim(), "[]");
}

#[test]
fn commands_of_ssh_say_whether_up_runs_and_the_workspace_exists() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &["ssh", "pink-panda-ns35kd21"][..],
        &["ssh-key", "list"],
        &["ssh-config"],
    ] {
        let output = gitpod()
            .env("GITPOD_STATE_DIR", dir.path())
            .args(args)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(5), "{args:?}");
    }
    let up = Up::new();
    for args in [
        &["ssh", "pink-panda-ns35kd21"][..],
        &["ssh", "--stdio", "../x.gitpod"],
    ] {
        let output = up.run(args);
        assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    }
    assert_ne!(port(&up), 0);
}
