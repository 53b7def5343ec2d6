//! What a maintainer runs: `cargo xtask vectors`, `cargo xtask test`, and the steps of the gate.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// Replay a file of test vectors and compare what this code does with what it should do
    Vectors {
        /// A file in one of the formats of testdata/*-cases.json
        file: PathBuf,
        /// Only the cases of this group
        #[arg(long)]
        group: Option<String>,
    },
}

/// The command could not be done at all, as opposed to "done, and something failed".
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let out = &mut std::io::stdout().lock();
    let done = match Arguments::parse().task {
        Task::Vectors { file, group } => vectors::run(&file, group.as_deref(), out),
    };
    done.unwrap_or_else(|why| {
        eprintln!("error: {why:#}");
        ExitCode::from(USAGE)
    })
}
