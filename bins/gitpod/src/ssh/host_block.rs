//! How OpenSSH is told to reach workspaces by name.

use std::fmt::Write;
use std::path::Path;

use super::{HOST_KEY_ALIAS, SshDir, UnquotablePath, config_path, shell_word};

/// Workspace `ID` is the host `ID.gitpod`.
pub(crate) const SUFFIX: &str = ".gitpod";

/// Blocks of `ssh_config` for the workspaces `ids`.
///
/// They name no port: the proxy command asks the `up` of `state_dir` where it listens.
///
/// # Errors
///
/// [`UnquotablePath`] if one of the paths cannot be written so.
pub(crate) fn host_block(
    program: &Path,
    state_dir: &Path,
    ids: &[String],
) -> Result<String, UnquotablePath> {
    let mut text = String::new();
    if ids.is_empty() {
        text.push_str("# No workspaces.\n");
        return Ok(text);
    }
    for id in ids {
        let _ = writeln!(text, "Host {id}{SUFFIX}\n    User {id}");
    }
    let hosts: Vec<String> = ids.iter().map(|id| format!("{id}{SUFFIX}")).collect();
    let dir = SshDir::of(state_dir);
    let _ = write!(
        text,
        "Host {}
    ProxyCommand {}
    HostKeyAlias {HOST_KEY_ALIAS}
    UserKnownHostsFile {}
    StrictHostKeyChecking yes
    IdentityFile {}
    IdentitiesOnly yes
",
        hosts.join(" "),
        proxy_command(program, state_dir)?,
        config_path(&dir.known_hosts())?,
        config_path(&dir.own_key())?,
    );
    Ok(text)
}

/// A line for a shell, in which OpenSSH fills in the host.
fn proxy_command(program: &Path, state_dir: &Path) -> Result<String, UnquotablePath> {
    // Checked as paths are, and then quoted for a shell instead.
    for path in [program, state_dir] {
        config_path(path)?;
    }
    let word = |path: &Path| shell_word(&path.display().to_string()).replace('%', "%%");
    Ok(format!(
        "{} ssh --stdio --state-dir {} %n",
        word(program),
        word(state_dir)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workspace_has_a_user_and_the_rest_is_said_once() {
        let ids = [
            "pink-panda-ns35kd21".to_owned(),
            "red-fox-ns35kd21".to_owned(),
        ];
        let text = host_block(Path::new("/bin/gitpod"), Path::new("/my state"), &ids).unwrap();
        let expected = "\
Host pink-panda-ns35kd21.gitpod
    User pink-panda-ns35kd21
Host red-fox-ns35kd21.gitpod
    User red-fox-ns35kd21
Host pink-panda-ns35kd21.gitpod red-fox-ns35kd21.gitpod
    ProxyCommand /bin/gitpod ssh --stdio --state-dir '/my state' %n
    HostKeyAlias gitpod
    UserKnownHostsFile \"/my state/ssh/known_hosts\"
    StrictHostKeyChecking yes
    IdentityFile \"/my state/ssh/id_ed25519\"
    IdentitiesOnly yes
";
        assert_eq!(text, expected);
    }
}
