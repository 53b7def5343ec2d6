use std::fmt;

/// Something that a `.gitpod.yml` says and that has no effect here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ignored {
    /// The key with its place, e.g. `tasks[0].openMode`.
    pub key: String,
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// Why it has no effect.
    pub because: IgnoredBecause,
}

/// Why a key has no effect. Prints as a sentence for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IgnoredBecause {
    /// The key is documented, but there is nothing here that it could act on; the text says what and what to do.
    NotSupported(&'static str),
    /// The key is not documented.
    Unknown {
        /// The documented key that looks most like it.
        did_you_mean: Option<&'static str>,
    },
}

impl fmt::Display for IgnoredBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSupported(why) => f.write_str(why),
            Self::Unknown {
                did_you_mean: Some(key),
            } => write!(f, "unknown key; did you mean `{key}`?"),
            Self::Unknown { did_you_mean: None } => f.write_str("unknown key; remove it"),
        }
    }
}

/// Documented keys without effect, each with the reason.
pub(super) type Unsupported = &'static [(&'static str, &'static str)];

pub(super) const TOP_LEVEL: Unsupported = &[
    (
        "image",
        "there is no container: install what the repository needs on this machine",
    ),
    (
        "checkoutLocation",
        "the repository is always checked out at the workspace's content directory",
    ),
    (
        "workspaceLocation",
        "the workspace always opens its content directory",
    ),
    (
        "additionalRepositories",
        "only one repository is cloned: clone others in a task's `init`",
    ),
    (
        "mainConfiguration",
        "only the configuration of this repository is read",
    ),
    (
        "gitConfig",
        "the git configuration of this machine is used: run `git config` in a task's `before`",
    ),
    ("github", "there are no prebuilds"),
    (
        "vscode",
        "extensions are not installed: install them in the editor",
    ),
    ("jetbrains", "there is no JetBrains backend"),
    (
        "coreDump",
        "core dumps follow the limits of this machine: use `ulimit -c` in a task's `before`",
    ),
    ("env", "set variables per task, in `tasks[].env`"),
    ("ideCredentials", "the editor has no credentials of its own"),
    (
        "experimentalNetwork",
        "the workspace uses the network of this machine",
    ),
];

pub(super) const TASK: Unsupported = &[
    (
        "openMode",
        "there are no terminal tabs to arrange: the output is on the workspace's page",
    ),
    (
        "openIn",
        "there are no terminal tabs to arrange: the output is on the workspace's page",
    ),
    ("prebuild", "there are no prebuilds: use `init`"),
];

/// The one of `known` that `key` most likely means: at most two edits away, and fewer than half of its letters.
pub(super) fn did_you_mean(
    key: &str,
    known: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    if key.len() > 40 {
        return None;
    }
    let key = key.to_lowercase().replace(['-', '_'], "");
    known
        .map(|candidate| (edits(&key, &candidate.to_lowercase()), candidate))
        .filter(|(edits, candidate)| *edits <= 2 && edits * 2 < candidate.len())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, delete or replace to get from `a` to `b`.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(row.first_mut().unwrap_or(&mut 0), i + 1);
        let mut before = i + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(b.chars()) {
            let here = (diagonal + usize::from(left != right))
                .min(before + 1)
                .min(*cell + 1);
            diagonal = std::mem::replace(cell, here);
            before = here;
        }
    }
    row.last().copied().unwrap_or(0)
}
