//! `gitpod up`: the whole system in this process.

mod commands;
mod config;
mod content;
mod cut;
mod doors;
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

use std::time::Duration;

use support::limits::Limit;
use support::ops::{Metrics, Operations};
use tokio::net::UnixListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use self::config::Config;
use self::doors::Doors;
use self::end::End;
use self::event::Addresses;
use self::replace::{Offer, Predecessor, Secret};
use self::run::{Entrance, Guests, Outcome};
use self::ssh::Ssh;
use self::wire::System;
use crate::exit::Failure;
use crate::print;
use crate::state_dir::{HeldStateDir, METRICS, SOCKET};
use crate::workspaces::{Definition, Workspaces};

/// Runs until SIGINT or SIGTERM, then stops all workspaces; or until another `up` takes over.
pub(crate) async fn up(mut config: Config) -> Result<(), Failure> {
    support::serve::raise_descriptor_limit();
    // Everything that can be refused is refused before anything is made, or taken.
    Ssh::check(&config.state_dir)?;
    let metrics = Metrics::start()
        .map_err(|why| Failure::failed("cannot measure").why(format!("{why:#}")))?;
    config.limits.show(Limit::ALL);
    let secret = Secret::random()?;
    let (doors, before) = Doors::open(&config, &secret).await?;
    let secret = match &before {
        Some(before) => before.believed(secret),
        None => secret,
    };
    let opened = Box::pin(async {
        let held = match config.replace {
            true => hold_again(&config).await?, // whoever was killed may still be ending
            false => HeldStateDir::hold(config.state_dir.clone())?,
        };
        open(&config, &metrics, doors, held, secret).await
    });
    let (mut system, mut entrance) = take_over(before.as_ref(), opened).await?;
    let end = End::of_signals(config.drain)?;
    let (addresses, dir) = (&entrance.addresses, entrance.held.path());
    let told = event::ready(config.output, addresses, &system.page, dir);
    if before.is_none() {
        told?; // else nobody but this one serves any more, heard or not
    }
    if let Some(first) = config.first.take() {
        tokio::spawn(make_first(system.workspaces.clone(), first));
    }
    let mut guests = Guests::new(config.drain);
    loop {
        match serve(&config, system, entrance, &guests, &end).await? {
            Outcome::Ended => return Ok(()),
            // Whoever wanted to take over has not come so far.
            Outcome::TakenBack(doors, secret) => {
                guests.again();
                let held = hold_again(&config).await?;
                (system, entrance) = open(&config, &metrics, doors, held, secret).await?;
            }
        }
    }
}

/// What was `opened`, once whoever was `before` lets it serve.
async fn take_over<T>(
    before: Option<&Predecessor>,
    opened: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let Some(before) = before else {
        return opened.await;
    };
    let opened = tokio::select! {
        biased;
        opened = opened => opened?,
        why = before.goes_on() => return Err(why),
    };
    before.let_serve().await?;
    Ok(opened)
}

/// Opens everything, to be entered by `doors`.
async fn open(
    config: &Config,
    metrics: &Metrics,
    doors: Doors,
    held: HeldStateDir,
    secret: Secret,
) -> Result<(System, Entrance), Failure> {
    let ssh = Ssh::open(held.path(), doors.ssh)?;
    let addresses = Addresses {
        http: doors
            .http
            .local_addr()
            .map_err(|why| Failure::failed("cannot tell the address").because(&why))?,
        ssh: ssh.address(),
    };
    show(metrics, &held)?;
    let system = System::open(config, &held, addresses.http, ssh).await?;
    let commands = match doors.commands {
        Some(commands) => commands,
        None => held
            .listen(SOCKET)
            .and_then(UnixListener::from_std)
            .map_err(|why| Failure::failed("cannot listen to commands").because(&why))?,
    };
    let offer = Offer::open(&held, addresses.http, addresses.ssh)?;
    let entrance = Entrance {
        http: doors.http,
        addresses,
        commands,
        held,
        offer,
        secret,
    };
    Ok((system, entrance))
}

/// Serves, and prints what happens meanwhile.
async fn serve(
    config: &Config,
    system: System,
    entrance: Entrance,
    guests: &Guests,
    end: &End,
) -> Result<Outcome, Failure> {
    let events = system.workspaces.watch();
    let all_told = CancellationToken::new();
    let workspaces = system.workspaces.clone();
    let printer = event::print_all(config.output, workspaces, events, all_told.clone());
    let printer = tokio::spawn(printer);
    let tell = |by| event::replaced(config.output, by);
    let ended = system.run(entrance, guests, end, tell).await;
    all_told.cancel();
    // Fails only if the printer has panicked, which its task has said.
    let _ = printer.await;
    ended
}

/// Holds the state directory once who held it last has gone.
async fn hold_again(config: &Config) -> Result<HeldStateDir, Failure> {
    let give_up = Instant::now() + LAST_BREATH;
    loop {
        match HeldStateDir::hold(config.state_dir.clone()) {
            Err(_) if Instant::now() < give_up => tokio::time::sleep(LAST_BREATH / 100).await,
            held => return held,
        }
    }
}

/// How long a process may take to end whose sockets are closed.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// The workspace that was named on the command line.
async fn make_first(workspaces: Workspaces, first: config::First) {
    let definition = Definition::new(first.location, first.checkout);
    if let Err(why) = workspaces.create(definition).await {
        let failure = Failure::failed("cannot make the workspace").because(&why);
        print::note(&failure.to_string());
    }
}

/// Shows what is measured to whoever may use the state directory, until the process ends.
fn show(metrics: &Metrics, held: &HeldStateDir) -> Result<(), Failure> {
    let socket = held
        .listen(METRICS)
        .and_then(UnixListener::from_std)
        .map_err(|why| Failure::failed("cannot show what is measured").because(&why))?;
    Operations::metrics(metrics.clone()).serve_at(socket.into(), &CancellationToken::new());
    Ok(())
}
