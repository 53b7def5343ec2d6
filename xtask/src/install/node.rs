//! Packages from npm: `ws`, and axe-core, which finds what keeps people from using a page.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::cache;
use crate::shell::run;

const WS: &str = "8.23.0";
const AXE: &str = "4.14.1";

/// Folder `node_modules` with the packages in it.
pub(super) fn modules() -> anyhow::Result<PathBuf> {
    let folder = cache::filled(&format!("node-ws-{WS}-axe-core-{AXE}"), |folder| {
        eprintln!(
            "installing ws {WS} and axe-core {AXE} from npm into {}",
            folder.display()
        );
        run(Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(folder)
            .args([format!("ws@{WS}"), format!("axe-core@{AXE}")]))
        .context("npm could not install ws and axe-core; is this machine online? A mirror can be set with npm_config_registry")
    })?;
    Ok(folder.join("node_modules"))
}
