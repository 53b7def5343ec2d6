//! One runner: what is known of it, and the task that keeps an eye on it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gitpod_routing::InstanceId;
use jiff::Timestamp;
use rustix::process::Signal;
use tokio::sync::{OnceCell, watch};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::attach::{detach, link_in};
use super::cgroup::Cgroup;
use super::kill::{kill_tree, sweep};
use super::layout::{Layout, SSH_HOST_KEY, SSH_SOCKET};
use super::network::Network;
use super::pidfd::{Exit, Handle, signal};
use super::private_file::remove;
use super::runner_file::{Ended, Progress, RunnerFile};
use super::socket;
use super::spawn::end_of_log;
use super::tree::ProcessId;
use crate::change::ChangeFeed;
use crate::facts::{RunnerFacts, Termination};
use crate::memory::lock;

/// One runner.
#[derive(Debug)]
pub(crate) struct Runner {
    instance: InstanceId,
    layout: Layout,
    feed: ChangeFeed,
    state: Mutex<State>,
    /// When it is ended by force; absent while nobody wants it to end.
    deadline: watch::Sender<Option<Instant>>,
    /// Whether what a start has left whose result was lost is ended.
    swept: OnceCell<()>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) file: RunnerFile,
    /// Whether its content is being prepared, or more.
    pub(crate) begun: bool,
    pub(crate) ready: bool,
    /// Whether it vanishes as soon as nothing of it runs.
    released: bool,
}

impl Runner {
    pub(crate) fn new(
        instance: InstanceId,
        layout: Layout,
        feed: ChangeFeed,
        file: RunnerFile,
    ) -> Self {
        let state = State {
            file,
            begun: false,
            ready: false,
            released: false,
        };
        Self {
            instance,
            layout,
            feed,
            state: Mutex::new(state),
            deadline: watch::Sender::new(None),
            swept: OnceCell::new(),
        }
    }

    pub(crate) fn facts(&self) -> RunnerFacts {
        let state = lock(&self.state);
        let file = &state.file;
        let name = file.name.clone();
        let mut facts = match (&file.ended, file.process) {
            (Some(ended), _) => {
                let how = Termination::exited(ended.exit_code, ended.message.clone());
                RunnerFacts::ended(name, how)
            }
            (None, Some(_)) => RunnerFacts::running(name, state.ready),
            // One that is being deleted has ended once nothing is left of a start.
            (None, None) if state.begun || file.deleting_since.is_some() => {
                RunnerFacts::running(name, false)
            }
            (None, None) => RunnerFacts::creating(name),
        };
        facts.deleting_since = file.deleting_since;
        facts.grace = file.grace;
        facts.held()
    }

    /// Its supervisor, if that was started and nothing says that it has ended.
    pub(crate) fn supervisor(&self) -> Option<ProcessId> {
        let state = lock(&self.state);
        state.file.process.filter(|_| state.file.ended.is_none())
    }

    /// Whether its supervisor was started, or never will be.
    pub(crate) fn was_started(&self) -> bool {
        let state = lock(&self.state);
        state.file.process.is_some() || state.file.ended.is_some()
    }

    pub(crate) fn limits(&self) -> String {
        lock(&self.state).file.limits.to_string()
    }

    /// Which network it is in; `None` before it is started.
    pub(crate) fn network(&self) -> Option<Network> {
        let state = lock(&self.state);
        state.file.process.map(|_| state.file.network)
    }

    pub(crate) fn cgroup(&self) -> Option<Cgroup> {
        lock(&self.state).file.cgroup.clone().map(Cgroup::at)
    }

    /// Changes what is known, remembers it if that has changed, and tells.
    pub(crate) fn change<T>(&self, how: impl FnOnce(&mut State) -> T) -> T {
        let result = {
            let mut state = lock(&self.state);
            let before = state.file.clone();
            let result = how(&mut state);
            if state.file != before
                && let Err(why) = state.file.store(&self.dir())
            {
                // It is only needed by a later `up`, which then finds the processes by their marks.
                warn!(instance = %self.instance, %why, "runner cannot be remembered");
            }
            result
        };
        self.feed.tell(&self.instance);
        result
    }

    /// Ends what a start has left whose result was lost: nothing of the instance runs
    /// before its supervisor is started. Once; others wait for it.
    pub(crate) async fn sweep_before_start(&self) {
        let (dir, group) = (self.dir(), self.cgroup());
        let sweep = async {
            sweep(&dir, group.as_ref()).await;
            detach(&link_in(&dir));
        };
        self.swept.get_or_init(|| sweep).await;
    }

    /// Its supervisor was let in to its network.
    pub(crate) fn was_let_in(&self) {
        self.change(|state| {
            let progress = &mut state.file.progress;
            *progress = Progress::LetIn.max(*progress);
        });
    }

