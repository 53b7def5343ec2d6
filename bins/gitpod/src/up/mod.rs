//! `gitpod up`: the whole system in this process.

mod config;
mod content;
mod end;
mod event;
mod link_key;
mod listen;
mod network;
mod page;
mod shares;
mod source;
mod ssh;
mod wake;
mod wire;

use support::limits::Limit;
use support::ops::{Metrics, Operations};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

pub(crate) use self::config::Config;
use self::end::End;
use self::event::Addresses;
use self::ssh::Ssh;
use self::wire::System;
use crate::exit::Failure;
use crate::print;
use crate::state_dir::{HeldStateDir, METRICS};
use crate::workspaces::{Definition, Workspaces};

/// Runs until SIGINT or SIGTERM, then stops all workspaces.
pub(crate) async fn up(config: Config) -> Result<(), Failure> {
    support::serve::raise_descriptor_limit();
    // Everything that can be refused is refused before anything is made.
    Ssh::check(&config.state_dir)?;
    let listener = listen::bind(config.listen).await?;
    let ssh = ssh::bind(config.ssh_listen).await?;
    let held = HeldStateDir::hold(config.state_dir.clone())?;
    let ssh = Ssh::open(held.path(), ssh)?;
    let addresses = Addresses {
        http: listener
            .local_addr()
            .map_err(|why| Failure::failed("cannot tell the address").because(&why))?,
        ssh: ssh.address(),
    };
    measure(&config, &held)?;
    let system = System::open(&config, &held, addresses.http, ssh).await?;
    let end = End::of_signals(config.drain)?;

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

/// Begins to measure, and shows it to whoever may use the state directory.
fn measure(config: &Config, held: &HeldStateDir) -> Result<(), Failure> {
    let cannot = || Failure::failed("cannot show what is measured");
    let metrics = Metrics::start().map_err(|why| cannot().why(format!("{why:#}")))?;
    config.limits.show(Limit::ALL);
    let socket = held
        .listen(METRICS)
        .and_then(UnixListener::from_std)
        .map_err(|why| cannot().because(&why))?;
    // Until the process ends.
    Operations::metrics(metrics).serve_at(socket.into(), &CancellationToken::new());
    Ok(())
}
