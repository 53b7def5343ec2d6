//! `gitpod up`: the whole system in this process.

mod commands;
mod config;
mod content;
mod end;
mod event;
mod link_key;
mod listen;
mod network;
mod page;
mod replace;
mod run;
mod shares;
mod source;
mod ssh;
mod wake;
mod wire;

use support::limits::Limit;
use support::ops::{Metrics, Operations};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

pub(crate) use self::config::Config;
use self::end::End;
use self::event::Addresses;
use self::replace::{Offer, Predecessor, Secret};
use self::run::Entrance;
use self::ssh::Ssh;
use self::wire::System;
use crate::exit::Failure;
use crate::print;
use crate::state_dir::{HeldStateDir, METRICS, SOCKET};
use crate::workspaces::{Definition, Workspaces};

/// Runs until SIGINT or SIGTERM, then stops all workspaces; or until another `up` takes over.
pub(crate) async fn up(config: Config) -> Result<(), Failure> {
    support::serve::raise_descriptor_limit();
    // Everything that can be refused is refused before anything is made, or taken.
    Ssh::check(&config.state_dir)?;
    let secret = Secret::random()?;
    let (http, ssh, taken) = enter(&config, &secret).await?;
    let held = HeldStateDir::hold(config.state_dir.clone())?;
    let ssh = Ssh::open(held.path(), ssh)?;
    let addresses = Addresses {
        http: http
            .local_addr()
            .map_err(|why| Failure::failed("cannot tell the address").because(&why))?,
        ssh: ssh.address(),
    };
    measure(&config, &held)?;
    let system = System::open(&config, &held, addresses.http, ssh).await?;
    let end = End::of_signals(config.drain)?;
    let (commands, before) = match taken {
        Some((commands, before)) => (commands, Some(before)),
        None => (listen_to_commands(&held)?, None),
    };

    let offer = Offer::open(&held, addresses.http, addresses.ssh)?;
    let workspaces = system.workspaces.clone();
    let events = workspaces.watch();
    event::ready(config.output, &addresses, &system.page, held.path())?;
    if let Some(before) = before {
        before.hear_of_serving().await;
    }
    let all_told = CancellationToken::new();
    let printer = event::print_all(config.output, workspaces.clone(), events, all_told.clone());
    let printer = tokio::spawn(printer);
    if let Some(first) = config.first {
        tokio::spawn(make_first(workspaces, first));
    }
    let entrance = Entrance {
        http,
        address: addresses.http,
        commands,
        held,
        offer,
        secret,
    };
    let tell = |by| event::replaced(config.output, by);
    let ended = system.run(entrance, end, tell).await;
    all_told.cancel();
    // Fails only if the printer has panicked, which its task has said.
    let _ = printer.await;
    ended
}

type Entered = (
    TcpListener,
    Option<TcpListener>,
    Option<(UnixListener, Predecessor)>,
);

/// Takes the addresses: over from the `up` that runs, if it is to be replaced.
async fn enter(config: &Config, secret: &Secret) -> Result<Entered, Failure> {
    if config.replace
        && let Some(taken) = replace::take(config, secret).await?
    {
        return Ok((taken.http, taken.ssh, Some((taken.commands, taken.before))));
    }
    let http = listen::bind(config.listen).await?;
    let ssh = ssh::bind(config.ssh_listen).await?;
    Ok((http, ssh, None))
}

fn listen_to_commands(held: &HeldStateDir) -> Result<UnixListener, Failure> {
    held.listen(SOCKET)
        .and_then(UnixListener::from_std)
        .map_err(|why| Failure::failed("cannot listen to commands").because(&why))
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
