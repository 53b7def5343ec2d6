//! `cargo xtask fuzz`: some seconds of every fuzz target.

use std::process::Command;

use anyhow::{Context, bail};

use crate::install::{self, cargo_tool::CARGO_FUZZ};
use crate::shell::{output_of, repository, run};

/// The crates forbid `unsafe`, so the address sanitizer would find nothing, and it needs a nightly compiler.
const SANITIZER: &str = "none";

pub(crate) fn run_each(seconds: u32) -> anyhow::Result<()> {
    install::provide_for_fuzzing()?;
    let targets = targets()?;
    for target in &targets {
        let time = format!("-max_total_time={seconds}");
        run(fuzz()?.args([
            "run",
            "--sanitizer",
            SANITIZER,
            target,
            "--",
            &time,
            "-verbosity=0",
        ]))
        .with_context(|| {
            format!("fuzz target {target} found an input; it is in fuzz/artifacts/{target}")
        })?;
    }
    eprintln!(
        "{} fuzz targets, {seconds} s each: nothing found",
        targets.len()
    );
    Ok(())
}

fn targets() -> anyhow::Result<Vec<String>> {
    let list =
        output_of(fuzz()?.arg("list")).context("`cargo fuzz list` failed; run it to see why")?;
    let targets: Vec<String> = list.lines().map(str::to_owned).collect();
    if targets.is_empty() {
        bail!(
            "no fuzz target found in {}",
            repository().join("fuzz").display()
        );
    }
    Ok(targets)
}

/// `cargo fuzz`, from the cache rather than from the search path.
fn fuzz() -> anyhow::Result<Command> {
    let program = CARGO_FUZZ.provide()?;
    let mut command = Command::new(program);
    command.arg("fuzz").current_dir(repository());
    Ok(command)
}
