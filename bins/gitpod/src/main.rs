//! The whole system in one process, and the commands that talk to it.

mod cli;
mod client;
mod exit;
mod gitpod_yml;
mod local;
mod port;
mod print;
mod private_file;
mod repository;
mod ssh;
mod state_dir;
mod up;
mod usage;
mod workspaces;

use std::process::ExitCode;
use std::time::Duration;

use support::log::{self, Format};

use self::cli::Command;
use self::exit::{Failure, Kind};
use self::usage::Answer;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let typed: Vec<_> = std::env::args_os().collect();
    let command = match usage::read(&typed).map(|cli| cli.command) {
        // A process of its own inside the workspace, with its own runtime.
        Ok(Command::Supervisor { args }) => {
            let name = std::iter::once("supervisor".into());
            return supervisor::main_from(name.chain(args));
        }
        Ok(command) => command,
        Err(Answer::Help(help)) => help.exit(),
        Err(Answer::Mistake(text)) => {
            print::note(&text);
            return Kind::Usage.code();
        }
    };
    // Logs go to standard error, so that standard output stays what was asked for.
    let filter = log_filter(std::env::var("GITPOD_LOG").ok());
    if log::start_with(Format::Text, &filter).is_err() {
        // What was asked for is no filter.
        let _ = log::start_with(Format::Text, "warn");
    }
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            print::note(&failure.to_string());
            failure.code()
        }
    }
}

/// What `wanted` says. Whoever wants much of us gets less of libraries, unless they are named.
fn log_filter(wanted: Option<String>) -> String {
    let wanted = wanted.unwrap_or_else(|| "warn".to_owned());
    match wanted.contains("debug") || wanted.contains("trace") {
        true => format!("{QUIET_LIBRARIES},{wanted}"),
        false => wanted,
    }
}

/// They tell of every frame, packet and query.
const QUIET_LIBRARIES: &str = "h2=info,hyper_util=info,russh=info,sqlx=info,tonic=info";

fn run(command: Command) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // They read files and /proc; more of them would only take memory.
        .max_blocking_threads(16)
        .build()
        .map_err(|why| Failure::failed("cannot start").because(&why))?;
    let done = runtime.block_on(carry_out(command));
    // What hangs in a file system must not keep the process.
    runtime.shutdown_timeout(LAST_WRITES);
    done
}

/// Files that are being written are whole by then, or their disk does not work.
const LAST_WRITES: Duration = Duration::from_secs(5);

async fn carry_out(command: Command) -> Result<(), Failure> {
    match command {
        Command::Up(args) => up::up(args.try_into()?).await,
        Command::Start(args) => client::start(args).await,
        Command::List(args) => client::list(args).await,
        Command::Describe(args) => client::describe(args).await,
        Command::Logs(args) => client::logs(args).await,
        Command::Ssh(args) => client::ssh(args).await,
        Command::SshKey(args) => client::ssh_key(args).await,
        Command::SshConfig(args) => client::ssh_config(args).await,
        Command::Open(args) => client::open(args).await,
        Command::Ports(args) => client::ports(args).await,
        Command::Share(args) => client::share(args).await,
        Command::Unshare(args) => client::unshare(args).await,
        Command::Timeout(args) => client::timeout(args).await,
        Command::Wake(args) => client::wake(args).await,
        Command::Doctor(args) => client::doctor(args).await,
        Command::Completion(args) => client::completion(&args),
        Command::Man(args) => client::man(&args),
        Command::Version(args) => client::version(args).await,
        Command::Stop(args) => client::stop(args).await,
        Command::Delete(args) => client::delete(args).await,
        Command::Supervisor { .. } => Ok(()), // never gets here; see `main`
    }
}
