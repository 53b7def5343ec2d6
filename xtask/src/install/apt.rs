//! Debian packages. Services that come with them do not start by themselves.

use std::process::Command;

use anyhow::{Context, bail};

use super::Need;
use crate::shell::{output_of, run, which};

/// Read by `invoke-rc.d`: 101 means "do not start anything".
const POLICY: &str = "/usr/sbin/policy-rc.d";

pub(super) fn install(needs: &[Need]) -> anyhow::Result<()> {
    let packages: Vec<&str> = needs
        .iter()
        .flat_map(|need| need.packages)
        .copied()
        .collect();
    if packages.is_empty() {
        return Ok(());
    }
    let by_hand = format!("install them by hand: {}", packages.join(" "));
    if which("apt-get").is_none() {
        bail!("the tests need programs, and there is no apt-get here; {by_hand}");
    }
    eprintln!("installing {} with apt-get", packages.join(", "));
    let quiet = QuietServices::begin().with_context(|| by_hand.clone())?;
    let installed = apt_get(&packages);
    quiet.end()?;
    installed.with_context(|| {
        format!("apt-get could not install them (is this machine online?); {by_hand}")
    })?;
    let missing: Vec<&str> = needs
        .iter()
        .filter(|need| !(need.present)())
        .flat_map(|need| need.packages)
        .copied()
        .collect();
    if !missing.is_empty() {
        bail!(
            "apt-get installed {}, but their programs are not on the search path ({})",
            missing.join(", "),
            std::env::var("PATH").unwrap_or_default()
        );
    }
    Ok(())
}

fn apt_get(packages: &[&str]) -> anyhow::Result<()> {
    run(as_root("apt-get")?.args(["-o", "Acquire::Retries=3", "-qq", "update"]))?;
    let mut install = as_root("apt-get")?;
    install.args(["-qq", "-y", "--no-install-recommends", "install"]);
    run(install.args(packages))
}

/// `program` with the rights to install, by sudo if they are not ours.
fn as_root(program: &str) -> anyhow::Result<Command> {
    let mut command = if output_of(Command::new("id").arg("-u")).as_deref() == Some("0") {
        let mut env = Command::new("env");
        env.arg("DEBIAN_FRONTEND=noninteractive");
        env
    } else if which("sudo").is_some() {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive"]);
        sudo
    } else {
        bail!("installing needs root: run this as root once, or install sudo");
    };
    command.arg(program);
    Ok(command)
}

/// While this is held, installed services stay stopped.
#[derive(Debug)]
struct QuietServices {
    ours: bool,
}

impl QuietServices {
    fn begin() -> anyhow::Result<Self> {
        if std::path::Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        let write = format!("printf '#!/bin/sh\\nexit 101\\n' > {POLICY} && chmod 755 {POLICY}");
        run(as_root("sh")?.args(["-c", &write]))?;
        Ok(Self { ours: true })
    }

    fn end(self) -> anyhow::Result<()> {
        if self.ours {
            run(as_root("rm")?.args(["-f", POLICY]))?;
        }
        Ok(())
    }
}
