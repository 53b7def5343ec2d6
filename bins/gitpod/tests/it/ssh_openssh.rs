//! OpenSSH's client, used as people use it.

use std::process::Command;

use crate::harness::{Up, gitpod, program, repository, skip, wait_until};
use crate::ssh_harness::{Login, is_installed, pattern, succeeded, text, with_input};

#[test]
fn command_runs_in_the_files_of_the_workspace_and_its_exit_code_comes_back() {
    let Some(login) = Login::with(&[], &[("hello.txt", "hello from git\n")]) else {
        return;
    };
    assert_eq!(login.run("cat hello.txt"), "hello from git\n");
    assert_eq!(login.run("pwd").trim(), login.content().to_str().unwrap());
    let output = login.ssh(["ws", "echo out; echo err >&2; exit 7"]);
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(text(&output.stdout), "out\n");
    assert_eq!(text(&output.stderr), "err\n");
    let told = login.workspace.0["ssh"].as_str().unwrap().to_owned();
    let expected = format!("ssh -p {} {}@localhost", login.port(), login.id());
    assert_eq!(told, expected);
    let listed = login.up.json(&["list", "-o", "json"]);
    assert_eq!(listed[0]["ssh"], expected.as_str());
    assert_eq!(login.up.describe(login.id())["ssh"], expected.as_str());
}

#[test]
fn streams_are_whole_in_both_directions_and_half_close_is_kept() {
    let Some(login) = Login::new() else { return };
    let sent = pattern(8_000_000);
    // Ends only at the end of its input, and answers after that.
    let output = with_input(
        login.client("ssh").args(["ws", "cat; echo done >&2"]),
        sent.clone(),
    );
    assert!(output.status.success());
    assert!(
        output.stdout == sent,
        "{} bytes came back",
        output.stdout.len()
    );
    assert_eq!(text(&output.stderr), "done\n");
}

#[test]
fn keys_are_exchanged_anew_under_load() {
    let Some(login) = Login::new() else { return };
    let sent = pattern(12_000_000);
    let mut command = login.client("ssh");
    command.args(["-oRekeyLimit=1M", "-v", "ws", "cat"]);
    let output = with_input(&mut command, sent.clone());
    assert!(
        output.stdout == sent,
        "{} bytes came back",
        output.stdout.len()
    );
    let rekeys = text(&output.stderr)
        .matches("SSH2_MSG_NEWKEYS received")
        .count();
    assert!(rekeys > 5, "keys were exchanged {rekeys} times");
}

#[test]
fn terminal_has_the_size_of_its_window_and_follows_it() {
    let Some(login) = Login::new() else { return };
    let output = Command::new("python3")
        .arg(program("ssh_terminal.py"))
        .arg("ssh")
        .arg("-F")
        .arg(login.path("config"))
        .args(["-tt", "ws"])
        .output()
        .unwrap();
    let told = succeeded(&output);
    assert!(told.contains("size: 41 101"), "{told}");
    assert!(told.contains("size: 51 121"), "{told}");
    assert!(told.contains("exit code: 3"), "{told}");
}

#[test]
fn only_harmless_variables_are_taken_from_clients() {
    let Some(login) = Login::new() else { return };
    let set = "-oSetEnv=LC_ALL=C.UTF-8 LD_PRELOAD=/x.so BASH_ENV=/x PATH=/x GIT_SSH_COMMAND=x";
    let output = login.ssh([set, "ws", "env"]);
    let env = succeeded(&output);
    assert!(env.contains("LC_ALL=C.UTF-8"), "{env}");
    for name in ["LD_PRELOAD", "BASH_ENV", "PATH=/x", "GIT_SSH_COMMAND"] {
        assert!(!env.contains(name), "{env}");
    }
}

#[test]
fn sessions_share_one_connection() {
    let Some(login) = Login::new() else { return };
    let path = format!("-oControlPath={}", login.path("m").display());
    let mut master = login.client("ssh");
    master.args([
        &path,
        "-oControlMaster=yes",
        "-oControlPersist=60",
        "-fN",
        "ws",
    ]);
    assert!(master.status().unwrap().success());
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (login, path) = (&login, &path);
            scope.spawn(move || {
                let echoed = login.ssh([path, "ws", &format!("echo {number}; exit {number}")]);
                assert_eq!(echoed.status.code(), Some(number));
                assert_eq!(text(&echoed.stdout), format!("{number}\n"));
            });
        }
    });
    assert!(login.ssh([&path, "-O", "exit", "ws"]).status.success());
}

