use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::leader::{self, Controlling};
use super::sftp;
use crate::workspace::Workspace;

/// What a client wants to be run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Wanted {
    /// A login shell.
    Shell,
    /// A command line for the shell.
    Command(Vec<u8>),
    /// The server of file transfers.
    Sftp,
}

impl Wanted {
    /// The command that runs it in the content directory, in a session of its own, with the variables of the workspace and `more`.
    pub(super) fn command(
        &self,
        workspace: &Workspace,
        controlling: Controlling,
        more: &[(String, String)],
    ) -> Command {
        let shell = login_shell(std::env::var("SHELL").ok().as_deref());
        let name = shell.rsplit('/').next().unwrap_or(&shell);
        let mut command = match self {
            // The dash tells a shell that it is a login shell.
            Self::Shell => leader::command(controlling, &format!("-{name}"), &shell),
            Self::Command(line) => {
                let mut command = leader::command(controlling, name, &shell);
                command.arg("-c").arg(OsStr::from_bytes(line));
                command
            }
            Self::Sftp => sftp::command(),
        };
        command
            .current_dir(&workspace.config.content_dir)
            .env_remove("SUPERVISOR_LOG")
            .env("SHELL", &shell)
            .envs(workspace.config.environment())
            .envs(more.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// The user's shell, or else the best there is.
fn login_shell(named: Option<&str>) -> String {
    let candidates = named
        .filter(|path| path.starts_with('/'))
        .into_iter()
        .chain(["/bin/bash"]);
    candidates
        .into_iter()
        .find(|path| is_program(Path::new(path)))
        .unwrap_or("/bin/sh")
        .to_owned()
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_that_does_not_exist_is_replaced() {
        assert_eq!(login_shell(Some("/bin/sh")), "/bin/sh");
        for named in [None, Some("sh"), Some("/nowhere/sh"), Some("/etc/passwd")] {
            assert!(
                ["/bin/bash", "/bin/sh"].contains(&login_shell(named).as_str()),
                "{named:?}"
            );
        }
    }
}
