//! `ws-proxy`: see the library part.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use support::cli::RunArgs;
use ws_proxy::{config, wire};

/// Routes HTTP and WebSocket to workspaces, at hostnames of their own.
///
/// Which workspaces there are comes from a ws-manager over gRPC (wsManager.addr). This version reaches
/// workspaces that are local processes of the same user (local.stateDir). Kubernetes, SSH and the files of
/// editors (blobServer) come with later ones: what is configured for them is named in the log, and does
/// nothing.
#[derive(Debug, Parser)]
#[command(name = "ws-proxy", version)]
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
}

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => support::cli::run(&args.logs, async |stop| {
            let config = support::config::load(&args.config, config::check)?;
            wire::run(config, stop).await
        }),
        Command::Check(args) => support::cli::run(&args.logs, async |_| {
            let config = support::config::load(&args.config, config::check)?;
            wire::Parts::open(config).map(drop)
        }),
    }
}