    /// Begins to end it; by force after `grace`.
    pub(crate) fn delete(self: &Arc<Self>, grace: Duration) {
        let (process, ended) = self.change(|state| {
            let file = &mut state.file;
            file.deleting_since.get_or_insert_with(Timestamp::now);
            file.grace = Some(file.grace.map_or(grace, |known| known.min(grace)));
            (file.process, file.ended.is_some())
        });
        match process.filter(|_| !ended) {
            Some(process) => self.end(process, grace),
            None if ended => {}
            None => drop(tokio::spawn(Arc::clone(self).end_before_start())),
        }
    }

    /// Nothing of it was started, as far as is known.
    async fn end_before_start(self: Arc<Self>) {
        self.sweep_before_start().await;
        let released = self.change(|state| {
            state.file.ended.get_or_insert_with(Ended::well);
            state.released
        });
        if released {
            self.vanish();
        }
    }

    fn end(&self, process: ProcessId, grace: Duration) {
        debug!(instance = %self.instance, pid = process.pid, ?grace, "supervisor is asked to end");
        if let Err(why) = signal(process, Signal::TERM) {
            warn!(instance = %self.instance, %why, "supervisor cannot be asked to end");
        }
        let at = Instant::now() + grace;
        self.deadline
            .send_modify(|deadline| *deadline = Some(deadline.map_or(at, |known| known.min(at))));
    }

    /// Whether it has vanished; if not, it will as soon as nothing of it runs.
    pub(crate) fn release(&self) -> bool {
        let gone = {
            let mut state = lock(&self.state);
            state.released = true;
            state.file.ended.is_some()
        };
        if gone {
            self.vanish();
        }
        gone
    }

    fn vanish(&self) {
        if let Some(group) = self.cgroup() {
            group.remove();
        }
        let dir = self.dir();
        detach(&link_in(&dir));
        let left = [
            "supervisor.json",
            "supervisor.sock",
            "supervisor.log",
            SSH_SOCKET,
            SSH_HOST_KEY,
        ]
        .map(|name| dir.join(name));
        for path in left.into_iter().chain([RunnerFile::path(&dir)]) {
            if let Err(why) = remove(&path) {
                warn!(path = %path.display(), %why, "file of an ended runner cannot be removed");
            }
        }
        let _ = std::fs::remove_dir(&dir); // not if the record is still there
        self.feed.tell(&self.instance);
    }

    /// Keeps an eye on its supervisor until that and all that it started has
    /// ended. Answers whether the runner has vanished with it.
    pub(crate) async fn keep(self: Arc<Self>, process: ProcessId) -> bool {
        let exit = match Handle::of(process) {
            Some(handle) => self.until_ended(handle, process).await,
            None => None, // ended while nobody looked
        };
        sweep(&self.dir(), self.cgroup().as_ref()).await;
        detach(&link_in(&self.dir()));
        let log = self.layout.supervisor_log(&self.instance);
        let released = self.change(|state| {
            state.ready = false;
            let asked = state.file.deleting_since.is_some();
            state
                .file
                .ended
                .get_or_insert_with(|| ended(exit, asked, &end_of_log(&log)));
            state.released
        });
        if released {
            self.vanish();
        }
        released
    }

    async fn until_ended(&self, handle: Handle, process: ProcessId) -> Option<Exit> {
        let ended = handle.ended();
        let socket = self.socket();
        let ready = socket::ready(&socket);
        let mut deadline = self.deadline.subscribe();
        tokio::pin!(ended, ready);
        let mut waiting = true;
        loop {
            let limit = *deadline.borrow_and_update();
            tokio::select! {
                exit = &mut ended => return exit.ok().flatten(),
                () = &mut ready, if waiting => {
                    waiting = false;
                    self.change(|state| {
                        state.ready = true;
                        state.file.progress = Progress::Ready;
                    });
                }
                _ = deadline.changed() => {}
                () = until(limit) => {
                    warn!(instance = %self.instance, "workspace does not end by itself, it is killed");
                    kill_tree(process).await;
                    self.deadline.send_replace(None);
                }
            }
        }
    }

    fn dir(&self) -> PathBuf {
        self.layout.instance(&self.instance)
    }

    fn socket(&self) -> PathBuf {
        self.layout.socket(&self.instance)
    }
}

async fn until(limit: Option<Instant>) {
    match limit {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn ended(exit: Option<Exit>, asked: bool, log: &str) -> Ended {
    let how = match exit {
        _ if asked => return Ended::well(),
        Some(Exit::Code(code)) => format!("supervisor ended with exit code {code}"),
        Some(Exit::Signal(signal)) => format!("supervisor was ended by signal {signal}"),
        None => "supervisor has ended while nobody was looking".to_owned(),
    };
    let said = match log.is_empty() {
        true => String::new(),
        false => format!("; the end of what it printed:\n{log}"),
    };
    // Code 1 where it is not known: a supervisor that nobody asked never ends well.
    let code = exit.map_or(1, Exit::code);
    Ended::badly(if code == 0 { 1 } else { code }, how + &said)
}
