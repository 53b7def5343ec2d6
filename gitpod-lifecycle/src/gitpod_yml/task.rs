use std::collections::BTreeMap;

use super::ignored;
use super::node::Node;
use super::read::{Reader, below, clipped};

/// A task: one shell that runs `before`, `init` and `command` one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Task {
    /// What to call it.
    pub name: Option<String>,
    /// Runs at every start, first.
    pub before: Option<String>,
    /// Runs once per content, after `before`.
    pub init: Option<String>,
    /// Runs at every start, last; need not end.
    pub command: Option<String>,
    /// Variables of this task's shell.
    pub env: BTreeMap<String, String>,
}

const KEYS: &[&str] = &["name", "before", "init", "command", "env"];
/// More shells than this at once is a mistake, not a workspace.
const MAX_TASKS: usize = 100;

pub(super) fn read_all(node: &Node, reader: &mut Reader) -> Vec<Task> {
    let items = reader.items(node, "tasks", "write `tasks:` and below it `- command: …`");
    if items.len() > MAX_TASKS {
        reader.problem(
            node.at,
            "tasks",
            format!("{} tasks are more than {MAX_TASKS}", items.len()),
            "start processes from fewer tasks",
        );
    }
    items
        .iter()
        .take(MAX_TASKS)
        .enumerate()
        .map(|(index, item)| read(item, &format!("tasks[{index}]"), reader))
        .collect()
}

fn read(node: &Node, path: &str, reader: &mut Reader) -> Task {
    let mut task = Task::default();
    for (key, value) in reader.entries(node, path, "a task") {
        let here = below(path, &key.text);
        match key.text.as_str() {
            "name" => task.name = reader.text(value, &here).map(|name| name.trim().to_owned()),
            "before" => task.before = reader.text(value, &here),
            "init" => task.init = reader.text(value, &here),
            "command" => task.command = reader.text(value, &here),
            "env" => task.env = env(value, &here, reader),
            other => reader.ignore(ignored::TASK, KEYS, path, other, key.at),
        }
    }
    task
}

fn env(node: &Node, path: &str, reader: &mut Reader) -> BTreeMap<String, String> {
    if matches!(node.kind, super::NodeKind::Null) {
        return BTreeMap::new();
    }
    let mut env = BTreeMap::new();
    for (key, value) in reader.entries(node, path, "`env`") {
        if key.text.is_empty() || key.text.contains(['=', '\0']) {
            let message = format!("`{}` cannot be the name of a variable", clipped(&key.text));
            reader.problem(key.at, path, message, "use letters, digits and underscores");
            continue;
        }
        let value = reader
            .text(value, &below(path, &key.text))
            .unwrap_or_default();
        env.insert(key.text.clone(), value);
    }
    env
}