#[test]
fn idle_session_with_keep_alives_goes_on() {
    let Some(login) = Login::new() else { return };
    let alive = [
        "-oServerAliveInterval=1",
        "-oServerAliveCountMax=1",
        "ws",
        "sleep 4; echo ok",
    ];
    assert_eq!(succeeded(&login.ssh(alive)), "ok\n");
}

#[test]
fn keys_of_all_kinds_log_in_and_keyscan_sees_the_known_host_key() {
    let Some(login) = Login::new() else { return };
    for (name, kind) in [
        ("ecdsa256", &["-t", "ecdsa", "-b", "256"][..]),
        ("ecdsa384", &["-t", "ecdsa", "-b", "384"]),
        ("ecdsa521", &["-t", "ecdsa", "-b", "521"]),
        ("rsa2048", &["-t", "rsa", "-b", "2048"]),
        ("rsa4096", &["-t", "rsa", "-b", "4096"]),
    ] {
        login.make_key(name, kind);
        let key = login.path(&format!("{name}.pub"));
        assert!(
            login
                .up
                .run(&["ssh-key", "add", key.to_str().unwrap()])
                .status
                .success()
        );
        let file = format!("-oIdentityFile={}", login.path(name).display());
        let only = login.ssh([&file, "bare", "echo in"]);
        assert_eq!(succeeded(&only), "in\n", "{name}");
    }
    let scanned = Command::new("ssh-keyscan")
        .args(["-p", &login.port().to_string(), "127.0.0.1"])
        .output()
        .unwrap();
    let known = std::fs::read_to_string(login.up.state_dir().join("ssh/known_hosts")).unwrap();
    let key = known.split_once(' ').unwrap().1.trim();
    assert!(
        text(&scanned.stdout).contains(key),
        "{}",
        text(&scanned.stdout)
    );
}

