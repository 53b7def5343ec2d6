use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use gitpod_lifecycle::gitpod_yml::{self, GitpodYml, GitpodYmlError, Ignored};
use rustix::fs::{Mode, OFlags};
use tokio::sync::watch;

use crate::children::Children;
use crate::config::Config;
use crate::ide::{IdeRun, IdeState};
use crate::log::Log;
use crate::ports::{self, PortStatus};
use crate::task::{self, TaskRun, TaskStatus};

/// Everything the supervisor knows, shared by all that it does.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) config: Config,
    pub(crate) children: Children,
    pub(crate) file: FileState,
    pub(crate) tasks: Vec<TaskRun>,
    pub(crate) ide: Option<IdeRun>,
    pub(crate) task_status: watch::Sender<Vec<TaskStatus>>,
    pub(crate) ports: watch::Sender<Vec<PortStatus>>,
    pub(crate) ide_state: watch::Sender<IdeState>,
    pub(crate) run_state: watch::Sender<RunState>,
}

/// Whether the workspace runs or is being stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunState {
    Running,
    Stopping,
}

/// What became of `.gitpod.yml`.
#[derive(Debug)]
pub(crate) enum FileState {
    Absent,
    Read(GitpodYml),
    Broken(GitpodYmlError),
    Unreadable(String),
}

impl FileState {
    /// Reads the file of the repository; the old spelling `.gitpod.yaml` does not count.
    pub(crate) fn load(config: &Config) -> Self {
        let state = match read_bounded(&config.content_dir.join(FILE_NAME)) {
            Ok(text) => match gitpod_yml::parse(&text) {
                Ok(file) => Self::Read(file),
                Err(error) => Self::Broken(error),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Absent,
            Err(error) => Self::Unreadable(error.to_string()),
        };
        match &state {
            Self::Broken(error) => {
                tracing::warn!(%error, "the workspace runs without tasks and ports")
            }
            Self::Unreadable(error) => tracing::warn!(%error, "{FILE_NAME} cannot be read"),
            Self::Read(file) => file.ignored.iter().for_each(|it| {
                tracing::info!(key = it.key, line = it.line, "ignored: {}", it.because)
            }),
            Self::Absent => {}
        }
        state
    }

    pub(crate) fn read(&self) -> Option<&GitpodYml> {
        match self {
            Self::Read(file) => Some(file),
            _ => None,
        }
    }
}

impl FileState {
    /// What the file says in vain.
    pub(crate) fn ignored(&self) -> &[Ignored] {
        match self {
            Self::Read(file) => &file.ignored,
            Self::Broken(error) => &error.ignored,
            Self::Absent | Self::Unreadable(_) => &[],
        }
    }
}

const FILE_NAME: &str = ".gitpod.yml";

/// Reads a file of the repository, which may be anything: a pipe that nobody writes to, a link to an endless device.
fn read_bounded(path: &Path) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(gitpod_yml::MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Workspace {
    pub(crate) fn new(config: Config) -> Arc<Self> {
        let file = FileState::load(&config);
        let tasks = TaskRun::all(
            file.read().map_or(&[], |file| &file.tasks),
            &config.logs_dir,
        );
        if let Err(error) = task::note_names(&tasks, &config.logs_dir) {
            tracing::warn!(%error, "names of tasks are not written down");
        }
        let task_status = watch::Sender::new(tasks.iter().map(TaskRun::pending).collect());
        let ports = watch::Sender::new(ports::merge(&config, file.read(), &[]));
        let ide = IdeRun::of(&config);
        let ide_state = watch::Sender::new(if ide.is_some() {
            IdeState::Starting
        } else {
            IdeState::Off
        });
        let run_state = watch::Sender::new(RunState::Running);
        Arc::new(Self {
            config,
            children: Children::default(),
            file,
            tasks,
            ide,
            task_status,
            ports,
            ide_state,
            run_state,
        })
    }

    pub(crate) fn task_changed(&self, id: &str, change: impl FnOnce(&mut TaskStatus)) {
        self.task_status.send_modify(|all| {
            if let Some(status) = all.iter_mut().find(|status| status.id == id) {
                change(status);
            }
        });
    }

    /// The log of a task or of the editor, by id or by name.
    pub(crate) fn log(&self, id: &str) -> Option<&Arc<Log>> {
        let task = self
            .tasks
            .iter()
            .find(|task| task.id == id || task.slug == id || task.name == id);
        task.map(|task| &task.log).or_else(|| {
            self.ide
                .as_ref()
                .filter(|_| id == "ide")
                .map(|ide| &ide.log)
        })
    }

    /// The logs of all tasks and of the editor, with their ids.
    pub(crate) fn logs(&self) -> impl Iterator<Item = (&str, &Arc<Log>)> {
        let editor = self.ide.iter().map(|ide| ("ide", &ide.log));
        self.tasks
            .iter()
            .map(|task| (task.id.as_str(), &task.log))
            .chain(editor)
    }

    /// Ends when the workspace is told to stop.
    pub(crate) async fn stopping(&self) {
        self.told_to_stop().wait().await;
    }

    /// What ends then, without holding on to the rest.
    pub(crate) fn told_to_stop(&self) -> Stopping {
        Stopping(self.run_state.subscribe())
    }
}

/// The end of the workspace, for those who wait for it.
#[derive(Clone, Debug)]
pub(crate) struct Stopping(watch::Receiver<RunState>);

impl Stopping {
    /// Ends when the workspace is told to stop.
    pub(crate) async fn wait(&mut self) {
        let _ = self.0.wait_for(|state| *state == RunState::Stopping).await;
    }
}
