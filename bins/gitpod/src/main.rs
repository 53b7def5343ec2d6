//! The whole system in one process, and the commands that talk to it.

mod cli;
mod client;
mod exit;
mod gitpod_yml;
mod local;
mod print;
mod repository;
mod state_dir;
mod up;
mod workspaces;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use self::cli::{Cli, Command};
use self::exit::Failure;

fn main() -> ExitCode {
    let command = match Cli::parse().command {
        // A process of its own inside the workspace, with its own runtime.
        Command::Supervisor { args } => {
            let name = std::iter::once("supervisor".into());
            return supervisor::main_from(name.chain(args));
        }
        command => command,
    };
    // Logs go to standard error, so that standard output stays what was asked for.
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_env("GITPOD_LOG").unwrap_or_else(|_| "warn".into()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            print::note(&failure.to_string());
            failure.code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // They read files and /proc; more of them would only take memory.
        .max_blocking_threads(16)
        .build()
        .map_err(|why| Failure::failed("cannot start").because(&why))?;
    runtime.block_on(async {
        match command {
            Command::Up(args) => up::up(args.try_into()?).await,
            Command::Start(args) => client::start(args).await,
            Command::List(args) => client::list(args).await,
            Command::Describe(args) => client::describe(args).await,
            Command::Logs(args) => client::logs(args).await,
            Command::Stop(args) => client::stop(args).await,
            Command::Delete(args) => client::delete(args).await,
            Command::Supervisor { .. } => Ok(()), // never gets here; see `main`
        }
    })
}
