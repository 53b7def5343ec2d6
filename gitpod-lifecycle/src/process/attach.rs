//! Connecting the network of a workspace to the world.
//!
//! ```text
//! supervisor  unshare(user, network) ─► waits on its standard input ─────────────► tasks
//! this        waits for the namespaces ─► pasta attaches itself ─► writes GO ──────┘
//! ```
//!
//! `pasta` carries packets between a device in the namespace and ordinary sockets of
//! this user: no privilege is needed. It goes on by itself, also when this process
//! is killed, and does not end with the namespace. So each instance has a link by which
//! it finds that: whoever is started with the link is ended with it, be it by this
//! process or the next one. It also ends by itself when the link is deleted.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::time::Duration;
use std::{env, fs};

use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::network::NoOwnNetwork;
use super::pidfd::signal;
use super::private_file::{make_dir, remove};
use super::settings::ProcessSettings;
use super::tree::{ProcessId, ProcessTable};

/// What a supervisor that waits for its network reads as soon as that is connected.
/// Anything else is why it never will be; nothing means that nobody is left to do it.
pub const NETWORK_IS_UP: &str = "up\n";

/// Whether workspaces could have networks of their own: tries it with one.
pub(crate) async fn probe(settings: &ProcessSettings) -> Result<(), NoOwnNetwork> {
    if name_server_is_on_loopback(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default()) {
        return Err(NoOwnNetwork::NameServerOnLoopback);
    }
    if !is_installed(PASTA) {
        return Err(NoOwnNetwork::NoPasta);
    }
    timeout(PROBE_WITHIN, probe_with_supervisor(settings))
        .await
        .unwrap_or(Err(NoOwnNetwork::TimedOut))
}

/// Far more than the tenth of a second that it takes.
const PROBE_WITHIN: Duration = Duration::from_secs(2);

async fn probe_with_supervisor(settings: &ProcessSettings) -> Result<(), NoOwnNetwork> {
    let refused = |why: std::io::Error| NoOwnNetwork::NoNamespace(why.to_string());
    let mut words = settings.supervisor.iter();
    let mut child = Command::new(words.next().map_or_else(Default::default, Clone::clone))
        .args(words)
        .arg("--probe-network")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(refused)?;
    let link = link_in(settings.layout.root());
    let attached = match child.id().and_then(ProcessId::of) {
        Some(process) => attach(process, &link).await,
        None => Err(NoOwnNetwork::NoNamespace(String::new())),
    };
    detach(&link);
    drop(child.stdin.take());
    if let Err(NoOwnNetwork::NoNamespace(_)) = attached {
        let mut said = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            let _ = stderr.read_to_string(&mut said).await;
        }
        return Err(NoOwnNetwork::NoNamespace(said));
    }
    attached
}

/// Connects the network of a supervisor that waits for it behind `gate`, and lets it go
/// on. It stays connected until `link` is [removed](detach). Answers whether it was let in.
pub(crate) async fn open(process: ProcessId, mut gate: ChildStdin, link: PathBuf) -> bool {
    let attached = attach(process, &link).await;
    if !process.is_alive() {
        // Its end may have been seen before `pasta` was there to be ended.
        let _ = link.parent().map(make_dir);
        detach(&link);
    }
    let word = match &attached {
        Ok(()) => NETWORK_IS_UP.to_owned(),
        Err(why) => {
            warn!(pid = process.pid, %why, "workspace gets no network");
            why.to_string()
        }
    };
    // A few bytes always fit into a pipe; who does not read them has ended.
    let written = gate.write_all(word.as_bytes());
    if let Err(why) = &written {
        debug!(pid = process.pid, %why, "supervisor did not wait for its network");
    }
    attached.is_ok() && written.is_ok()
}

/// The link by which the network of the instance in `dir` is found.
pub(crate) fn link_in(dir: &Path) -> PathBuf {
    // In a directory of its own: `pasta` may miss one of several deletions at once.
    dir.join("network").join("namespace")
}

/// Ends whatever connects the network that `link` stands for.
pub(crate) fn detach(link: &Path) {
    let Some(dir) = link.parent().filter(|dir| dir.exists()) else {
        return; // it never had one
    };
    let connecting = ProcessTable::read();
    let connecting = connecting.iter().filter(|it| it.has_argument(link));
    for process in connecting {
        if let Err(why) = signal(process, Signal::TERM) {
            warn!(pid = process.pid, %why, "network of a workspace stays connected");
        }
    }
    if let Err(why) = remove(link).and_then(|()| fs::remove_dir(dir)) {
        warn!(link = %link.display(), %why, "link to a network cannot be removed");
    }
    // The last one out: its instance may have been forgotten meanwhile.
    let _ = dir.parent().map(fs::remove_dir); // not if anything else is there
}

