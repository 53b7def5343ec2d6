//! `.gitpod.yml`: which tasks a workspace runs and which ports it serves.
//!
//! [`parse`] is total: it answers every text with a [`GitpodYml`] or with *all* that is wrong with it, each with line, column and
//! a fix. Nothing is dropped in silence: what is valid but has no effect here is in [`GitpodYml::ignored`].
//!
//! ```
//! let file = gitpod_lifecycle::gitpod_yml::parse("tasks: [{command: make serve}]\nports: [{port: 3000-3009}]\nimage: x\n")?;
//! assert_eq!(file.tasks.first().and_then(|task| task.command.as_deref()), Some("make serve"));
//! assert!(file.port(3005).is_some());
//! assert_eq!(file.ignored.first().map(|it| it.key.as_str()), Some("image"));
//! # Ok::<(), gitpod_lifecycle::gitpod_yml::GitpodYmlError>(())
//! ```
//!
//! Source: the public reference of the file format (`.gitpod.yml` reference, tasks, ports).

mod broken;
mod error;
mod ignored;
mod node;
mod port;
mod range;
mod read;
mod task;
#[cfg(test)]
mod tests;
mod visit;

pub use error::{GitpodYmlError, Problem};
pub use ignored::{Ignored, IgnoredBecause};
pub use port::{OnOpen, Port};
pub use range::{PortRange, PortRangeError};
pub use task::Task;

use node::{Node, NodeKind};
use read::Reader;

/// Longest text that [`parse`] looks at, in bytes: far above any real file, and small enough to parse in an instant.
pub const MAX_BYTES: usize = 1024 * 1024;

/// What a `.gitpod.yml` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GitpodYml {
    /// Tasks, in the order of the file. They run side by side.
    pub tasks: Vec<Task>,
    /// Ports and port ranges, in the order of the file; no two overlap.
    pub ports: Vec<Port>,
    /// What the file says and nobody here acts on.
    pub ignored: Vec<Ignored>,
}

impl GitpodYml {
    /// The entry that covers port `number`.
    #[must_use]
    pub fn port(&self, number: u16) -> Option<&Port> {
        self.ports.iter().find(|port| port.range.contains(number))
    }
}

/// Reads the text of a `.gitpod.yml`. An empty text is an empty file.
///
/// # Errors
///
/// Everything that is wrong, up to a bound: see [`GitpodYmlError::problems`].
pub fn parse(text: &str) -> Result<GitpodYml, GitpodYmlError> {
    if text.len() > MAX_BYTES {
        return Err(Problem::too_long(text.len()).into());
    }
    let root = Node::load(text)?;
    let mut reader = Reader::default();
    let file = read_file(&root, &mut reader);
    reader.finish(file)
}

fn read_file(root: &Node, reader: &mut Reader) -> GitpodYml {
    let mut file = GitpodYml::default();
    if matches!(root.kind, NodeKind::Null) {
        return file;
    }
    for (key, value) in reader.entries(root, "", "the file") {
        match key.text.as_str() {
            "tasks" => file.tasks = task::read_all(value, reader),
            "ports" => file.ports = port::read_all(value, reader),
            other => reader.ignore(ignored::TOP_LEVEL, &["tasks", "ports"], "", other, key.at),
        }
    }
    file
}
