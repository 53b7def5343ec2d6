//! `cargo xtask deny`: licences, sources and banned crates, for the workspace and the fuzz targets.

use std::process::Command;

use crate::install::cargo_tool::CARGO_DENY;
use crate::shell::{repository, run};

/// Advisories are left out: their database is not a crate, so it cannot be had everywhere.
const CHECKS: [&str; 4] = ["check", "bans", "licenses", "sources"];

pub(crate) fn check() -> anyhow::Result<()> {
    let program = CARGO_DENY.provide()?;
    let root = repository();
    run(Command::new(&program)
        .current_dir(&root)
        .args(["--workspace", "--all-features"])
        .args(CHECKS))?;
    let fuzz = root.join("fuzz/Cargo.toml");
    if fuzz.exists() {
        let mut command = Command::new(&program);
        command.current_dir(&root).arg("--manifest-path").arg(fuzz);
        run(command.arg("--config").arg("deny.toml").args(CHECKS))?;
    }
    Ok(())
}
