//! The environment of a workspace.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;

use super::kill::MARKER;
use super::supervisor_file::SupervisorFile;
use crate::spec::Spec;

/// What programs need of the environment of this process: where they are, whose
/// they are, and in which language. Everything else is not inherited, as it may
/// hold credentials.
const INHERITED: [&str; 16] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "SSH_AUTH_SOCK",
];

/// Variables that workspaces inherit, with those of `more`.
pub(crate) fn inherited(more: &[OsString]) -> Vec<(OsString, OsString)> {
    let names = INHERITED
        .iter()
        .map(OsString::from)
        .chain(more.iter().cloned());
    let mut found: Vec<_> = names
        .filter_map(|name| Some((name.clone(), env::var_os(name)?)))
        .collect();
    if !found.iter().any(|(name, _)| name == "PATH") {
        found.push(("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()));
    }
    found
}

/// Variables that a workspace gets of its own.
///
/// **Source:** manager specification, section 9.1, as far as it makes sense for a
/// local process. As there, users cannot set what starts with `GITPOD_`, but for
/// a few.
pub(crate) fn of_workspace(spec: &Spec, file: &SupervisorFile) -> BTreeMap<String, String> {
    let content = file.content_dir.to_string_lossy().into_owned();
    let location = file.content_dir.join(relative(&spec.location));
    let mut variables: BTreeMap<String, String> = [
        ("GITPOD_REPO_ROOT", content.clone()),
        ("GITPOD_REPO_ROOTS", content),
        ("GITPOD_OWNER_ID", spec.owner.clone()),
        ("GITPOD_WORKSPACE_ID", spec.workspace.as_str().to_owned()),
        ("GITPOD_INSTANCE_ID", spec.instance.as_str().to_owned()),
        ("GITPOD_WORKSPACE_URL", file.workspace_url().to_owned()),
        ("GITPOD_WORKSPACE_CLASS", spec.class.clone()),
        (
            "THEIA_WORKSPACE_ROOT",
            location.to_string_lossy().into_owned(),
        ),
        (
            "GITPOD_HEADLESS",
            if spec.is_headless() {
                "true".to_owned()
            } else {
                String::new()
            },
        ),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    if let Some(identity) = &spec.git_identity {
        variables.insert("GITPOD_GIT_USER_NAME".to_owned(), identity.name.clone());
        variables.insert("GITPOD_GIT_USER_EMAIL".to_owned(), identity.email.clone());
    }
    for variable in spec.env.iter().filter(|variable| may_set(&variable.name)) {
        variables.insert(variable.name.clone(), variable.value.clone());
    }
    variables.insert(
        MARKER.to_owned(),
        file.instance_dir().to_string_lossy().into_owned(),
    );
    variables
}

/// Nobody gets out of the content by way of its location.
fn relative(location: &str) -> String {
    let parts = location
        .split('/')
        .filter(|part| !matches!(*part, "" | "." | ".."));
    parts.collect::<Vec<_>>().join("/")
}

fn may_set(name: &str) -> bool {
    let possible = !name.is_empty() && !name.contains(['=', '\0']);
    possible && (!name.starts_with("GITPOD_") || ALLOWED.contains(&name))
}

const ALLOWED: [&str; 9] = [
    "GITPOD_WORKSPACE_CONTEXT",
    "GITPOD_WORKSPACE_CONTEXT_URL",
    "GITPOD_TASKS",
    "GITPOD_RESOLVED_EXTENSIONS",
    "GITPOD_EXTERNAL_EXTENSIONS",
    "GITPOD_WORKSPACE_CLASS_INFO",
    "GITPOD_IDE_ALIAS",
    "GITPOD_RLIMIT_CORE",
    "GITPOD_IMAGE_AUTH",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_stays_within_the_content() {
        assert_eq!(relative("../../etc/./x/"), "etc/x");
        assert_eq!(relative("/abs"), "abs");
    }

    #[test]
    fn users_set_only_what_is_theirs() {
        for (name, allowed) in [
            ("FOO", true),
            ("GITPOD_TASKS", true),
            (MARKER, false),
            ("GITPOD_WORKSPACE_ID", false),
            ("", false),
            ("A=B", false),
        ] {
            assert_eq!(may_set(name), allowed, "{name:?}");
        }
    }
}
