use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use gitpod_lifecycle::gitpod_yml::{GitpodYml, OnOpen, Port};
use gitpod_lifecycle::process::listeners::{Socket, SocketState, tcp_sockets};
use gitpod_lifecycle::process::tree::{ProcessId, ProcessTable};
use gitpod_routing::{Protocol, Visibility};
use serde::Serialize;
use tokio::time::sleep;

use crate::config::Config;
use crate::ide::IdeState;
use crate::workspace::Workspace;

/// A port of the workspace, as the status endpoint says it (names of the public API).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PortStatus {
    pub(crate) local_port: u16,
    /// Whether a process of this workspace listens.
    pub(crate) served: bool,
    /// Where it is reachable from outside; a port that nobody serves answers 404 there.
    pub(crate) exposed: Option<Exposed>,
    pub(crate) auto_exposure: &'static str,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) on_open: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Exposed {
    pub(crate) visibility: &'static str,
    pub(crate) protocol: &'static str,
    pub(crate) url: String,
}

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Just after a start, when the user waits for a server to come up.
const LOOK_EVERY_AT_FIRST: Duration = Duration::from_millis(200);
const AT_FIRST: u32 = 50;
/// Looks that may pass before processes are looked at although no socket has come or gone: a socket may also change hands.
const TRUST_FOR: u32 = 10;

/// Publishes the workspace's ports as they come and go. Only looks while the workspace has processes.
pub(crate) async fn watch(workspace: Arc<Workspace>) {
    let mut looks: u32 = 0;
    let mut trusted = None;
    loop {
        let sockets = listeners();
        let key = (sockets.clone(), workspace.ide_state.borrow().clone());
        if trusted.as_ref() != Some(&key) || looks.is_multiple_of(TRUST_FOR) {
            trusted = Some(key);
            let Some(served) = served_by(&workspace, &sockets) else {
                publish(&workspace, &[]);
                workspace.children.started().await;
                (looks, trusted) = (0, None);
                continue;
            };
            publish(&workspace, &served);
        }
        looks = looks.saturating_add(1);
        sleep(if looks < AT_FIRST {
            LOOK_EVERY_AT_FIRST
        } else {
            LOOK_EVERY
        })
        .await;
    }
}

fn publish(workspace: &Workspace, served: &[u16]) {
    let ports = merge(&workspace.config, workspace.file.read(), served);
    workspace.ports.send_if_modified(|known| {
        let changed = *known != ports;
        *known = ports;
        changed
    });
}

fn listeners() -> Vec<Socket> {
    tcp_sockets()
        .into_iter()
        .filter(|socket| socket.state == SocketState::Listening)
        .collect()
}

/// The ports of `sockets` that processes of this workspace serve; `None` if it has no processes.
fn served_by(workspace: &Workspace, sockets: &[Socket]) -> Option<Vec<u16>> {
    let table = ProcessTable::read();
    let processes = table.descendants(ProcessId::of(std::process::id())?);
    if processes.is_empty() {
        return None;
    }
    let editor = workspace.ide.as_ref().and_then(|ide| ide.process());
    let of_editor =
        |process: &ProcessId| editor.is_some_and(|editor| table.is_within(*process, editor));
    let (editors, others): (Vec<_>, Vec<_>) = processes.into_iter().partition(of_editor);
    let editor_port = match *workspace.ide_state.borrow() {
        IdeState::Ready { port, .. } => Some(port),
        _ => None,
    };
    let internal = ephemeral_ports();
    let mut served: Vec<u16> = listening(&others, sockets).collect();
    // An editor and its language kernels talk over random loopback ports that nobody wants to see; a server that the user
    // starts in the editor's terminal is shown, as it listens on a port that somebody chose.
    served.extend(
        listening(&editors, sockets)
            .filter(|port| Some(*port) != editor_port && !internal.contains(port)),
    );
    served.sort_unstable();
    served.dedup();
    Some(served)
}

fn listening<'s>(
    processes: &[ProcessId],
    sockets: &'s [Socket],
) -> impl Iterator<Item = u16> + use<'s> {
    let held: HashSet<u64> = processes
        .iter()
        .flat_map(|process| sockets_of(process.pid))
        .collect();
    sockets
        .iter()
        .filter(move |socket| held.contains(&socket.inode) && reachable(socket))
        .map(|socket| socket.local.port())
}

