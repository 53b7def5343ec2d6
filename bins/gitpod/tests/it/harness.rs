//! A running `gitpod up`, and what a user does with it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
pub(crate) use support::testing::skip;
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn gitpod() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gitpod"));
    command.env_remove("GITPOD_STATE_DIR").stdin(Stdio::null());
    command
}

/// `gitpod up`, ended with its workspaces when dropped.
pub(crate) struct Up {
    child: Child,
    lines: Arc<Mutex<Vec<Value>>>,
    pub(crate) ready: Value,
    pub(crate) dir: TempDir,
}

impl Up {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(args: &[&str]) -> Self {
        Self::at(tempfile::tempdir().unwrap(), args)
    }

    /// For a user at home in `home`: her shells read nothing of who runs the tests.
    pub(crate) fn of_user(home: &Path, args: &[&str]) -> Self {
        Self::run_as(
            tempfile::tempdir().unwrap(),
            args,
            gitpod().env("HOME", home),
        )
    }

    /// On a state directory that an earlier `up` may have used.
    pub(crate) fn at(dir: TempDir, args: &[&str]) -> Self {
        Self::run_as(dir, args, &mut gitpod())
    }

    fn run_as(dir: TempDir, args: &[&str], gitpod: &mut Command) -> Self {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(dir.path().join("up.log"))
            .unwrap();
        let mut child = gitpod
            .args([
                "up",
                "--listen",
                "127.0.0.1:0",
                "--ssh-listen",
                "127.0.0.1:0",
                "-o",
                "json",
                "--ide",
                "none",
                // Clients that a test has left behind are not waited for.
                "--drain",
                "2s",
            ])
            .arg("--state-dir")
            .arg(dir.path().join("state"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|why| {
            let log = std::fs::read_to_string(dir.path().join("up.log")).unwrap_or_default();
            panic!("no ready event but {line:?} ({why}); log:\n{log}")
        });
        assert_eq!(ready["event"], "ready");
        Self {
            child,
            lines: collect(stdout),
            ready,
            dir,
        }
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// What it has printed after `ready`.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn address(&self) -> &str {
        self.ready["http"].as_str().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("up.log")).unwrap()
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        gitpod()
            .env("GITPOD_STATE_DIR", self.state_dir())
            .args(args)
            .output()
            .unwrap()
    }

    /// The JSON that a command prints, which must succeed.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.run(args);
        assert!(
            output.status.success(),
            "{args:?}: {}\nup said: {}",
            String::from_utf8_lossy(&output.stderr),
            self.log(),
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Starts a workspace and waits until it runs.
    pub(crate) fn start(&self, what: &Path) -> Workspace {
        Workspace(self.json(&["start", what.to_str().unwrap(), "-o", "json"]))
    }

    pub(crate) fn describe(&self, id: &str) -> Value {
        self.json(&["describe", id, "-o", "json"])
    }

    /// Ends as by Ctrl-C and gives the state directory back.
    pub(crate) fn stop(mut self) -> TempDir {
        self.signal("INT");
        assert!(self.child.wait().unwrap().success());
        std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap())
    }

    /// Ends without any chance to clean up, and gives the state directory back.
    pub(crate) fn kill(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap())
    }

    /// Another `up` takes over, as `gitpod` runs it. Returns the one before, which finishes.
    pub(crate) fn replaced_by(&mut self, gitpod: &mut Command, args: &[&str]) -> Self {
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        let next = Self::run_as(dir, &[&["--replace"], args].concat(), gitpod);
        std::mem::replace(self, next)
    }

    /// Waits until it has ended by itself, as it should.
    pub(crate) fn finished(mut self) {
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "{ended}");
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// One request to `host`, over a connection of its own.
    pub(crate) fn request(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        Response(String::from_utf8_lossy(&text).into_owned())
    }

    /// Asks again until the answer is as `wanted`: programs take a moment to listen.
    pub(crate) fn request_until(
        &self,
        workspace: &Workspace,
        port: u16,
        wanted: impl Fn(&Response) -> bool,
    ) -> Response {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let answer = self.owner_request(workspace, port, "/");
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < give_up, "last answer: {}", answer.0);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn owner_request(&self, workspace: &Workspace, port: u16, path: &str) -> Response {
        let token = [("x-gitpod-owner-token", workspace.token())];
        self.request(&workspace.host(port), path, &token)
    }
}

/// Reads lines as they come, so that their writer never waits.
fn collect(stdout: BufReader<ChildStdout>) -> Arc<Mutex<Vec<Value>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let read = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let event = serde_json::from_str(&line).unwrap();
            read.lock().unwrap().push(event);
        }
    });
    lines
}

impl Drop for Up {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal("TERM");
            let _ = self.child.wait();
        }
    }
}

/// What `gitpod start -o json` said.
pub(crate) struct Workspace(pub(crate) Value);

impl Workspace {
    pub(crate) fn id(&self) -> &str {
        self.0["id"].as_str().unwrap()
    }

    pub(crate) fn token(&self) -> &str {
        self.0["owner_token"].as_str().unwrap()
    }

    pub(crate) fn host(&self, port: u16) -> String {
        format!("{port}-{}.ws.localhost", self.id())
    }

    pub(crate) fn ide_host(&self) -> String {
        format!("{}.ws.localhost", self.id())
    }
}

pub(crate) struct Response(pub(crate) String);

impl Response {
    pub(crate) fn status(&self) -> u16 {
        let status = self.0.split(' ').nth(1).unwrap_or("0");
        status.parse().unwrap_or(0)
    }

    pub(crate) fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

/// A git repository with these files, committed.
pub(crate) fn repository(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "--quiet", "--initial-branch", "main"]);
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    git(dir.path(), &["add", "."]);
    let author = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
    let commit = ["commit", "--quiet", "--allow-empty", "-m", "files"];
    git(dir.path(), &[author.as_slice(), commit.as_slice()].concat());
    dir
}

fn git(dir: &Path, args: &[&str]) {
    let status = Command::new("git").arg("-C").arg(dir).args(args).status();
    assert!(status.unwrap().success(), "git {args:?}");
}

/// A port that nobody uses at the moment: tests run side by side, and where there is
/// no network of their own for workspaces they share this machine's.
pub(crate) fn free_port() -> u16 {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    holder.local_addr().unwrap().port()
}

/// Waits until `done`, or fails with `what`.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < give_up, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Path of a helper program of the tests.
pub(crate) fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/programs")
        .join(name)
}

/// What a program has printed.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
