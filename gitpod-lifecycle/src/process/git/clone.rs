//! Running `git clone`.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::fs;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::explain::explain;
use super::progress::Reader;
use super::source::{Checked, Revision};
use crate::content::{ContentError, Progress};
use crate::process::environment::inherited;
use crate::process::kill::MARKER;

/// Clones `source` into `target`, which does not exist yet.
///
/// When the future is dropped, git and all that it started is killed. What outlives this
/// process is found by `mark`, the directory of the workspace, and [swept](super::sweep).
pub(super) async fn clone(
    source: &Checked,
    target: &Path,
    mark: &Path,
    progress: &Progress,
) -> Result<(), ContentError> {
    let mut command = git(mark);
    // `--no-local`: a copy of a local repository would depend on what that borrows from.
    command.args(["clone", "--progress", "--no-local"]);
    if let Some(depth) = source.depth {
        command.arg(format!("--depth={depth}"));
    }
    match &source.revision {
        Revision::Default => {}
        Revision::Named(name) => drop(command.arg(format!("--branch={name}"))),
        Revision::Commit(_) => drop(command.arg("--no-checkout")),
    }
    command.arg("--").arg(&source.remote).arg(target);
    run(command, source, progress).await?;
    if let Revision::Commit(hash) = &source.revision {
        check_out(hash, source, target, mark, progress).await?;
    }
    remember(source, target).await
}

/// Names in the clone where it came from as it was given, with credentials, as git itself
/// does: whoever works there wants to fetch and push.
async fn remember(source: &Checked, target: &Path) -> Result<(), ContentError> {
    if source.given == source.remote {
        return Ok(());
    }
    let config = target.join(".git/config");
    let kept = |why| ContentError::because("the clone's configuration cannot be written", why);
    let text = fs::read_to_string(&config).await.map_err(kept)?;
    let given = source.given.replace('\\', "\\\\").replace('"', "\\\"");
    let text = text.replace(
        &format!("url = {}\n", source.remote),
        &format!("url = \"{given}\"\n"),
    );
    fs::write(&config, text).await.map_err(kept)
}

async fn check_out(
    hash: &str,
    source: &Checked,
    target: &Path,
    mark: &Path,
    progress: &Progress,
) -> Result<(), ContentError> {
    if let Some(depth) = source.depth {
        let mut fetch = git(mark);
        fetch.arg("-C").arg(target).args(["fetch", "--progress"]);
        fetch.arg(format!("--depth={depth}")).args(["origin", hash]);
        run(fetch, source, progress).await?;
    }
    let mut checkout = git(mark);
    checkout
        .arg("-C")
        .arg(target)
        .args(["checkout", "--progress", "--detach", hash, "--"]);
    run(checkout, source, progress).await
}

/// A git that speaks English, asks nobody anything and only fetches.
fn git(mark: &Path) -> Command {
    let mut command = Command::new("git");
    let inherited = inherited(&[]).into_iter().filter(|(name, _)| {
        let name: &OsStr = name;
        name != "LANGUAGE" && name != "LC_CTYPE"
    });
    command
        .env_clear()
        .envs(inherited)
        .env(MARKER, mark)
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "true")
        .env("SSH_ASKPASS_REQUIRE", "never")
        // A connection that others share would end with the clone.
        .env(
            "GIT_SSH_COMMAND",
            "ssh -o BatchMode=yes -o ControlMaster=no",
        )
        .env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

async fn run(
    mut command: Command,
    source: &Checked,
    progress: &Progress,
) -> Result<(), ContentError> {
    if let Some(credential) = &source.credential {
        credential.give_to(&mut command);
    }
    let started = command.spawn().map_err(|why| match why.kind() {
        io::ErrorKind::NotFound => ContentError::MissingProgram("git"),
        _ => ContentError::because("git cannot be run", why),
    });
    let mut child = started?;
    let group = Group::led_by(child.id());
    let mut reader = Reader::default();
    if let Some(mut stderr) = child.stderr.take() {
        let mut buffer = vec![0; 8192];
        loop {
            let read = stderr.read(&mut buffer).await;
            let length = read.map_err(|why| ContentError::because("git cannot be heard", why))?;
            if length == 0 {
                break;
            }
            reader.take(buffer.get(..length).unwrap_or_default(), |step, percent| {
                progress.tell(step, percent)
            });
        }
    }
    let status = child
        .wait()
        .await
        .map_err(|why| ContentError::because("git cannot be awaited", why))?;
    group.has_ended();
    match status.success() {
        true => Ok(()),
        false => Err(explain(source, &reader.said())),
    }
}

/// The processes of one command, killed when it is given up.
struct Group(Option<Pid>);

impl Group {
    fn led_by(leader: Option<u32>) -> Self {
        Self(
            leader
                .and_then(|pid| i32::try_from(pid).ok())
                .and_then(Pid::from_raw),
        )
    }

    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The leader was not awaited yet, so its number is still its own.
        if let Some(leader) = self.0 {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}
