use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use gitpod_lifecycle::process::Network;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::ssh::Ssh;
use crate::workspace::{RunState, Workspace};
use crate::{ide, network, ports, serve, socket, stop};

/// The whole life of a supervisor.
pub(crate) fn run(config: &Path) -> Result<()> {
    log_to_stderr();
    let config = Config::load(config)?;
    config.limits.apply()?;
    if config.network == Network::Own {
        network::enter()?; // while there is one thread only, and before anything is dialled or started
    }
    rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1))
        .context("cannot become the parent of orphaned processes")?;
    for dir in [config.logs_dir.clone(), config.state_dir()] {
        std::fs::create_dir_all(&dir).with_context(|| {
            format!(
                "cannot create {}; check its owner and the free space",
                dir.display()
            )
        })?;
    }
    // One thread: what waits here is sockets and pipes, and an idle workspace should cost nothing.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(live(config))
}

fn log_to_stderr() {
    let filter =
        EnvFilter::try_from_env("SUPERVISOR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_env_filter(filter)
        .try_init();
}

async fn live(config: Config) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    // Whoever started `up` may ignore these (nohup). Programs inherit that, and would outlive their terminals;
    // of a signal that is listened to they inherit nothing.
    let _hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let _quit = signal(SignalKind::quit()).context("cannot listen for SIGQUIT")?;
    // First: whoever is answered on the other socket takes the workspace for ready.
    let ssh = config.ssh.as_ref().map(Ssh::bind).transpose()?;
    let listener = socket::bind(&config.socket)?;
    let workspace = Workspace::new(config);
    let background = [
        tokio::spawn(reap(Arc::clone(&workspace))),
        tokio::spawn(serve::serve(listener, Arc::clone(&workspace))),
        tokio::spawn(ports::watch(Arc::clone(&workspace))),
    ];
    let ssh = ssh.map(|ssh| ssh.serve(Arc::clone(&workspace)));
    start_tasks(&workspace);
    tokio::spawn(ide::keep_running(Arc::clone(&workspace)));
    tracing::info!(workspace = workspace.config.workspace_id, "workspace runs");

    first(&mut terminate, &mut interrupt).await;
    tracing::info!("told to stop");
    workspace.run_state.send_replace(RunState::Stopping);
    stop::end_all().await;
    workspace.children.reap();
    if let Some(ssh) = ssh {
        ssh.end().await;
    }
    for task in background {
        task.abort();
    }
    let ssh = workspace.config.ssh.iter();
    let left = ssh.flat_map(|ssh| [&ssh.socket, &ssh.host_key_file]);
    for file in left.chain([&workspace.config.socket]) {
        let _ = std::fs::remove_file(file);
    }
    tracing::info!("nothing is left of the workspace");
    Ok(())
}

async fn first(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn reap(workspace: Arc<Workspace>) {
    if let Err(error) = workspace.children.reap_all().await {
        tracing::error!(%error, "ended processes are not collected");
    }
}

fn start_tasks(workspace: &Arc<Workspace>) {
    for index in 0..workspace.tasks.len() {
        let workspace = Arc::clone(workspace);
        tokio::spawn(async move {
            if let Some(task) = workspace.tasks.get(index) {
                task.run(&workspace).await;
            }
        });
    }
}