#[test]
fn owner_token_logs_in_as_password_or_in_the_name() {
    let Some(login) = Login::new() else { return };
    let name = format!("-oUser={}#{}", login.id(), login.workspace.token());
    let output = login.ssh(["-oPubkeyAuthentication=no", &name, "ws", "echo in"]);
    assert_eq!(succeeded(&output), "in\n");
    let wrong = format!("-oUser={}#wrong", login.id());
    let output = login.ssh(["-oPubkeyAuthentication=no", &wrong, "ws", "echo in"]);
    assert_eq!(output.status.code(), Some(255));

    let ask = login.path("askpass");
    std::fs::write(
        &ask,
        format!("#!/bin/sh\necho {}\n", login.workspace.token()),
    )
    .unwrap();
    std::fs::set_permissions(&ask, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let output = login
        .client("ssh")
        .env("SSH_ASKPASS", &ask)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .args([
            "-oBatchMode=no",
            "-oPubkeyAuthentication=no",
            "ws",
            "echo in",
        ])
        .output();
    assert_eq!(succeeded(&output.unwrap()), "in\n");
}

#[test]
fn gitpod_ssh_needs_no_setup_and_passes_the_exit_code() {
    let Some(login) = Login::new() else { return };
    let (up, id) = (&login.up, login.id());
    let output = up.run(&["ssh", id, "--", "echo in; exit 9"]);
    assert_eq!(text(&output.stdout), "in\n", "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(9));

    let nowhere = tempfile::tempdir().unwrap();
    let output = gitpod()
        .env("GITPOD_STATE_DIR", up.state_dir())
        .env("PATH", nowhere.path())
        .args(["ssh", id])
        .output()
        .unwrap();
    let told = text(&output.stderr);
    assert!(
        told.contains("no ssh client") && told.contains("fix:"),
        "{told}"
    );

    assert!(up.run(&["wake", id, "never"]).status.success());
    assert!(up.run(&["stop", id]).status.success());
    let output = up.run(&["ssh", id, "--", "true"]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains(&format!("gitpod start {id}")), "{told}");
}

#[test]
fn ssh_config_makes_workspaces_hosts_and_keeps_the_users_file() {
    let Some(login) = Login::new() else { return };
    let config = login.path("users-config");
    let users = "Host example.com\n\tUser me\n";
    std::fs::write(&config, users).unwrap();
    let file = config.to_str().unwrap();
    for _ in 0..2 {
        let output = login.up.run(&["ssh-config", "--write", "--file", file]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let written = std::fs::read_to_string(&config).unwrap();
    assert!(
        written.ends_with(users) && written.matches("Include").count() == 1,
        "{written}"
    );

    let connect = |id: &str| {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            file,
            "-oBatchMode=yes",
            &format!("{id}.gitpod"),
            "pwd",
        ]);
        ssh.output().unwrap()
    };
    // A workspace made later is there without another word.
    let other = login.up.start(repository(&[]).path());
    wait_until("the new workspace is a host", || {
        connect(other.id()).status.success()
    });
    assert_eq!(
        succeeded(&connect(login.id())).trim(),
        login.content().to_str().unwrap()
    );
    assert!(login.up.run(&["delete", other.id()]).status.success());
    let kept = login.up.state_dir().join("ssh/config");
    wait_until("the deleted workspace is none", || {
        !std::fs::read_to_string(&kept).unwrap().contains(other.id())
    });
    let printed = succeeded(&login.up.run(&["ssh-config"]));
    assert!(
        printed.contains(&format!("Host {}.gitpod", login.id())),
        "{printed}"
    );
}

#[test]
fn ssh_config_is_read_whatever_the_state_directory_is_called() {
    if !is_installed("ssh") {
        return skip("OpenSSH's client is not installed");
    }
    let name = r#"100%h [a-z]*?"' \ $x {y} ~ #z "#;
    let dir = tempfile::Builder::new().prefix(name).tempdir().unwrap();
    let up = Up::at(dir, &[]);
    let workspace = up.start(repository(&[]).path());
    let host = format!("{}.gitpod", workspace.id());
    let config = tempfile::NamedTempFile::new().unwrap();
    let file = config.path().to_str().unwrap();
    let written = up.run(&["ssh-config", "--write", "--file", file]);
    assert!(written.status.success(), "{}", text(&written.stderr));

    let ssh = |args: &[&str]| {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", file, "-oBatchMode=yes"]).args(args);
        ssh.output().unwrap()
    };
    wait_until("the workspace is a host", || {
        let read = succeeded(&ssh(&["-G", &host]));
        read.contains(&format!("user {}\n", workspace.id()))
    });
    assert_eq!(succeeded(&ssh(&[&host, "echo inside"])), "inside\n");
    let own = up.run(&["ssh", workspace.id(), "--", "echo inside"]);
    assert_eq!(succeeded(&own), "inside\n");
}

#[test]
fn workspace_is_a_host_to_jump_over() {
    let Some(python) = crate::ssh_harness::installed_client("python") else {
        return;
    };
    let Some(login) = Login::new() else { return };
    // A server inside the workspace's network, where nobody else gets to.
    let server = program("ssh_echo_server.py").canonicalize().unwrap();
    let key = login.path("id.pub");
    let started = format!(
        "nohup {} {} 3022 {} >server.log 2>&1 & sleep 0.1",
        python.display(),
        server.display(),
        key.display()
    );
    login.run(&started);
    wait_until("the server listens", || {
        login
            .ssh(["ws", "grep -q listening server.log"])
            .status
            .success()
    });
    let jumped = login.ssh([
        "-J",
        "ws",
        "-oStrictHostKeyChecking=no",
        "-oUserKnownHostsFile=/dev/null",
        &format!("-oIdentityFile={}", login.path("id").display()),
        "-p",
        "3022",
        "me@127.0.0.1",
        "over there",
    ]);
    assert_eq!(succeeded(&jumped), "you said: over there\n");
}

#[test]
fn two_ups_have_different_host_keys() {
    let (one, two) = (Up::new(), Up::new());
    let key = |up: &Up| std::fs::read(up.state_dir().join("ssh/known_hosts")).unwrap();
    assert_ne!(key(&one), key(&two));
}
