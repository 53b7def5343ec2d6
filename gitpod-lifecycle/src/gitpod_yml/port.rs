use gitpod_routing::{Protocol, Visibility};

use super::node::{At, Node, NodeKind};
use super::range::{PortRange, PortRangeError};
use super::read::{Reader, below, clipped};

/// A port, or a range of ports, that the workspace serves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Port {
    /// Which ports.
    pub range: PortRange,
    /// Who may reach them.
    pub visibility: Visibility,
    /// What the server speaks.
    pub protocol: Protocol,
    /// What to call it.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What an editor should do when a server starts to listen.
    pub on_open: OnOpen,
}

/// What an editor should do when a server starts to listen; nothing here acts on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnOpen {
    /// Ask the user.
    #[default]
    Notify,
    /// Open a browser tab.
    OpenBrowser,
    /// Open a preview beside the code.
    OpenPreview,
    /// Nothing.
    Ignore,
    /// Nothing, and do not list the port.
    IgnoreCompletely,
}

const KEYS: &[&str] = &[
    "port",
    "visibility",
    "protocol",
    "name",
    "description",
    "onOpen",
];
const MAX_ENTRIES: usize = 1000;
const VISIBILITIES: &[(&str, Visibility)] = &[
    ("private", Visibility::Private),
    ("public", Visibility::Public),
];
const PROTOCOLS: &[(&str, Protocol)] = &[("http", Protocol::Http), ("https", Protocol::Https)];
const ON_OPEN: &[(&str, OnOpen)] = &[
    ("notify", OnOpen::Notify),
    ("open-browser", OnOpen::OpenBrowser),
    ("open-preview", OnOpen::OpenPreview),
    ("ignore", OnOpen::Ignore),
    ("ignore-completely", OnOpen::IgnoreCompletely),
];
const ON_OPEN_IGNORED: super::ignored::Unsupported = &[(
    "onOpen",
    "nothing opens by itself: the workspace's page links every port",
)];

impl OnOpen {
    /// The name in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        ON_OPEN
            .iter()
            .find(|(_, value)| *value == self)
            .map_or("notify", |(name, _)| name)
    }
}

pub(super) fn read_all(node: &Node, reader: &mut Reader) -> Vec<Port> {
    let items = reader.items(node, "ports", "write `ports:` and below it `- port: 3000`");
    if items.len() > MAX_ENTRIES {
        reader.problem(
            node.at,
            "ports",
            format!("{} entries are more than {MAX_ENTRIES}", items.len()),
            "use ranges like 3000-3999",
        );
    }
    let mut ports: Vec<Port> = Vec::new();
    for (index, item) in items.iter().take(MAX_ENTRIES).enumerate() {
        let path = format!("ports[{index}]");
        let Some((port, at)) = read(item, &path, reader) else {
            continue;
        };
        match ports.iter().find(|other| other.range.overlaps(port.range)) {
            Some(other) => reader.problem(
                at,
                &below(&path, "port"),
                overlap(port.range, other.range),
                "give every port one entry",
            ),
            None => ports.push(port),
        }
    }
    ports
}

fn overlap(range: PortRange, other: PortRange) -> String {
    if range == other {
        format!("{range} has an entry already")
    } else {
        format!("{range} overlaps the entry {other}")
    }
}

fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<(Port, At)> {
    let entries = reader.entries(node, path, "a port");
    if matches!(node.kind, NodeKind::Map(_)) && !entries.iter().any(|(key, _)| key.text == "port") {
        reader.problem(node.at, path, "has no `port`", "write `- port: 3000`");
    }
    let mut range = None;
    let (mut visibility, mut protocol, mut on_open) =
        (Visibility::Private, Protocol::Http, OnOpen::Notify);
    let (mut name, mut description) = (None, None);
    for (key, value) in entries {
        let here = below(path, &key.text);
        match key.text.as_str() {
            "port" => range = read_range(value, &here, reader).map(|range| (range, value.at)),
            "visibility" => {
                visibility = reader
                    .choice(value, &here, VISIBILITIES)
                    .unwrap_or(visibility)
            }
            "protocol" => protocol = reader.choice(value, &here, PROTOCOLS).unwrap_or(protocol),
            "name" => name = reader.text(value, &here),
            "description" => description = reader.text(value, &here),
            "onOpen" => {
                on_open = reader.choice(value, &here, ON_OPEN).unwrap_or(on_open);
                if matches!(on_open, OnOpen::OpenBrowser | OnOpen::OpenPreview) {
                    reader.ignore(ON_OPEN_IGNORED, KEYS, path, "onOpen", key.at);
                }
            }
            other => reader.ignore(&[], KEYS, path, other, key.at),
        }
    }
    let (range, at) = range?;
    Some((
        Port {
            range,
            visibility,
            protocol,
            name,
            description,
            on_open,
        },
        at,
    ))
}

fn read_range(node: &Node, path: &str, reader: &mut Reader) -> Option<PortRange> {
    let text = match &node.kind {
        NodeKind::Text(text) => text.clone(),
        NodeKind::Int(number) => number.to_string(),
        _ => {
            reader.problem(
                node.at,
                path,
                format!("must be a port, but is {}", node.what()),
                "write a number like 3000 or a range like 3000-3010",
            );
            return None;
        }
    };
    match text.trim().trim_start_matches('-').len() {
        // A negative number is out of range, not a range without a start.
        length if length < text.trim().len() => {
            reader.problem(
                node.at,
                path,
                format!("{} is not a port: ports are 1 to 65535", clipped(&text)),
                "write a number like 3000",
            );
            None
        }
        _ => text
            .parse()
            .map_err(|error: PortRangeError| {
                reader.problem(node.at, path, error.to_string(), error.fix())
            })
            .ok(),
    }
}