async fn attach(process: ProcessId, link: &Path) -> Result<(), NoOwnNetwork> {
    until_in_namespaces(process).await?;
    let refused = |why: std::io::Error| NoOwnNetwork::NotAttached(why.to_string());
    let namespace = |name| format!("/proc/{}/ns/{name}", process.pid);
    link.parent()
        .map_or(Ok(()), make_dir)
        .and_then(|()| remove(link))
        .and_then(|()| symlink(namespace("net"), link))
        .map_err(refused)?;
    let mut command = Command::new(PASTA);
    if rustix::process::geteuid().is_root() {
        command.args(["--runas", "0"]); // else it becomes `nobody`, who may not enter
    }
    let child = command
        .args(PASTA_ARGUMENTS)
        .args(["--userns", &namespace("user"), "--netns"])
        .arg(link)
        .env_clear()
        .envs(env::var_os("PATH").map(|path| ("PATH", path)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(refused)?;
    // It leaves its standard error, and its first process ends, once everything is set up.
    let output = timeout(ATTACH_WITHIN, child.wait_with_output());
    let output = output.await.map_err(|_| NoOwnNetwork::TimedOut)?;
    let output = output.map_err(refused)?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            // The last line is what ended it.
            let last = said.trim().lines().last().unwrap_or_default();
            Err(NoOwnNetwork::NotAttached(last.to_owned()))
        }
    }
}

const PASTA: &str = "pasta";

/// Addresses, routes and loopback are set up; the machine's loopback is not reached
/// by way of the gateway's address; no port is carried over in either direction.
const PASTA_ARGUMENTS: [&str; 11] = [
    "--config-net",
    "--no-map-gw",
    "-t",
    "none",
    "-u",
    "none",
    "-T",
    "none",
    "-U",
    "none",
    "--quiet",
];
const ATTACH_WITHIN: Duration = Duration::from_secs(5);

/// Waits until `process` is in namespaces of its own and has an identity there.
/// Before that `pasta` would set up the machine's network, or refuse.
async fn until_in_namespaces(process: ProcessId) -> Result<(), NoOwnNetwork> {
    let end = Instant::now() + ATTACH_WITHIN;
    while !is_in_namespaces(process.pid) {
        if !process.is_alive() {
            return Err(NoOwnNetwork::NoNamespace(String::new()));
        }
        if Instant::now() >= end {
            return Err(NoOwnNetwork::TimedOut);
        }
        sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

fn is_in_namespaces(pid: u32) -> bool {
    let differs = |name| {
        let own = fs::read_link(format!("/proc/self/ns/{name}")).ok();
        let its = fs::read_link(format!("/proc/{pid}/ns/{name}")).ok();
        own.is_some() && its.is_some() && own != its
    };
    // The identity is written last, and empty until then.
    let has_identity = || {
        let map = fs::read_to_string(format!("/proc/{pid}/uid_map"));
        map.is_ok_and(|map| !map.trim().is_empty())
    };
    differs("user") && differs("net") && has_identity()
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| is_file(&dir.join(program)))
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file())
}

/// Whether all name servers of `resolv_conf` are on loopback, as systemd-resolved's is.
/// None at all means the same (resolv.conf(5)).
fn name_server_is_on_loopback(resolv_conf: &str) -> bool {
    let mut servers = resolv_conf.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next()? == "nameserver").then(|| words.next())?
    });
    servers.all(|server| {
        let address = server.split('%').next().unwrap_or(server);
        address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_on_loopback_are_seen() {
        for (text, expected) in [
            ("", true),
            ("nameserver 127.0.0.53\noptions edns0\n", true),
            ("nameserver ::1\n", true),
            ("# nameserver 9.9.9.9\n", true),
            ("nameserver 127.0.0.53\nnameserver 192.0.2.1\n", false),
            ("search x\nnameserver\tfe80::1%eth0\n", false),
        ] {
            assert_eq!(name_server_is_on_loopback(text), expected, "{text:?}");
        }
    }

    #[test]
    fn this_process_is_in_no_namespace_of_its_own() {
        assert!(!is_in_namespaces(std::process::id()));
    }
}
