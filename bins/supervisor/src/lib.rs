//! The first process of a workspace: it runs the repository's tasks, watches which ports they serve, and answers on a unix
//! socket — status for the platform, a page for the user.
//!
//! ```text
//! supervisor.json → config → bind socket → read .gitpod.yml → start tasks, editor → watch ports ─┐
//!                                                                                                ├→ status, events, page
//! SIGTERM → stop: SIGTERM to every descendant, wait until none is left → exit 0 ─────────────────┘
//! ```
//!
//! [`main_from`] is the whole program, so that another binary can offer it as a subcommand:
//!
//! ```no_run
//! # fn main() -> std::process::ExitCode {
//! supervisor::main_from(std::env::args_os())
//! # }
//! ```
//!
//! It trusts whoever reaches its socket: the proxy in front decides who may. It does not isolate anything.

mod children;
mod config;
mod events;
mod ide;
mod limits;
mod log;
mod page;
mod ports;
mod probe;
mod run;
mod script;
mod serve;
mod socket;
mod stop;
mod task;
mod utf8;
mod workspace;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Runs inside a workspace: tasks, listening ports, status, the workspace's page.
#[derive(Debug, Parser)]
#[command(name = "supervisor", version)]
struct Arguments {
    /// The JSON file that describes the workspace.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs the supervisor until SIGTERM or SIGINT ends it. `arguments` start with the program's name.
///
/// Exits with 0 when it was told to stop and nothing of the workspace is left, 1 when it could not start, 2 for wrong usage.
/// It makes this process the parent of orphans and changes its resource limits: call it in a process of its own.
pub fn main_from(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match run::run(&arguments.config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
