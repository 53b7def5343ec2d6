//! The npm package `ws`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::cache;
use crate::shell::run;

const WS: &str = "8.23.0";

/// Folder `node_modules` with the package in it.
pub(super) fn modules() -> anyhow::Result<PathBuf> {
    let folder = cache::filled(&format!("node-ws-{WS}"), |folder| {
        eprintln!("installing ws {WS} from npm into {}", folder.display());
        run(Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(folder)
            .arg(format!("ws@{WS}")))
        .context("npm could not install ws; is this machine online? A mirror can be set with npm_config_registry")
    })?;
    Ok(folder.join("node_modules"))
}