/// Whether a connection to loopback, which is how the proxy comes, ends at `socket`.
fn reachable(socket: &Socket) -> bool {
    let port = socket.local.port();
    let loopback = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    loopback
        .into_iter()
        .any(|address| socket.could_answer(SocketAddr::new(address, port)))
}

/// Inode numbers of the sockets that a process holds.
fn sockets_of(pid: u32) -> Vec<u64> {
    let held = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    held.filter_map(|entry| inode_of(fs::read_link(entry.path()).ok()?.to_str()?))
        .collect()
}

fn inode_of(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

/// Ports that the kernel gives to who asks for any.
fn ephemeral_ports() -> RangeInclusive<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text
        .split_ascii_whitespace()
        .filter_map(|number| number.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(first), Some(last)) => first..=last,
        _ => 32768..=60999,
    }
}

/// What is configured and what is served, as one list in the order of the numbers.
pub(crate) fn merge(config: &Config, file: Option<&GitpodYml>, served: &[u16]) -> Vec<PortStatus> {
    let configured = file
        .into_iter()
        .flat_map(|file| &file.ports)
        .filter_map(|port| port.range.single());
    let numbers = configured
        .map(|number| (number, false))
        .chain(served.iter().map(|number| (*number, true)));
    let numbers: BTreeMap<u16, bool> = numbers.collect();
    let shown = numbers.into_iter().map(|(number, served)| {
        status(
            config,
            file.and_then(|file| file.port(number)),
            number,
            served,
        )
    });
    shown
        .filter(|port| port.on_open != OnOpen::IgnoreCompletely.as_str())
        .collect()
}

fn status(config: &Config, port: Option<&Port>, number: u16, served: bool) -> PortStatus {
    let visibility = match port.map(|port| port.visibility) {
        Some(Visibility::Public) => "public",
        _ => "private",
    };
    let protocol = match port.map(|port| port.protocol) {
        Some(Protocol::Https) => "https",
        _ => "http",
    };
    PortStatus {
        local_port: number,
        served,
        exposed: config.port_url(number).map(|url| Exposed {
            visibility,
            protocol,
            url,
        }),
        auto_exposure: if served { "succeeded" } else { "trying" },
        name: port.and_then(|port| port.name.clone()).unwrap_or_default(),
        description: port
            .and_then(|port| port.description.clone())
            .unwrap_or_default(),
        on_open: port.map_or(OnOpen::Notify, |port| port.on_open).as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_and_served_ports_are_one_list() {
        let config = r#"{"workspace_id":"w","instance_id":"i","content_dir":"/","logs_dir":"/l/i","socket":"/s","port_url_template":"http://{port}-w.x/"}"#;
        let config = Config::parse(config).unwrap();
        let file = gitpod_lifecycle::gitpod_yml::parse(
            "ports: [{port: 80, name: Web, visibility: public}, {port: 3000-3005, description: Dev}, {port: 22, onOpen: ignore-completely}]",
        );
        let ports = merge(&config, file.as_ref().ok(), &[22, 3001, 9000]);
        let seen: Vec<_> = ports
            .iter()
            .map(|port| {
                (
                    port.local_port,
                    port.served,
                    port.name.as_str(),
                    port.description.as_str(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (80, false, "Web", ""),
                (3001, true, "", "Dev"),
                (9000, true, "", "")
            ]
        );
        let exposed = ports[0].exposed.as_ref().unwrap();
        assert_eq!(
            (exposed.visibility, exposed.url.as_str()),
            ("public", "http://80-w.x/")
        );
        let json = serde_json::to_value(&ports[1]).unwrap();
        assert_eq!(
            (&json["localPort"], &json["autoExposure"], &json["onOpen"]),
            (&3001.into(), &"succeeded".into(), &"notify".into())
        );
    }

    #[test]
    fn only_links_to_sockets_have_an_inode() {
        assert_eq!(inode_of("socket:[42]"), Some(42));
        assert_eq!(inode_of("pipe:[42]"), None);
        assert_eq!(inode_of("socket:[x]"), None);
    }
}
