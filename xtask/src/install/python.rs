//! JupyterLab from PyPI, in an environment of its own.

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

/// Path of the program `jupyter`.
pub(super) fn jupyterlab() -> anyhow::Result<PathBuf> {
    let folder = cache::filled(&format!("jupyterlab-{JUPYTERLAB}"), |folder| {
        eprintln!(
            "installing jupyterlab {JUPYTERLAB} from PyPI into {}",
            folder.display()
        );
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        run(Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "--no-input"])
            .arg(format!("jupyterlab=={JUPYTERLAB}")))
        .context("pip could not install JupyterLab; is this machine online? A mirror can be set with PIP_INDEX_URL")
    })?;
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
