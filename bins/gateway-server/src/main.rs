//! `gateway-server`: keeps an overlay network.

mod admin;
mod api;
mod authority;
mod config;
mod operator;
mod wire;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use support::cli::RunArgs;

/// Keeps an overlay network of Nebula hosts: signs their certificates, lets them join with tokens that are good
/// once, tells them what has changed, and shuts hosts out.
///
/// Operators reach it through a unix socket in its state directory, which only its own user can open; hosts
/// reach it over TLS. State is in a file of that directory: one server for one network. DynamoDB, operators
/// from elsewhere (JWT), and an authority that follows another one come with later versions.
#[derive(Debug, Parser)]
#[command(name = "gateway-server", version)]
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
    /// Hosts of the network of a server that runs
    #[command(subcommand)]
    Host(operator::HostCommand),
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
        Command::Host(command) => operator::run(command),
    }
}
