//! Programs from PyPI, in environments of their own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::cache;
use crate::shell::{output_of, run};

/// One version for everyone, so that a red test means that our code changed.
const JUPYTERLAB: &str = "4.6.6";

pub(super) fn is_present() -> bool {
    output_of(Command::new("python3").args(["-c", "import venv, ensurepip"])).is_some()
}

/// Clients of SSH, and a program that judges servers.
const SSH_CLIENTS: [&str; 3] = ["paramiko==5.1.0", "asyncssh==2.24.1", "ssh-audit==3.9.0"];

/// Folder with their `python` and `ssh-audit`.
pub(super) fn ssh_clients() -> anyhow::Result<PathBuf> {
    let name = SSH_CLIENTS.join("-").replace("==", "-");
    let programs = environment(&name, &SSH_CLIENTS)?.join("bin");
    let check =
        output_of(Command::new(programs.join("python")).args(["-c", "import paramiko, asyncssh"]));
    check.with_context(|| {
        format!(
            "{} does not run any more; remove the folder above it and try again",
            programs.display()
        )
    })?;
    Ok(programs)
}

/// An environment of the name `name` in the cache, with `packages` in it.
fn environment(name: &str, packages: &[&str]) -> anyhow::Result<PathBuf> {
    cache::filled(name, |folder| {
        let all = packages.join(", ");
        eprintln!("installing {all} from PyPI into {}", folder.display());
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        run(Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "--no-input"])
            .args(packages))
        .with_context(|| format!("pip could not install {all}; is this machine online? A mirror can be set with PIP_INDEX_URL"))
    })
}

/// Path of the program `jupyter`.
pub(super) fn jupyterlab() -> anyhow::Result<PathBuf> {
    let package = format!("jupyterlab=={JUPYTERLAB}");
    let folder = environment(&format!("jupyterlab-{JUPYTERLAB}"), &[&package])?;
    let jupyter = folder.join("bin/jupyter");
    let version = output_of(Command::new(&jupyter).args(["lab", "--version"]));
    version.with_context(|| {
        format!(
            "{} does not run any more; remove {} and try again",
            jupyter.display(),
            folder.display()
        )
    })?;
    Ok(jupyter)
}
