use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Budget, Location, Options, Spanned};

use super::read::clipped;
use super::{GitpodYmlError, Problem};

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

/// The first line that a tab indents. In a broken file it is the most likely cause, and what the YAML parser says of it does
/// not help anybody.
fn tab_indent(text: &str) -> Option<At> {
    let index = text.lines().position(|line| {
        let rest = line.trim_start_matches('\t');
        rest.len() < line.len() && !rest.trim().is_empty() && !rest.trim_start().starts_with('#')
    })?;
    Some(At {
        line: index as u64 + 1,
        column: 1,
    })
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

fn broken(text: &str, error: &serde_saphyr::Error) -> GitpodYmlError {
    if let Some(at) = tab_indent(text) {
        return problem(
            at,
            "a tab indents this line; YAML only allows spaces",
            "replace each tab by two spaces",
        )
        .into();
    }
    let at = error.location().map_or(At { line: 1, column: 1 }, At::from);
    let text = error.render();
    let first = text.lines().next().unwrap_or_default();
    let (message, fix) = explain(first);
    problem(at, &message, fix).into()
}

/// The parser's message without its place, and what to do about it. Unknown messages pass through as they are.
fn explain(raw: &str) -> (String, &'static str) {
    let message = raw.split(" at line ").next().unwrap_or(raw);
    if let Some(key) = message.strip_prefix("duplicate mapping key: ") {
        let key = key.split(", set ").next().unwrap_or(key);
        return (
            format!("the key `{}` stands here for the second time", clipped(key)),
            "keep one of the two",
        );
    }
    let known = EXPLAINED.iter().find(|(part, _, _)| message.contains(part));
    known.map_or_else(
        || {
            (
                message.to_owned(),
                "check the indentation, the quotes and the colons around this place",
            )
        },
        |(_, text, fix)| {
            (
                (if text.is_empty() { message } else { text }).to_owned(),
                *fix,
            )
        },
    )
}

/// Part of the parser's message, our words for it (none: the parser's), the fix.
const EXPLAINED: &[(&str, &str, &str)] = &[
    (
        "Documents {",
        "a second document starts here",
        "keep one document: remove what follows `---`",
    ),
    (
        "unknown anchor",
        "the alias `*…` has no anchor",
        "define it before with `&name`, or put the text in quotes",
    ),
    (
        "recursion limit",
        "nested too deep",
        "write the file with less nesting",
    ),
    (
        "budget breached",
        "too many values, or aliases that expand to too many",
        "make the file smaller, with fewer aliases",
    ),
    (
        "mapping values are not allowed",
        "a second `: ` in one line",
        "put the text in quotes, or start it with `|` on its own line",
    ),
    ("unclosed quote", "", "close the quote"),
    ("unclosed bracket", "", "close the bracket"),
];

fn problem(at: At, message: &str, fix: &str) -> Problem {
    Problem {
        line: at.line,
        column: at.column,
        path: String::new(),
        message: message.to_owned(),
        fix: fix.to_owned(),
    }
}

impl<'de> Deserialize<'de> for NodeKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = NodeKind;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<NodeKind, E> {
        Ok(NodeKind::Null)
    }

    fn visit_none<E>(self) -> Result<NodeKind, E> {
        Ok(NodeKind::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<NodeKind, E> {
        Ok(NodeKind::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<NodeKind, E> {
        Ok(NodeKind::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<NodeKind, E> {
        Ok(NodeKind::Int(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<NodeKind, E> {
        Ok(NodeKind::Int(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<NodeKind, E> {
        Ok(NodeKind::Int(value.try_into().unwrap_or(i128::MAX)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<NodeKind, E> {
        Ok(NodeKind::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<NodeKind, E> {
        Ok(NodeKind::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<NodeKind, E> {
        Ok(NodeKind::Text(value))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<NodeKind, E> {
        Ok(NodeKind::Text(String::from_utf8_lossy(value).into_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<NodeKind, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = access.next_element::<Spanned<NodeKind>>()? {
            list.push(item.into());
        }
        Ok(NodeKind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<NodeKind, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = access.next_key::<Spanned<NodeKind>>()? {
            let value = access.next_value::<Spanned<NodeKind>>()?;
            map.push((Key::from(Node::from(key)), value.into()));
        }
        Ok(NodeKind::Map(map))
    }
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
