use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use gitpod_lifecycle::process::tree::ProcessId;
use tokio::time::{Instant, sleep};

use crate::children::Exit;
use crate::config::{Config, Ide};
use crate::editors::{completed, installed, name_of};
use crate::log::{LIMIT_BYTES, Log};
use crate::output::Output;
use crate::probe;
use crate::task::spawn;
use crate::workspace::Workspace;

/// The editor of this workspace.
#[derive(Debug)]
pub(crate) struct IdeRun {
    pub(crate) name: String,
    command: Vec<String>,
    pub(crate) log: Arc<Log>,
    process: Mutex<Option<ProcessId>>,
}

/// How the editor is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IdeState {
    /// None is wanted, or none was found.
    Off,
    Starting,
    /// It answers on this loopback port.
    Ready {
        port: u16,
        name: String,
    },
    /// It ended too often before it answered; the workspace is usable without it.
    Absent {
        why: String,
    },
}

impl IdeRun {
    pub(crate) fn of(config: &Config) -> Option<Self> {
        let command = match config.ide.as_ref()? {
            Ide::Auto(_) => installed()?,
            Ide::Command(command) => completed(command),
        };
        let name = command.first().map(|program| name_of(program).to_owned())?;
        let log = Log::new(config.logs_dir.join("ide.log"), LIMIT_BYTES);
        Some(Self {
            name,
            command,
            log,
            process: Mutex::default(),
        })
    }

    /// Its process, while it runs.
    pub(crate) fn process(&self) -> Option<ProcessId> {
        *self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_process(&self, process: Option<ProcessId>) {
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = process;
    }

    fn command_for(&self, config: &Config, port: u16) -> Command {
        let content = config.content_dir.to_string_lossy();
        let host = config
            .host()
            .map_or("localhost", |host| host.split(':').next().unwrap_or(host));
        let port = port.to_string();
        let mut words = self.command.iter().map(|word| {
            word.replace("{port}", &port)
                .replace("{content}", &content)
                .replace("{host}", host)
        });
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).env("PORT", &port);
        // Whoever runs `gitpod` inside a Jupyter of their own would hand its settings down.
        command
            .env_remove("JUPYTER_TOKEN")
            .env_remove("JPY_PARENT_PID");
        command
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// An editor that lived this long ended for another reason than the one before.
const LONG_LIFE: Duration = Duration::from_secs(60);
const HOPELESS_AFTER: u32 = 4;
const PROBE_EVERY: Duration = Duration::from_millis(100);

/// Starts the editor, says when it answers, and starts it again when it ends.
pub(crate) async fn keep_running(workspace: Arc<Workspace>) {
    tokio::select! {
        () = workspace.stopping() => {}
        () = run_again_and_again(&workspace) => {}
    }
}

async fn run_again_and_again(workspace: &Arc<Workspace>) {
    let Some(ide) = &workspace.ide else { return };
    let (mut pause, mut failures, mut last_port) = (FIRST_PAUSE, 0, None);
    loop {
        let began = Instant::now();
        let ended = run_once(workspace, ide, &mut last_port).await;
        ide.set_process(None);
        let was_ready = matches!(*workspace.ide_state.borrow(), IdeState::Ready { .. });
        failures = if was_ready { 0 } else { failures + 1 };
        if began.elapsed() > LONG_LIFE {
            pause = FIRST_PAUSE;
        }
        let why = ended.map_or_else(
            |error| format!("{error:#}"),
            |exit| format!("{} ended with {exit}", ide.name),
        );
        tracing::warn!(%why, ?pause, "the editor is started again");
        ide.log.note(&format!("[{why}]"));
        workspace
            .ide_state
            .send_replace(if failures >= HOPELESS_AFTER {
                IdeState::Absent {
                    why: format!("{why}; see its log"),
                }
            } else {
                IdeState::Starting
            });
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn run_once(
    workspace: &Arc<Workspace>,
    ide: &IdeRun,
    last_port: &mut Option<u16>,
) -> Result<Exit> {
    let port = free_port(*last_port).context("no free port on loopback")?;
    *last_port = Some(port);
    let mut command = ide.command_for(&workspace.config, port);
    let child = spawn(workspace, &mut command, Output::Pipe, &ide.log)?;
    ide.set_process(ProcessId::of(child.pid));
    tracing::info!(editor = ide.name, port, pid = child.pid, "editor started");
    let mut exit = std::pin::pin!(child.exit);
    tokio::select! {
        exit = &mut exit => return exit.context("the editor was lost"),
        () = until_it_answers(workspace, port) => {}
    }
    tracing::info!(editor = ide.name, port, "editor answers");
    workspace.ide_state.send_replace(IdeState::Ready {
        port,
        name: ide.name.clone(),
    });
    exit.await.context("the editor was lost")
}

async fn until_it_answers(workspace: &Workspace, port: u16) {
    let host = workspace.config.host().unwrap_or("localhost");
    while !probe::answers(port, host).await {
        sleep(PROBE_EVERY).await;
    }
}

/// A port of loopback that nobody uses, the one of the last time if possible. Somebody else may still take it before the editor
/// does: then the editor ends, and gets another.
fn free_port(last: Option<u16>) -> std::io::Result<u16> {
    let free = |port| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .and_then(|listener| Ok(listener.local_addr()?.port()))
    };
    last.and_then(|port| free(port).ok())
        .map_or_else(|| free(0), Ok)
}
