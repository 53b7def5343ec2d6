use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Editors we know, in the order in which `"auto"` looks for them: program, and the arguments that make it listen on a port of
/// loopback without a password of its own, since the proxy in front admits only who may.
const KNOWN: &[(&str, &[&str])] = &[
    (
        "openvscode-server",
        &[
            "--host",
            "127.0.0.1",
            "--port",
            "{port}",
            "--without-connection-token",
            "--default-folder",
            "{content}",
        ],
    ),
    (
        "code-server",
        &[
            "--bind-addr",
            "127.0.0.1:{port}",
            "--auth",
            "none",
            "--disable-telemetry",
            "--disable-update-check",
            "{content}",
        ],
    ),
    ("jupyter-lab", JUPYTER),
    ("jupyter", JUPYTER),
];
/// `{host}` is the workspace's own name, the only one besides localhost that Jupyter then accepts: a page elsewhere cannot reach
/// it by pointing its own name at loopback. The proxy keeps Host and Origin, so Jupyter's check that they agree holds.
const JUPYTER: &[&str] = &[
    "--no-browser",
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port={port}",
    "--ServerApp.port_retries=0",
    "--ServerApp.root_dir={content}",
    "--ServerApp.local_hostnames={host}",
    "--IdentityProvider.token=",
    "--PasswordIdentityProvider.hashed_password=",
];

pub(crate) fn installed() -> Option<Vec<String>> {
    let found = KNOWN
        .iter()
        .find(|(program, _)| find_program(program).is_some());
    found.map(|(program, _)| completed(&lab(program)))
}

/// `jupyter` needs to be told which of its applications.
fn lab(program: &str) -> Vec<String> {
    let words: &[&str] = if program == "jupyter" {
        &["jupyter", "lab"]
    } else {
        &[program]
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A known program without a `{port}` gets the arguments it needs.
pub(crate) fn completed(command: &[String]) -> Vec<String> {
    let mut command = command.to_vec();
    let program = command
        .first()
        .map_or("", |program| name_of(program))
        .to_owned();
    let known = KNOWN.iter().find(|(name, _)| *name == program);
    if let Some((_, arguments)) =
        known.filter(|_| !command.iter().any(|word| word.contains("{port}")))
    {
        command.extend(arguments.iter().map(|word| (*word).to_owned()));
        if program.starts_with("jupyter") && rustix::process::geteuid().is_root() {
            command.push("--allow-root".to_owned());
        }
    }
    command
}

pub(crate) fn name_of(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// The file that runs as `program`, looked up in `PATH`.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let executable = |path: &Path| {
        path.metadata()
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(program))
        .find(|path| executable(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_editors_get_their_arguments_and_others_what_is_written() {
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        assert!(
            completed(&words(&["/opt/bin/jupyter", "lab"]))
                .contains(&"--ServerApp.port={port}".to_owned())
        );
        assert_eq!(
            completed(&words(&["jupyter", "lab", "--port={port}"])),
            words(&["jupyter", "lab", "--port={port}"])
        );
        assert_eq!(completed(&words(&["my-editor"])), words(&["my-editor"]));
        assert_eq!(lab("jupyter"), ["jupyter", "lab"]);
    }
}
