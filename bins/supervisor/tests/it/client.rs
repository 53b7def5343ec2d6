//! A workspace with an SSH server, and OpenSSH's client to go there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::support::{Place, Running};

/// A running workspace, an authority that it believes, and a key with a certificate of it.
pub(crate) struct Ssh {
    pub(crate) place: Place,
    pub(crate) running: Running,
}

impl Ssh {
    pub(crate) async fn start() -> Self {
        Self::of(Place::new("")).await
    }

    pub(crate) async fn of(place: Place) -> Self {
        let dir = place.dir.path().to_owned();
        for name in ["ca", "key", "plain"] {
            make_key(&dir.join(name));
        }
        let line = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
        let place = place.with(
            "ssh",
            json!({
                "socket": dir.join("ssh.sock"), "host_key_file": dir.join("ssh_host_key.pub"),
                "user_ca": line("ca.pub"), "authorized_keys": [line("plain.pub")],
            }),
        );
        let running = place.start().await;
        let host_key = line("ssh_host_key.pub");
        fs::write(dir.join("known_hosts"), format!("workspace {host_key}")).unwrap();
        let ssh = Self { place, running };
        ssh.certify(&ssh.path("ca"), &[]);
        ssh
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.dir.path().join(name)
    }

    /// Gives `key` a certificate of `ca`, made with these arguments on top.
    pub(crate) fn certify(&self, ca: &Path, more: &[&str]) {
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-I", "ws-proxy"]).arg("-s").arg(ca);
        if !more.contains(&"-n") {
            command.args(["-n", "gitpod"]);
        }
        if !more.contains(&"-V") {
            command.args(["-V", "-10m:+10m"]);
        }
        let made = command
            .args(more)
            .arg(self.path("key.pub"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    }

    /// The options of `ssh`, `sftp` and `scp`.
    pub(crate) fn options(&self) -> Vec<String> {
        let path = |name: &str| self.path(name).display().to_string();
        let mut options = vec!["-F".to_owned(), "none".to_owned()];
        for option in [
            format!("IdentityFile={}", path("key")),
            format!("UserKnownHostsFile={}", path("known_hosts")),
            format!("ProxyCommand=socat - UNIX-CONNECT:{}", path("ssh.sock")),
            "User=gitpod".to_owned(),
            "IdentitiesOnly=yes".to_owned(),
            "IdentityAgent=none".to_owned(),
            "BatchMode=yes".to_owned(),
            "StrictHostKeyChecking=yes".to_owned(),
            "LogLevel=ERROR".to_owned(),
        ] {
            options.extend(["-o".to_owned(), option]);
        }
        options
    }

    /// `ssh` with these arguments before the name of the host.
    pub(crate) fn ssh(&self, options: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command
            .args(options) // the first one counts
            .args(self.options())
            .arg("workspace")
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null());
        command
    }

    /// What `line` prints there, and how it ends.
    pub(crate) async fn run(&self, line: &str) -> Output {
        let mut command = self.ssh(&[]);
        command.arg(line);
        output(command).await
    }

    /// Whether somebody with these options gets in.
    pub(crate) async fn lets_in(&self, options: &[&str]) -> bool {
        let mut command = self.ssh(options);
        command.arg("true");
        output(command).await.status.success()
    }
}

pub(crate) fn make_key(path: &Path) {
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-q", "-t", "ed25519", "-N", "", "-C", ""])
        .arg("-f")
        .arg(path);
    assert!(command.status().unwrap().success());
}

/// Runs `command` to its end.
pub(crate) async fn output(mut command: Command) -> Output {
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap());
    tokio::time::timeout(crate::support::LONG, ran)
        .await
        .unwrap()
        .unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
