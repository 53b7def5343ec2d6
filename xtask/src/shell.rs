//! Running other programs, and saying so.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Folder of the clone that this program was started in.
pub(crate) fn repository() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent()
        .map_or_else(|| here.clone(), Path::to_path_buf)
}

/// The cargo that runs this program, in the repository, without this package's own variables.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(repository()).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if is_of_this_package(&name) {
            command.env_remove(name);
        }
    }
    command
}

/// `cargo run` sets these for the program it runs; for another build they are wrong.
fn is_of_this_package(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// Runs `command` to its end and fails if it fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let text = announce(command);
    let status = command
        .status()
        .with_context(|| format!("cannot run `{text}`; is the program installed?"))?;
    if !status.success() {
        bail!("`{text}` failed ({status}); its messages are above");
    }
    Ok(())
}

/// Prints the command as one could type it, and gives that text back.
pub(crate) fn announce(command: &Command) -> String {
    let text = text_of(command);
    eprintln!("$ {text}");
    text
}

/// Standard output of `command`, or `None` if it cannot be run or fails.
pub(crate) fn output_of(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = output.status.success().then_some(output.stdout)?;
    Some(String::from_utf8_lossy(&text).trim().to_owned())
}

/// Where `program` is found on the search path.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

fn text_of(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// `word` as a shell reads it back.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announced_command_can_be_typed_in_a_shell() {
        let mut command = Command::new("/usr/bin/echo");
        command.args(["plain", "two words", "it's", ""]);
        assert_eq!(text_of(&command), r"echo plain 'two words' 'it'\''s' ''");
    }

    #[test]
    fn failing_program_is_named() {
        let why = run(Command::new("false").arg("x")).unwrap_err();
        assert!(why.to_string().starts_with("`false x` failed"));
    }

    #[test]
    fn program_that_does_not_exist_is_not_found() {
        assert!(which("sh").is_some());
        assert!(which("no-such-program").is_none());
    }
}
