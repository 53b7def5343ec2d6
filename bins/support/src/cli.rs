//! What is typed to run a server.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args};
use tokio_util::sync::CancellationToken;

use crate::log::{self, Format};
use crate::{serve, stop};

/// Arguments of every `run`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct RunArgs {
    /// The configuration: a JSON file
    pub config: PathBuf,
    #[command(flatten)]
    /// How to log
    pub logs: LogArgs,
}

/// How a server logs, on standard error. `LOG_LEVEL` says what; see [`log`].
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct LogArgs {
    /// Log JSON objects, one a line; else text. True unless standard error is a terminal
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub json_log: Option<bool>,
    /// Log more: what LOG_LEVEL=debug logs
    #[arg(short, long, action = ArgAction::SetTrue)]
    pub verbose: bool,
}

impl LogArgs {
    fn format(&self) -> Format {
        let json = !std::io::stderr().is_terminal();
        match self.json_log.unwrap_or(json) {
            true => Format::Json,
            false => Format::Text,
        }
    }
}

/// Runs `serve` until it ends, or until a signal cancels what it is given; then says what came of it.
///
/// Exit codes: 0 if it was asked to end, 1 if anything went wrong.
pub fn run<F>(logs: &LogArgs, serve: impl FnOnce(CancellationToken) -> F) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
{
    if let Err(why) = log::start(logs.format(), logs.verbose) {
        eprintln!("error: {why:#}");
        return ExitCode::FAILURE;
    }
    serve::raise_descriptor_limit();
    match block_on(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            match logs.format() {
                Format::Json => {
                    let why: &(dyn std::error::Error + 'static) = why.as_ref();
                    tracing::error!(why, "cannot go on");
                }
                Format::Text => eprintln!("error: {why:?}"),
            }
            ExitCode::FAILURE
        }
    }
}

fn block_on<F>(serve: impl FnOnce(CancellationToken) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // They read files; more of them would only take memory.
        .max_blocking_threads(16)
        .build()?;
    runtime.block_on(async {
        let stop = stop::on_signals()?;
        serve(stop).await
    })
}
