//! `ws-manager-bridge`: statuses of ws-managers into a database.

mod announce;
mod config;
mod listed;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use support::cli::LogArgs;

/// Carries the statuses of workspaces from ws-managers into a database, in order and exactly once, and
/// announces what has changed: one JSON object a line on standard output, at least once each.
///
/// The database is an SQLite file (store.sqlite). Postgres, Redis and the registry of clusters
/// (ClusterService) come with later versions: what is configured for them is named in the log, and does
/// nothing.
#[derive(Debug, Parser)]
#[command(name = "ws-manager-bridge", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Carry until SIGTERM or SIGINT
    Run(BridgeArgs),
    /// Check the configuration, and end
    Check(BridgeArgs),
}

#[derive(Args, Debug)]
struct BridgeArgs {
    /// The configuration: a JSON file
    #[arg(env = "WSMAN_BRIDGE_CONFIGPATH")]
    config: PathBuf,
    #[command(flatten)]
    logs: LogArgs,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => support::cli::run(&args.logs, async |stop| {
            let config = support::config::load(&args.config, config::check)?;
            wire::run(config, stop).await
        }),
        Command::Check(args) => support::cli::run(&args.logs, async |_| {
            support::config::load(&args.config, config::check).map(drop)
        }),
    }
}
