use std::fmt;
use std::str::FromStr;

use gitpod_routing::{Protocol, Visibility};

use super::node::{At, Node, NodeKind};
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

/// Ports `first..=last`, never 0 and never empty. Prints as `3000` or `3000-3009`, and reads what it prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Ports `first..=last`; `None` for port 0 and for a range that is the wrong way round.
    #[must_use]
    pub const fn new(first: u16, last: u16) -> Option<Self> {
        if first == 0 || first > last {
            None
        } else {
            Some(Self { first, last })
        }
    }

    /// The lowest port.
    #[must_use]
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    #[must_use]
    pub const fn last(self) -> u16 {
        self.last
    }

    /// The port, if it is only one.
    #[must_use]
    pub const fn single(self) -> Option<u16> {
        if self.first == self.last {
            Some(self.first)
        } else {
            None
        }
    }

    /// Whether `number` is one of them.
    #[must_use]
    pub const fn contains(self, number: u16) -> bool {
        self.first <= number && number <= self.last
    }

    const fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.single() {
            Some(port) => write!(f, "{port}"),
            None => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let (first, last) = text.split_once(['-', ':']).unwrap_or((text, text));
        let (first, last) = (number(first)?, number(last)?);
        Self::new(first, last).ok_or(PortRangeError::Reversed { first, last })
    }
}

fn number(text: &str) -> Result<u16, PortRangeError> {
    let digits = text.trim();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PortRangeError::NotANumber(clipped(digits)));
    }
    match digits.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(PortRangeError::OutOfRange(clipped(digits))),
    }
}

/// A text that is no [`PortRange`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PortRangeError {
    /// Port 0 or above 65535.
    #[error("{0} is not a port: ports are 1 to 65535")]
    OutOfRange(String),
    /// The first port is above the last.
    #[error("the range {first}-{last} is the wrong way round")]
    Reversed {
        /// What stands before the dash.
        first: u16,
        /// What stands after the dash.
        last: u16,
    },
    /// Neither a number nor a range.
    #[error("`{0}` is not a port number")]
    NotANumber(String),
}

impl PortRangeError {
    fn fix(&self) -> String {
        match self {
            Self::Reversed { first, last } => format!("write {last}-{first}"),
            _ => "write a number like 3000 or a range like 3000-3010".to_owned(),
        }
    }
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
