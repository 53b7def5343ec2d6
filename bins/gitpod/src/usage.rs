//! A command line that makes no sense, and what to do about it.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::cli::Cli;

/// What was typed, or what to say instead.
pub(crate) fn read(typed: &[OsString]) -> Result<Cli, Answer> {
    Cli::try_parse_from(typed).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Answer::Help(error),
        _ => {
            let words = without_environment(&error.render().to_string(), typed);
            Answer::Mistake(explained(&words, &command(typed)))
        }
    })
}

/// What to say in the place of doing something.
#[derive(Debug)]
pub(crate) enum Answer {
    /// As clap has it, for whoever asked or said nothing at all.
    Help(clap::Error),
    /// Error, fix and usage.
    Mistake(String),
}

/// The parser's words in the order of all our errors: what is wrong, and what to do.
fn explained(words: &str, command: &str) -> String {
    let parts: Vec<&str> = words.split("\n\n").map(str::trim_end).collect();
    let what = parts.first().copied().unwrap_or_default();
    let tips = parts
        .iter()
        .flat_map(|part| part.lines())
        .filter_map(|line| line.trim_start().strip_prefix("tip: "));
    let more = format!("`{command} --help` shows how to write it, with examples");
    let fix: Vec<&str> = tips.chain([more.as_str()]).collect();
    let usage = parts.iter().find(|part| part.starts_with("Usage: "));
    let usage = usage.map_or(String::new(), |usage| format!("\n\n{usage}"));
    format!("{what}\n  fix: {}{usage}", fix.join("; "))
}

/// The parser's usage names what it has got, and takes the environment for typed.
fn without_environment(words: &str, typed: &[OsString]) -> String {
    let is_state_dir = |word: &OsString| word.to_string_lossy().starts_with("--state-dir");
    match typed.iter().any(is_state_dir) {
        true => words.to_owned(),
        false => words.replace(" --state-dir <DIR>", ""),
    }
}

/// `gitpod`, and the names of commands that follow.
fn command(typed: &[OsString]) -> String {
    let mut known = Cli::command();
    let mut words = vec!["gitpod".to_owned()];
    for word in typed.iter().skip(1) {
        let Some(next) = known.find_subcommand(word) else {
            break;
        };
        words.push(next.get_name().to_owned());
        known = next.clone();
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(typed: &[&str]) -> String {
        let typed: Vec<OsString> = typed.iter().map(OsString::from).collect();
        match read(&typed) {
            Err(Answer::Mistake(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_mistake_is_told_with_a_fix() {
        for (typed, what, fix) in [
            (
                &["gitpod", "lisst"][..],
                "unrecognized subcommand 'lisst'",
                "'list'",
            ),
            (
                &["gitpod", "list", "--colour"],
                "unexpected argument '--colour'",
                "`gitpod list --help`",
            ),
            (
                &["gitpod", "open", "x", "--port", "+80"],
                "`+80` is no port",
                "`gitpod open --help`",
            ),
            (
                &["gitpod", "ssh-key", "remove"],
                "required arguments",
                "`gitpod ssh-key remove --help`",
            ),
            (
                &["gitpod", "up", "--listen", "127.0.0.1:70000"],
                "127.0.0.1:70000",
                "`gitpod up --help`",
            ),
            (
                &["gitpod", "share", "x", "--list", "--port", "1"],
                "cannot be used with",
                "`gitpod share --help`",
            ),
        ] {
            let told = told(typed);
            assert!(told.starts_with("error: "), "{told}");
            assert!(told.contains(what), "{told}");
            let fixes = told.lines().find(|line| line.starts_with("  fix: "));
            assert!(fixes.is_some_and(|line| line.contains(fix)), "{told}");
            assert!(!told.contains("For more information"), "{told}");
        }
    }

    #[test]
    fn help_and_version_are_no_mistakes() {
        for typed in [&["gitpod"][..], &["gitpod", "--help"], &["gitpod", "-V"]] {
            let typed: Vec<OsString> = typed.iter().map(OsString::from).collect();
            assert!(matches!(read(&typed), Err(Answer::Help(_))), "{typed:?}");
        }
    }
}
