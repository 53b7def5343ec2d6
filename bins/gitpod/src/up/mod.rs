//! `gitpod up`: the whole system in this process.

mod activity;
mod config;
mod content;
mod event;
mod link_key;
mod network;
mod page;
mod serve;
mod shares;
mod source;
mod ssh;
mod wire;

use futures_util::future;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

pub(crate) use self::config::Config;
use self::event::Addresses;
use self::ssh::Ssh;
use self::wire::System;
use crate::exit::Failure;
use crate::print;
use crate::state_dir::HeldStateDir;
use crate::workspaces::{Definition, Workspaces};

/// Runs until SIGINT or SIGTERM, then stops all workspaces.
pub(crate) async fn up(config: Config) -> Result<(), Failure> {
    serve::raise_descriptor_limit();
    // Everything that can be refused is refused before anything is made.
    Ssh::check(&config.state_dir)?;
    let listener = serve::bind(config.listen).await?;
    let ssh = ssh::bind(config.ssh_listen).await?;
    let held = HeldStateDir::hold(config.state_dir.clone())?;
    let ssh = Ssh::open(held.path(), ssh)?;
    let addresses = Addresses {
        http: listener
            .local_addr()
            .map_err(|why| Failure::failed("cannot tell the address").because(&why))?,
        ssh: ssh.address(),
    };
    let system = System::open(&config, &held, addresses.http, ssh).await?;
    let end = ended()?;

    let workspaces = system.workspaces.clone();
    let events = workspaces.watch();
    event::ready(config.output, &addresses, &system.page, held.path())?;
    let all_told = CancellationToken::new();
    let printer = event::print_all(config.output, workspaces.clone(), events, all_told.clone());
    let printer = tokio::spawn(printer);
    if let Some(first) = config.first {
        tokio::spawn(make_first(workspaces, first));
    }
    let ended = system.run(listener, end).await;
    all_told.cancel();
    // Fails only if the printer has panicked, which its task has said.
    let _ = printer.await;
    ended
}

/// The workspace that was named on the command line.
async fn make_first(workspaces: Workspaces, first: config::First) {
    let definition = Definition::new(first.location, first.checkout);
    if let Err(why) = workspaces.create(definition).await {
        let failure = Failure::failed("cannot make the workspace").because(&why);
        print::note(&failure.to_string());
    }
}

/// Done once the end is asked for.
fn ended() -> Result<impl Future<Output = ()> + Send, Failure> {
    let cannot = |why: std::io::Error| Failure::failed("cannot listen to signals").because(&why);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    Ok(async move {
        let interrupt = std::pin::pin!(interrupt.recv());
        let terminate = std::pin::pin!(terminate.recv());
        future::select(interrupt, terminate).await;
    })
}
