//! Where a tortured `up` lives, and how it is started, asked and killed.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Longer than anything takes on a machine that is busy with other things.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A directory with the state of one installation, and what it says.
#[derive(Debug)]
pub(super) struct Place {
    dir: TempDir,
    program: PathBuf,
}

impl Place {
    pub(super) fn new(program: &Path) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("torture-").tempdir()?;
        Ok(Self {
            dir,
            program: program.to_owned(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    pub(super) fn content(&self, workspace: &str) -> PathBuf {
        self.state()
            .join("workspaces")
            .join(workspace)
            .join("content")
    }

    /// The workspaces beside which a note says that they are being removed.
    pub(super) fn removals(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.state().join("workspaces"));
        let names = entries.into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        let noted = names.filter_map(|name| Some(name.strip_suffix(".removal")?.to_owned()));
        noted.collect()
    }

    fn log(&self) -> PathBuf {
        self.path().join("up.log")
    }

    /// What all `up`s have said on standard error.
    pub(super) fn log_text(&self) -> String {
        let bytes = std::fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Keeps the directory, for people.
    pub(super) fn keep(self) -> PathBuf {
        self.dir.keep()
    }

    fn gitpod(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("GITPOD_STATE_DIR", self.state())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Starts `gitpod up`, which is not ready yet.
    pub(super) fn start(&self) -> anyhow::Result<Up> {
        self.start_with(&[])
    }

    /// Starts one that takes over from the one that runs, if there is one.
    pub(super) fn replace(&self) -> anyhow::Result<Up> {
        self.start_with(&["--replace"])
    }

    fn start_with(&self, more: &[&str]) -> anyhow::Result<Up> {
        let open = |name: PathBuf| OpenOptions::new().create(true).append(true).open(name);
        let child = self
            .gitpod()
            .args(["up", "--listen", "127.0.0.1:0"])
            .args(["--ssh-listen", "127.0.0.1:0"])
            .args(["--ide", "none", "-o", "json", "--drain", "3s"])
            .args(more)
            .env("GITPOD_LOG", "debug")
            .stdout(Stdio::piped())
            .stderr(open(self.log())?)
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        Ok(Up { child })
    }

    /// Runs a command to its end.
    pub(super) async fn run(&self, words: &[&str]) -> anyhow::Result<Answer> {
        let output = timeout(PATIENCE, self.gitpod().args(words).output()).await;
        let output = output.with_context(|| format!("`gitpod {}` hangs", words.join(" ")))??;
        Ok(Answer {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// The JSON that a command prints, which must succeed.
    pub(super) async fn json(&self, words: &[&str]) -> anyhow::Result<Value> {
        let answer = self.run(words).await?;
        ensure!(
            answer.is_done(),
            "`gitpod {}`: {}",
            words.join(" "),
            answer.err
        );
        serde_json::from_str(&answer.out)
            .with_context(|| format!("`gitpod {}` prints {:?}", words.join(" "), answer.out))
    }
}

/// How a command ended.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

impl Answer {
    /// Whether it was acknowledged.
    pub(super) fn is_done(&self) -> bool {
        self.code == Some(0)
    }
}

/// A `gitpod up`, killed when dropped.
#[derive(Debug)]
pub(super) struct Up {
    child: Child,
}

impl Up {
    /// Waits until it listens; where.
    pub(super) async fn ready(&mut self) -> anyhow::Result<SocketAddr> {
        let out = self.child.stdout.take().context("it has no output")?;
        let mut lines = BufReader::new(out).lines();
        let first = timeout(PATIENCE, lines.next_line()).await;
        let Some(first) = first.context("`gitpod up` does not get ready")?? else {
            bail!(
                "`gitpod up` ends before it is ready ({})",
                self.child.wait().await?
            );
        };
        let ready: Value = serde_json::from_str(&first)?;
        // Its events go on; a pipe that nobody reads would fill.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let address = ready.get("http").and_then(Value::as_str);
        let address = address.with_context(|| format!("not a ready event: {first}"))?;
        Ok(address.parse()?)
    }

    /// Waits until it has ended by itself, which it must do well.
    pub(super) async fn finished(mut self) -> anyhow::Result<()> {
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.context("a replaced `gitpod up` does not end")??;
        ensure!(
            status.success(),
            "a replaced `gitpod up` ends with {status}"
        );
        Ok(())
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// SIGKILL: nothing of it runs any more when this is through.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("cannot kill `gitpod up`")
    }

    /// Ends it as a user does, and fails if it does not end well.
    pub(super) async fn end(mut self) -> anyhow::Result<()> {
        let pid = self.pid().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(Pid::from_raw);
        kill_process(pid.context("it has ended already")?, Signal::TERM)?;
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.context("`gitpod up` does not end")??;
        ensure!(status.success(), "`gitpod up` ends with {status}");
        Ok(())
    }
}
