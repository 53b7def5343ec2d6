use std::fs;
use std::io::{self, Read};

use anyhow::{Context, Result, bail};
use gitpod_lifecycle::process::NETWORK_IS_UP;
use rustix::process::{getegid, geteuid};
use rustix::thread::UnshareFlags;

/// Moves this process into a network of its own, and waits until whoever started it has connected that.
///
/// A network belongs to a user namespace: without one only root could make it. In it this user is who they are outside, and
/// nobody else exists, which is why programs that change their user (`sudo`, `apt`) do not work there.
///
/// Must be called before a second thread is started. What is said on standard input is [`NETWORK_IS_UP`], or why it is not.
pub(crate) fn enter() -> Result<()> {
    make()?;
    let said = io::read_to_string(io::stdin().take(LONGEST_WORD));
    match said.context("cannot wait for the network")?.as_str() {
        NETWORK_IS_UP => Ok(()),
        "" => bail!("nobody has connected the workspace's network; start the workspace again"),
        why => bail!("the workspace has no network: {why}"),
    }
}

const LONGEST_WORD: u64 = 10_000;

/// Makes a network for as long as standard input is open.
pub(crate) fn probe() -> Result<()> {
    make()?;
    let mut nothing = [0];
    let _ = io::stdin().read(&mut nothing);
    Ok(())
}

fn make() -> Result<()> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    unshare().context("a user and a network namespace are refused")?;
    // Somebody who could drop groups could get at what is closed to one of them.
    write("setgroups", "deny")?;
    write("gid_map", &format!("{group} {group} 1"))?;
    // Last: whoever waits outside takes it for the end of this.
    write("uid_map", &format!("{user} {user} 1"))
}

#[expect(
    deprecated,
    reason = "what replaces it is unsafe, for a flag that is not used here"
)]
fn unshare() -> rustix::io::Result<()> {
    rustix::thread::unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET)
}

fn write(name: &str, text: &str) -> Result<()> {
    fs::write(format!("/proc/self/{name}"), text)
        .with_context(|| format!("the user namespace is refused an identity ({name})"))
}
