use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result};
use gitpod_lifecycle::gitpod_yml::Task;
use jiff::Timestamp;
use serde::Serialize;
use std::os::unix::process::CommandExt;

use crate::children::{Child, Exit};
use crate::log::{LIMIT_BYTES, Log};
use crate::output::Output;
use crate::script::{Script, shell};
use crate::workspace::Workspace;

/// A task of this run.
#[derive(Debug)]
pub(crate) struct TaskRun {
    /// Its number and name; names its files and its address.
    pub(crate) id: String,
    /// Its name without the number, unique: what `init` has been done is remembered under.
    pub(crate) slug: String,
    /// What people call it, unique.
    pub(crate) name: String,
    pub(crate) spec: Task,
    pub(crate) log: Arc<Log>,
}

/// How a task is doing, as the status endpoint says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskStatus {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) state: TaskState,
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<i32>,
    /// Why it could not be started.
    pub(crate) error: Option<String>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TaskState {
    Pending,
    Running,
    Finished,
}

impl TaskRun {
    /// Names the tasks of a file.
    pub(crate) fn all(tasks: &[Task], logs_dir: &std::path::Path) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for (index, spec) in tasks.iter().enumerate() {
            let number = index + 1;
            let mut slug = spec
                .name
                .as_deref()
                .map(slug_of)
                .filter(|slug| !slug.is_empty())
                .unwrap_or_else(|| format!("task-{number}"));
            if runs.iter().any(|run| run.slug == slug) {
                slug = format!("{slug}-{number}");
            }
            let mut name = spec.name.clone().unwrap_or_else(|| slug.clone());
            if runs.iter().any(|run| run.name == name) {
                name = format!("{name} ({number})");
            }
            let id = format!("{number}-{slug}");
            let log = Log::new(logs_dir.join(format!("{id}.log")), LIMIT_BYTES);
            runs.push(Self {
                id,
                slug,
                name,
                spec: spec.clone(),
                log,
            });
        }
        runs
    }

    pub(crate) fn pending(&self) -> TaskStatus {
        TaskStatus {
            id: self.id.clone(),
            name: self.name.clone(),
            state: TaskState::Pending,
            exit_code: None,
            signal: None,
            error: None,
            started_at: None,
            finished_at: None,
        }
    }

    fn init_done(&self, workspace: &Workspace) -> PathBuf {
        workspace
            .config
            .state_dir()
            .join(format!("init-done.{}", self.slug))
    }

    /// Runs it to its end, and tells its state.
    pub(crate) async fn run(&self, workspace: &Workspace) {
        let child = match self.start(workspace) {
            Ok(child) => child,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(task = %self.id, %error, "task could not be started");
                self.log.note(&error);
                self.log.end();
                return workspace.task_changed(&self.id, |status| {
                    (status.state, status.error, status.finished_at) =
                        (TaskState::Finished, Some(error), Some(Timestamp::now()));
                });
            }
        };
        tracing::info!(task = %self.id, pid = child.pid, "task started");
        workspace.task_changed(&self.id, |status| {
            (status.state, status.started_at) = (TaskState::Running, Some(Timestamp::now()));
        });
        let exit = child.exit.await.ok();
        if let Some(exit) = exit {
            tracing::info!(task = %self.id, %exit, "task ended");
        }
        workspace.task_changed(&self.id, |status| {
            (status.state, status.finished_at) = (TaskState::Finished, Some(Timestamp::now()));
            match exit {
                Some(Exit::Code(code)) => status.exit_code = Some(code),
                Some(Exit::Signal(signal)) => status.signal = Some(signal),
                None => {}
            }
        });
    }

    fn start(&self, workspace: &Workspace) -> Result<Child> {
        let logs = &workspace.config.logs_dir;
        let script = Script::write(&self.spec, logs, &self.id, &self.init_done(workspace))
            .with_context(|| {
                format!(
                    "the task's script cannot be written to {}; free some space",
                    logs.display()
                )
            })?;
        let mut command = Command::new(shell());
        command.arg(&script.path).envs(&self.spec.env);
        if !workspace.config.env.contains_key("TERM") && !self.spec.env.contains_key("TERM") {
            command.env("TERM", "dumb"); // the output is kept as text: no colours, no cursor moves
        }
        spawn(workspace, &mut command, Output::Terminal, &self.log)
    }
}

/// Writes down beside the logs of `tasks` what these are called, for who reads the logs once nobody can be asked any more.
pub(crate) fn note_names(tasks: &[TaskRun], logs_dir: &std::path::Path) -> std::io::Result<()> {
    let names: BTreeMap<&str, &str> = tasks
        .iter()
        .map(|task| (task.id.as_str(), task.name.as_str()))
        .collect();
    let text = serde_json::to_string(&names)?;
    std::fs::write(logs_dir.join("tasks.json"), text)
}

/// Starts a process in the content directory, in a process group of its own, with the workspace's variables below its own and
/// its output going to `log`.
pub(crate) fn spawn(
    workspace: &Workspace,
    command: &mut Command,
    output: Output,
    log: &Arc<Log>,
) -> Result<Child> {
    let output = output.attach(command)?;
    let own: Vec<_> = command
        .get_envs()
        .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
        .collect();
    command.envs(workspace.config.environment());
    for (name, value) in own {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
        .current_dir(&workspace.config.content_dir)
        .process_group(0);
    let child = workspace.children.start(command);
    // The writing ends that this process holds must go, or the output never ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = child.with_context(|| {
        format!(
            "`{}` cannot be started; install it or fix the path",
            command.get_program().display()
        )
    })?;
    let log = Arc::clone(log);
    tokio::spawn(async move { log.record(output).await });
    Ok(child)
}

/// A name for files and addresses: lower-case letters, digits and single dashes, at most 40.
fn slug_of(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars() {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(40);
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn ids_are_unique_and_safe_in_paths() {
        let text = "tasks: [{name: Web UI}, {name: web-ui}, {}, {name: ../../etc}, {name: '日本'}]";
        let file = gitpod_lifecycle::gitpod_yml::parse(text).unwrap();
        let ids: Vec<_> = TaskRun::all(&file.tasks, Path::new("/l"))
            .into_iter()
            .map(|run| run.id)
            .collect();
        assert_eq!(
            ids,
            ["1-web-ui", "2-web-ui-2", "3-task-3", "4-etc", "5-task-5"]
        );
    }

    #[test]
    fn names_are_those_of_the_file_and_unique() {
        let text = "tasks: [{name: Web Server}, {name: Web Server}, {}]";
        let file = gitpod_lifecycle::gitpod_yml::parse(text).unwrap();
        let tasks = TaskRun::all(&file.tasks, Path::new("/l"));
        let names: Vec<_> = tasks.iter().map(|task| task.name.as_str()).collect();
        assert_eq!(names, ["Web Server", "Web Server (2)", "task-3"]);
    }
}
