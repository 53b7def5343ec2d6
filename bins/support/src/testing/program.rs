//! A program that runs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::Value;

/// Longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running program of ours; ended when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines,
    stderr: Lines,
}

type Lines = Arc<Mutex<Vec<String>>>;

impl Program {
    /// Starts `binary run FILE`, where the file in `dir` holds `config`.
    #[must_use]
    pub fn run(binary: &Path, dir: &Path, config: &Value) -> Self {
        let name = binary.file_name().unwrap().to_string_lossy();
        let file = dir.join(format!("{name}.json"));
        std::fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new(binary);
        command.arg("run").arg(file);
        Self::start(command)
    }

    /// Starts `command`.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|why| panic!("cannot start {command:?}: {why}"));
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        let stdin = child.stdin.take();
        Self {
            child,
            stdin,
            stdout,
            stderr,
        }
    }

    /// Where it listens for `what`, once it does.
    #[must_use]
    pub fn address(&self, what: &str) -> SocketAddr {
        let line = self.logged(&format!("address of {what}"), |line| {
            line["message"] == "listening" && line["what"] == what
        });
        line["address"].as_str().unwrap().parse().unwrap()
    }

    /// The first log line that is as `wanted`, once it is there.
    #[must_use]
    pub fn logged(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut found = None;
        wait_until(&format!("{what}; {}", self.log()), || {
            let lines = self.stderr.lock().unwrap();
            let mut values = lines
                .iter()
                .filter_map(|line| serde_json::from_str(line).ok());
            found = values.find(&wanted);
            found.is_some()
        });
        found.unwrap()
    }

    /// All that it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.stderr.lock().unwrap().join("\n")
    }

    /// All that it has printed so far.
    #[must_use]
    pub fn printed(&self) -> Vec<String> {
        self.stdout.lock().unwrap().clone()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input.
    pub fn write(&mut self, text: &str) {
        self.stdin
            .as_mut()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Ends it without any chance to clean up.
    pub fn kill(mut self) {
        self.end_by_force();
    }

    /// As [`kill`](Self::kill), and its log stays at hand.
    pub fn end_by_force(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        wait_until("the end of a program", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Reads lines as they come, so that their writer never waits.
fn collect(output: impl Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let read = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            read.lock().unwrap().push(line);
        }
    });
    lines
}

/// Waits until `done`, or fails with `what`.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let began = SystemTime::now();
    while !done() {
        assert!(
            began.elapsed().unwrap_or_default() < PATIENCE,
            "waited in vain: {what}"
        );
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "other processes send no wake-up")]
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

/// The binary of another package of this workspace: beside the test that asks for it. Built, if `cargo test`
/// was told to test one package only.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let dir = test.parent().and_then(Path::parent).unwrap();
    let path = dir.join(name);
    if !path.exists() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "-p", name, "--bin", name])
            .status();
        assert!(built.unwrap().success(), "cannot build {name}");
    }
    path
}
