//! `cargo xtask test`: installs what the tests need, runs all of them, adds up.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;

use self::summary::Summary;
use crate::install;
use crate::shell::{announce, cargo, quoted, repository};
use crate::vectors;
use crate::vectors::report::Tally;

mod summary;

/// Runs everything; the last line on `out` is `N passed, N failed, N skipped`.
pub(crate) fn run(out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let provided = install::provide()?;
    let mut all = Suites::default();
    let mut command = cargo();
    command.args(CARGO_TEST).envs(provided.0);
    all.add("cargo test", cargo_test(&mut command, out)?);
    for file in vector_files()? {
        let name = format!("vectors {}", file.display());
        writeln!(out, "\n{name}")?;
        let tally = vectors::replay_file(&file, None, &mut *out).with_context(|| name.clone())?;
        all.add(&name, Suite::finished(tally));
    }
    all.finish(out)
}

/// As [`run`] begins, for those who then call `cargo test` themselves.
pub(crate) fn set_up(out: &mut impl Write) -> anyhow::Result<ExitCode> {
    for (name, value) in install::provide()?.0 {
        writeln!(out, "export {name}={}", quoted(&value.to_string_lossy()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Unit, integration and doc tests with the examples and the fuzz corpus.
const CARGO_TEST: [&str; 4] = ["test", "--workspace", "--all-features", "--no-fail-fast"];

fn vector_files() -> anyhow::Result<Vec<PathBuf>> {
    let folder = repository().join("testdata");
    let mut files = Vec::new();
    for entry in
        std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.to_string_lossy().ends_with("-cases.json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Passes on what `cargo test` prints, and counts.
fn cargo_test(command: &mut Command, out: &mut impl Write) -> anyhow::Result<Suite> {
    let text = announce(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{text}`"))?;
    let mut summary = Summary::default();
    let printed = child.stdout.take().context("cargo has no output")?;
    for line in BufReader::new(printed).split(b'\n') {
        let line = line?;
        out.write_all(&line)?;
        out.write_all(b"\n")?;
        summary.read(&String::from_utf8_lossy(&line));
    }
    let status = child.wait()?;
    for why in summary.reasons() {
        writeln!(out, "skipped: {why}")?;
    }
    let tally = summary.tally();
    Ok(Suite {
        tally,
        // Red without a failed test: it did not compile, or a test program was killed.
        broken: !status.success() && tally.failed == 0,
    })
}

/// What one run gave.
#[derive(Clone, Copy, Debug)]
struct Suite {
    tally: Tally,
    broken: bool,
}

impl Suite {
    fn finished(tally: Tally) -> Self {
        Self {
            tally,
            broken: false,
        }
    }
}

/// What all runs gave, in their order.
#[derive(Debug, Default)]
struct Suites(Vec<(String, Suite)>);

impl Suites {
    fn add(&mut self, name: &str, suite: Suite) {
        let name = Path::new(name)
            .strip_prefix(repository())
            .map_or(name.to_owned(), |short| short.display().to_string());
        self.0.push((name, suite));
    }

    fn finish(&self, out: &mut impl Write) -> anyhow::Result<ExitCode> {
        let mut sum = Tally::default();
        writeln!(out)?;
        for (name, suite) in &self.0 {
            let mut tally = suite.tally;
            // A run that ended early counts, or a red run could look green.
            tally.failed += usize::from(suite.broken);
            let remark = if suite.broken {
                " (did not run to its end)"
            } else {
                ""
            };
            writeln!(out, "{tally}: {name}{remark}")?;
            sum = sum + tally;
        }
        writeln!(out, "{sum}")?;
        out.flush()?;
        Ok(if sum.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(suites: &[(Tally, bool)]) -> (ExitCode, String) {
        let mut all = Suites::default();
        for (tally, broken) in suites {
            let suite = Suite {
                tally: *tally,
                broken: *broken,
            };
            all.add("suite", suite);
        }
        let mut out = Vec::new();
        let code = all.finish(&mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    fn passed(passed: usize) -> Tally {
        Tally {
            passed,
            ..Tally::default()
        }
    }

    #[test]
    fn last_line_is_the_sum_over_all_suites() {
        let (code, out) = finished(&[(passed(3), false), (passed(4), false)]);
        assert_eq!(code, ExitCode::SUCCESS);
        assert!(out.ends_with("\n7 passed, 0 failed, 0 skipped\n"), "{out}");
    }

    #[test]
    fn suite_that_does_not_compile_is_a_failure() {
        let (code, out) = finished(&[(passed(3), false), (passed(0), true)]);
        assert_eq!(code, ExitCode::FAILURE);
        assert!(out.ends_with("\n3 passed, 1 failed, 0 skipped\n"), "{out}");
    }

    #[test]
    fn output_of_a_test_run_is_passed_on_and_counted() {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "echo 'test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured'; exit 0",
        ]);
        let mut out = Vec::new();
        let suite = cargo_test(&mut command, &mut out).unwrap();
        assert_eq!(suite.tally.to_string(), "2 passed, 0 failed, 1 skipped");
        assert!(!suite.broken);
        assert!(out.starts_with(b"test result: ok."));
    }

    #[test]
    fn red_run_without_a_failed_test_is_broken() {
        let mut command = Command::new("sh");
        command.args(["-c", "exit 101"]);
        assert!(cargo_test(&mut command, &mut Vec::new()).unwrap().broken);
    }
}
