//! `ws-manager`: workspaces as local processes, over gRPC.

mod config;
mod count_calls;
mod wire;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use support::cli::RunArgs;

/// Runs workspaces as processes of this user on this machine, and serves the gRPC service
/// `wsman.WorkspaceManager`.
///
/// This version knows local processes only: Kubernetes, and with it classes' pod templates, image builds
/// and leader election, comes with a later one. Workspaces are not isolated from each other nor from this
/// user. They go on when this program ends, and are found again when it starts.
#[derive(Debug, Parser)]
#[command(name = "ws-manager", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT
    Run(RunArgs),
    /// Check the configuration, and end
    Check(RunArgs),
    /// The first process of a workspace; started by `run`
    #[command(hide = true, disable_help_flag = true)]
    Supervisor {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Supervisor { args } => {
            let name = std::iter::once("supervisor".into());
            supervisor::main_from(name.chain(args))
        }
        Command::Run(args) => support::cli::run(&args.logs, async |stop| {
            let config = support::config::load(&args.config, config::check)?;
            wire::run(config, stop).await
        }),
        Command::Check(args) => support::cli::run(&args.logs, async |_| {
            support::config::load(&args.config, config::check).map(drop)
        }),
    }
}
