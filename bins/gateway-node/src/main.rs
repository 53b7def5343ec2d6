//! `gateway-node`: makes this machine a host of an overlay network.

mod config;
mod follow;
mod join;
mod keep;
mod nebula;
mod wire;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use support::cli::RunArgs;

/// Makes this machine a host of an overlay network.
///
/// It makes the keys of the host, whose private halves never leave it; joins with a token of `gateway-server
/// host add`; writes the configuration of the real `nebula` (Debian package nebula) and keeps that running;
/// asks for a new certificate in time, and every minute what has changed.
///
/// nebula needs /dev/net/tun and CAP_NET_ADMIN, except on a lighthouse. Attestation by a cloud in the place of
/// a token comes with a later version.
#[derive(Debug, Parser)]
#[command(name = "gateway-node", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be a host until SIGTERM or SIGINT
    Run(RunArgs),
    /// Check the configuration, and end
    Check(RunArgs),
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
