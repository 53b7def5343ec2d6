//! Every example prints what its documentation says.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The program that cargo has built for example `name`.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    profile.join("examples").join(name)
}

/// The text block behind `Prints:` in the documentation of `file`.
fn documented_output(file: &Path) -> Option<String> {
    let source = std::fs::read_to_string(file).unwrap();
    let (_, after) = source.split_once("//! Prints:\n//!\n//! ```text\n")?;
    let (block, _) = after.split_once("//! ```")?;
    let lines = block.lines().map(|line| line.trim_start_matches("//!"));
    Some(
        lines
            .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
            .collect(),
    )
}

#[test]
fn output_is_what_the_documentation_says() {
    for name in [
        "axum_fallback",
        "beside_tonic",
        "plain_hyper",
        "ssh_gateway",
    ] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{name}.rs"));
        let expected = documented_output(&file).unwrap();
        let output = Command::new(program(name)).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {errors}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{name}");
    }
}
