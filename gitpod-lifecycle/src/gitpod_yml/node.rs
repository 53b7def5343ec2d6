use serde_saphyr::{Budget, Location, Options, Spanned};

use super::GitpodYmlError;
use super::broken::broken;

/// A place in the text, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct At {
    pub(super) line: u64,
    pub(super) column: u64,
}

impl From<Location> for At {
    fn from(location: Location) -> Self {
        Self {
            line: location.line().max(1),
            column: location.column().max(1),
        }
    }
}

/// A YAML value that knows where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    pub(super) at: At,
}

#[derive(Debug)]
pub(super) enum NodeKind {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map; keys that are not text are written as text.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) at: At,
}

/// A real file nests four levels.
const MAX_DEPTH: usize = 24;
/// A real file has a few hundred values. Aliases are counted as often as they are used.
const MAX_NODES: usize = 100_000;

impl Node {
    /// Reads one document; an empty text is null.
    pub(super) fn load(text: &str) -> Result<Self, GitpodYmlError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let loaded: Option<Spanned<NodeKind>> =
            serde_saphyr::from_str_with_options(text, options())
                .map_err(|error| broken(text, &error))?;
        Ok(loaded.map_or(
            Self {
                kind: NodeKind::Null,
                at: At { line: 1, column: 1 },
            },
            Self::from,
        ))
    }

    /// What kind of value it is, for a sentence.
    pub(super) const fn what(&self) -> &'static str {
        match self.kind {
            NodeKind::Null => "nothing",
            NodeKind::Bool(_) => "a boolean",
            NodeKind::Int(_) => "a number",
            NodeKind::Float(_) => "a number with a fraction",
            NodeKind::Text(_) => "text",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "a map",
        }
    }
}

impl From<Spanned<NodeKind>> for Node {
    fn from(spanned: Spanned<NodeKind>) -> Self {
        Self {
            kind: spanned.value,
            at: spanned.referenced.into(),
        }
    }
}

fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_depth = MAX_DEPTH;
    budget.flow_nesting_limit = MAX_DEPTH;
    budget.max_nodes = MAX_NODES;
    budget.max_events = 3 * MAX_NODES;
    budget.max_documents = 1;
    budget.max_total_scalar_bytes = 4 * super::MAX_BYTES;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.strict_booleans = true;
    options.with_snippet = false;
    options
}

impl From<Node> for Key {
    fn from(node: Node) -> Self {
        let at = node.at;
        let text = match node.kind {
            NodeKind::Text(text) => text,
            NodeKind::Bool(value) => value.to_string(),
            NodeKind::Int(value) => value.to_string(),
            NodeKind::Float(value) => value.to_string(),
            NodeKind::Null => "null".to_owned(),
            NodeKind::List(_) | NodeKind::Map(_) => "?".to_owned(),
        };
        Self { text, at }
    }
}
