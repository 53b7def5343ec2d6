//! What a maintainer runs: `cargo xtask vectors`, `cargo xtask test`, and the steps of the gate.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod cache;
mod gate;
mod install;
mod shell;
mod test;
mod torture;
mod vectors;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    about = "What a maintainer of this repository runs"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what the tests need, say what is installed, and run all tests
    Test,
    /// Only install what the tests need, and print it as variables for a shell that runs `cargo test`
    Setup,
    /// Replay a file of test vectors and compare what this code does with what it should do
    Vectors {
        /// A file in one of the formats of testdata/*-cases.json
        file: PathBuf,
        /// Only the cases of this group
        #[arg(long)]
        group: Option<String>,
    },
    /// Compile every feature of every library alone
    Features,
    /// Check licences, sources and banned crates
    Deny,
    /// Run every fuzz target for a while
    Fuzz {
        /// How long each target runs
        #[arg(long, default_value_t = 10)]
        seconds: u32,
    },
    /// Try the README's first command from a fresh clone
    FirstCommand,
    /// Kill `gitpod up` at random moments, start it again, and check that its promises hold
    Torture(torture::Torture),
}

/// The command could not be done at all, as opposed to "done, and something failed".
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let out = &mut std::io::stdout().lock();
    let result = match Arguments::parse().task {
        Task::Test => test::run(out),
        Task::Setup => test::set_up(out),
        Task::Features => gate::features::check_each().map(done),
        Task::Deny => gate::deny::check().map(done),
        Task::Fuzz { seconds } => gate::fuzz::run_each(seconds).map(done),
        Task::FirstCommand => gate::first_command::check().map(done),
        Task::Torture(torture) => torture::run(&torture, out),
        Task::Vectors { file, group } => vectors::run(&file, group.as_deref(), out),
    };
    result.unwrap_or_else(|why| {
        eprintln!("error: {why:#}");
        ExitCode::from(USAGE)
    })
}

fn done((): ()) -> ExitCode {
    ExitCode::SUCCESS
}
