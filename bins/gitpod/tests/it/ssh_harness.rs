//! A workspace with SSH, and a user with a key of her own.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::harness::{Up, Workspace, repository, skip};

/// A running workspace, and what one user needs to log in to it with any client.
pub(crate) struct Login {
    pub(crate) up: Up,
    pub(crate) workspace: Workspace,
    pub(crate) home: TempDir,
}

impl Login {
    /// `None` if there is no client to test with.
    pub(crate) fn new() -> Option<Self> {
        Self::with(&[], &[])
    }

    /// With these options of `up`, and these files in the workspace.
    pub(crate) fn with(args: &[&str], files: &[(&str, &str)]) -> Option<Self> {
        if !is_installed("ssh") {
            skip("OpenSSH's client is not installed");
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        let up = Up::of_user(home.path(), args);
        let workspace = up.start(repository(files).path());
        let login = Self {
            up,
            workspace,
            home,
        };
        login.make_key("id", &["-t", "ed25519"]);
        let key = login.path("id.pub");
        let added = login.up.run(&["ssh-key", "add", key.to_str().unwrap()]);
        assert!(added.status.success(), "{}", text(&added.stderr));
        login.write_config();
        Some(login)
    }

    pub(crate) fn id(&self) -> &str {
        self.workspace.id()
    }

    pub(crate) fn port(&self) -> u16 {
        port(&self.up)
    }

    /// Of the user's home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Of the files of the workspace.
    pub(crate) fn content(&self) -> PathBuf {
        let path = self.up.describe(self.id())["content"]["path"].clone();
        path.as_str().unwrap().into()
    }

    pub(crate) fn make_key(&self, name: &str, kind: &[&str]) {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-N", "", "-C", name, "-f"])
            .arg(self.path(name))
            .args(kind)
            .status();
        assert!(made.unwrap().success());
    }

    /// The workspace is the host `ws` of this configuration; and `bare` without a key.
    fn write_config(&self) {
        let config = format!(
            "Host *
  StrictHostKeyChecking yes
  BatchMode yes
  LogLevel ERROR
  ControlPath none
Host ws bare
  HostName 127.0.0.1
  Port {}
  User {}
  HostKeyAlias gitpod
  UserKnownHostsFile {}
  IdentitiesOnly yes
Host ws
  IdentityFile {}
",
            self.port(),
            self.id(),
            self.up.state_dir().join("ssh/known_hosts").display(),
            self.path("id").display(),
        );
        std::fs::write(self.path("config"), config).unwrap();
    }

    /// `program -F CONFIG`, for all clients of OpenSSH.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-F").arg(self.path("config"));
        // Nothing of whoever runs the tests.
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.home.path()).stdin(Stdio::null());
        command
    }

    /// `ssh ARGS` with the host `ws` among them.
    pub(crate) fn ssh<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.client("ssh").args(args).output().unwrap()
    }

    /// What `command` prints in the workspace, where it must succeed.
    pub(crate) fn run(&self, command: &str) -> String {
        let output = self.ssh(["ws", command]);
        assert!(
            output.status.success(),
            "{command}: {:?} {}\nup: {}",
            output.status,
            text(&output.stderr),
            self.up.log()
        );
        text(&output.stdout)
    }

    /// `ssh ARGS` that goes on, ended when dropped.
    pub(crate) fn background(&self, args: &[&str]) -> Background {
        let child = self
            .client("ssh")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Background(child.unwrap())
    }
}

pub(crate) struct Background(pub(crate) Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where SSH listens.
pub(crate) fn port(up: &Up) -> u16 {
    let address = up.ready["ssh"].as_str().unwrap();
    address.rsplit_once(':').unwrap().1.parse().unwrap()
}

/// What `command` does with `input`, which is written while its output is read.
pub(crate) fn with_input(command: &mut Command, input: Vec<u8>) -> Output {
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    output
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
pub(crate) fn succeeded(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{:?}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Program of the environment that `cargo xtask setup` makes.
pub(crate) fn installed_client(name: &str) -> Option<PathBuf> {
    let Some(dir) = std::env::var_os("GITPOD_TEST_SSH_CLIENTS") else {
        skip(
            "GITPOD_TEST_SSH_CLIENTS does not name a folder with python (paramiko, asyncssh) and ssh-audit",
        );
        return None;
    };
    Some(Path::new(&dir).join(name))
}

/// Bytes that no two places of a stream have in common.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
