//! `cargo xtask first-command`: what a newcomer types first, tried from a fresh clone.
//!
//! ```text
//! git clone → cargo run --release --bin gitpod -- up . → ready event → workspace runs → one request → Ctrl-C
//! ```

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::shell::{announce, cargo, output_of, repository, run};

pub(crate) fn check() -> anyhow::Result<()> {
    let place = tempfile::tempdir()?;
    let clone = place.path().join("clone");
    run(Command::new("git")
        .args(["clone", "--quiet"])
        .arg(repository())
        .arg(&clone))?;
    run(in_clone(&clone).args(["build", "--quiet", "--release", "--bin", "gitpod"]))?;
    let up = Up::start(&clone, &place.path().join("state"))?;
    let checked = up.check_workspace();
    let stopped = up.stop();
    checked?;
    stopped
}

/// The README's way to call it.
fn gitpod(clone: &Path) -> Command {
    let mut command = in_clone(clone);
    command.args(["run", "--quiet", "--release", "--bin", "gitpod", "--"]);
    command
}

fn in_clone(clone: &Path) -> Command {
    let mut command = cargo();
    command.current_dir(clone);
    command
}

/// A running `gitpod up .`, killed when dropped.
#[derive(Debug)]
struct Up {
    child: Child,
    clone: PathBuf,
    state: PathBuf,
    /// What it listens on, as `ADDRESS:PORT`.
    http: String,
}

/// Seconds until the workspace must run; the clone is small and local.
const PATIENCE: u32 = 60;

impl Up {
    fn start(clone: &Path, state: &Path) -> anyhow::Result<Self> {
        let mut command = gitpod(clone);
        // A gate that runs beside others cannot take the usual port and folder.
        command
            .args([
                "up",
                ".",
                "--listen",
                "127.0.0.1:0",
                "--ssh-listen",
                "127.0.0.1:0",
                "-o",
                "json",
                "--state-dir",
            ])
            .arg(state);
        announce(&command);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().context("it has no standard output")?;
        let mut lines = BufReader::new(out).lines();
        let ready = next_event(&mut lines)?;
        let http = text_in(&ready, "/http").unwrap_or_default();
        let up = Self {
            child,
            clone: clone.to_owned(),
            state: state.to_owned(),
            http,
        };
        // Its events go on; a pipe that nobody reads would fill.
        std::thread::spawn(move || lines.for_each(drop));
        ensure!(
            text_in(&ready, "/event").as_deref() == Some("ready") && !up.http.is_empty(),
            "its first line is not the ready event: {ready}"
        );
        Ok(up)
    }

    /// The workspace of this repository answers its owner, and nobody else.
    fn check_workspace(&self) -> anyhow::Result<()> {
        let (url, token) = self.running_workspace()?;
        let host = url.trim_start_matches("http://").trim_end_matches('/');
        let refused = self.status_of(host, None)?;
        ensure!(
            (401..=404).contains(&refused),
            "{url} answers {refused} without a token, and should refuse"
        );
        let answered = self.status_of(host, Some(&token))?;
        ensure!(
            (200..400).contains(&answered),
            "{url} answers {answered} to its owner"
        );
        eprintln!("{url} answers its owner with {answered}, and anybody else with {refused}");
        Ok(())
    }

    /// Address and owner token of the workspace that `up .` makes, once it runs.
    fn running_workspace(&self) -> anyhow::Result<(String, String)> {
        let mut listed = Value::Null;
        for _ in 0..PATIENCE {
            listed = self.client(&["list"])?;
            let phase = text_in(&listed, "/0/phase").unwrap_or_default();
            ensure!(
                !phase.starts_with("stop"),
                "the workspace stopped: {listed}"
            );
            if phase == "running" {
                let both = text_in(&listed, "/0/url").zip(text_in(&listed, "/0/owner_token"));
                return both.with_context(|| format!("no `url` and `owner_token` in {listed}"));
            }
            run(Command::new("sleep").arg("1"))?;
        }
        bail!("the workspace did not run within {PATIENCE} s: {listed}")
    }

    /// What `gitpod ARGUMENTS -o json` prints.
    fn client(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let mut command = gitpod(&self.clone);
        command
            .args(arguments)
            .args(["-o", "json", "--state-dir"])
            .arg(&self.state);
        let text = announce(&command);
        let printed = output_of(&mut command).with_context(|| format!("`{text}` failed"))?;
        serde_json::from_str(&printed).with_context(|| format!("`{text}` printed {printed}"))
    }

    fn status_of(&self, host: &str, token: Option<&str>) -> anyhow::Result<u16> {
        let mut stream = TcpStream::connect(&self.http)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let token = token.map_or(String::new(), |token| {
            format!("x-gitpod-owner-token: {token}\r\n")
        });
        write!(
            stream,
            "GET / HTTP/1.1\r\nHost: {host}\r\n{token}Connection: close\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        status.with_context(|| format!("not an HTTP answer: {answer:?}"))
    }

    /// As by Ctrl-C; nothing of it may be left.
    fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().to_string();
        run(Command::new("kill").args(["-INT", &pid]))?;
        let status = self.child.wait()?;
        ensure!(
            status.success(),
            "`gitpod up` ended with {status} after Ctrl-C"
        );
        Ok(())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Already gone after `stop`; after an error it must not outlive us.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next_event(lines: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<Value> {
    let Some(line) = lines.next() else {
        bail!("`gitpod up` ended; its messages are above");
    };
    let line = line?;
    serde_json::from_str(&line).with_context(|| format!("not a JSON line: {line}"))
}

fn text_in(value: &Value, pointer: &str) -> Option<String> {
    Some(value.pointer(pointer)?.as_str()?.to_owned())
}
