//! Programs that are needed, or of use.

use std::path::PathBuf;
use std::time::Duration;

use tokio::process::Command;

use super::Finding;

const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn git() -> Finding {
    let asked = Command::new("git")
        .arg("--version")
        .kill_on_drop(true)
        .output();
    let fix = "install git, on Debian: apt-get install git";
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(output)) if output.status.success() => {
            let said = String::from_utf8_lossy(&output.stdout);
            Finding::ok("git", said.trim())
        }
        Ok(Err(why)) => Finding::problem("git", format!("it cannot be run: {why}"), fix),
        _ => Finding::problem("git", "it does not tell its version", fix),
    }
}

pub(super) fn ssh() -> Finding {
    match program("ssh") {
        Some(path) => Finding::ok("ssh", path.display().to_string()),
        None => Finding::note(
            "ssh",
            "there is no program `ssh`, so `gitpod ssh` cannot work",
            "install a client, on Debian: apt-get install openssh-client",
        ),
    }
}

/// What `--ide auto` takes.
pub(super) fn editor() -> Finding {
    let known = ["jupyter", "code-server", "openvscode-server"];
    match known.iter().find_map(|name| program(name)) {
        Some(path) => Finding::ok("editor", path.display().to_string()),
        None => Finding::note(
            "editor",
            "none is installed, so a workspace opens with its own page",
            format!("install one of: {}", known.join(", ")),
        ),
    }
}

fn program(name: &str) -> Option<PathBuf> {
    let dirs = std::env::var_os("PATH")?;
    std::env::split_paths(&dirs)
        .map(|dir| dir.join(name))
        .find(|path| std::fs::metadata(path).is_ok_and(|about| about.is_file()))
}
