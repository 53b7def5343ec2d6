use super::ignored::{Ignored, IgnoredBecause, Unsupported, did_you_mean};
use super::node::{At, Key, Node, NodeKind};
use super::{GitpodYml, GitpodYmlError, Problem};

/// More than this many problems or ignored keys help nobody.
const MAX_REPORTED: usize = 50;

/// Collects what is wrong and what is ignored while a document is read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    problems: Vec<Problem>,
    ignored: Vec<Ignored>,
}

impl Reader {
    pub(super) fn finish(mut self, mut file: GitpodYml) -> Result<GitpodYml, GitpodYmlError> {
        if self.problems.is_empty() {
            file.ignored = self.ignored;
            return Ok(file);
        }
        self.problems
            .sort_by_key(|problem| (problem.line, problem.column));
        Err(GitpodYmlError {
            problems: self.problems,
            ignored: self.ignored,
        })
    }

    pub(super) fn problem(
        &mut self,
        at: At,
        path: &str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        if self.problems.len() < MAX_REPORTED {
            self.problems.push(Problem {
                line: at.line,
                column: at.column,
                path: path.to_owned(),
                message: message.into(),
                fix: fix.into(),
            });
        }
    }

    /// Notes that `key`, which is none of `supported`, has no effect.
    pub(super) fn ignore(
        &mut self,
        unsupported: Unsupported,
        supported: &[&'static str],
        path: &str,
        key: &str,
        at: At,
    ) {
        if self.ignored.len() >= MAX_REPORTED {
            return;
        }
        let because = match unsupported.iter().find(|(name, _)| *name == key) {
            Some((_, why)) => IgnoredBecause::NotSupported(why),
            None => {
                let known = unsupported
                    .iter()
                    .map(|(name, _)| *name)
                    .chain(supported.iter().copied());
                IgnoredBecause::Unknown {
                    did_you_mean: did_you_mean(key, known),
                }
            }
        };
        self.ignored.push(Ignored {
            key: below(path, &clipped(key)),
            line: at.line,
            column: at.column,
            because,
        });
    }

    /// The entries of a map.
    pub(super) fn entries<'n>(
        &mut self,
        node: &'n Node,
        path: &str,
        what: &str,
    ) -> &'n [(Key, Node)] {
        match &node.kind {
            NodeKind::Map(entries) => entries,
            _ => {
                let message = format!(
                    "{what} must be a map of `key: value`, but is {}",
                    node.what()
                );
                self.problem(node.at, path, message, "write `key: value`, one per line");
                &[]
            }
        }
    }

    /// The items of a list; nothing is an empty list.
    pub(super) fn items<'n>(&mut self, node: &'n Node, path: &str, example: &str) -> &'n [Node] {
        match &node.kind {
            NodeKind::List(items) => items,
            NodeKind::Null => &[],
            _ => {
                self.problem(
                    node.at,
                    path,
                    format!("must be a list, but is {}", node.what()),
                    example,
                );
                &[]
            }
        }
    }

    /// A text; nothing and blank text are `None`. A number or boolean stands for what was written.
    pub(super) fn text(&mut self, node: &Node, path: &str) -> Option<String> {
        let text = match &node.kind {
            NodeKind::Null => return None,
            NodeKind::Text(text) => text.clone(),
            NodeKind::Int(value) => value.to_string(),
            NodeKind::Bool(value) => value.to_string(),
            NodeKind::Float(value) => value.to_string(),
            NodeKind::List(_) | NodeKind::Map(_) => {
                self.problem(
                    node.at,
                    path,
                    format!("must be text, but is {}", node.what()),
                    "write one text; `|` starts a text of several lines",
                );
                return None;
            }
        };
        if text.contains('\0') {
            self.problem(node.at, path, "contains a NUL character", "remove it");
            return None;
        }
        (!text.trim().is_empty()).then_some(text)
    }

    /// One of `choices`, by its name.
    pub(super) fn choice<T: Copy>(
        &mut self,
        node: &Node,
        path: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(node, path)?;
        let found = choices
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<String> = choices
                .iter()
                .map(|(name, _)| format!("`{name}`"))
                .collect();
            self.problem(
                node.at,
                path,
                format!("`{}` is not a value of this key", clipped(&text)),
                format!("use {}", names.join(" or ")),
            );
        }
        found
    }
}

/// `path.key`.
pub(super) fn below(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// A text of the file that is short enough for a message.
pub(super) fn clipped(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(60)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(60).is_some() {
        short.push('…');
    }
    short
}
