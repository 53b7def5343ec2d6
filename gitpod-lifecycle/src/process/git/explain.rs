//! What it means when git fails, and what to do about it.

use super::source::{Checked, Revision};
use crate::content::ContentError;

/// Why a clone of `source` failed, from what git said in the C locale.
pub(super) fn explain(source: &Checked, said: &str) -> ContentError {
    let shown = &source.shown;
    let says = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
    if says(&["No space left on device", "Disk quota exceeded"]) {
        return ContentError::Full(shown.clone());
    }
    if says(&NO_REVISION) {
        return ContentError::NotFound(no_revision(&source.revision, shown));
    }
    match KNOWN.iter().find(|(parts, _)| says(parts)) {
        Some((_, advice)) => ContentError::NotFound(advice.replace("{}", shown)),
        None => ContentError::failed(format!(
            "git cannot clone {shown}: {}",
            without(said, source, shown)
        )),
    }
}

const NO_REVISION: [&str; 5] = [
    "Remote branch",
    "couldn't find remote ref",
    "not our ref",
    "unable to read tree",
    "reference is not a tree",
];

/// What git says, and what that means for the repository `{}`.
const KNOWN: [(&[&str], &str); 5] = [
    (
        &[
            "could not read Username",
            "could not read Password",
            "Authentication failed",
            "Permission denied (",
        ],
        "{} cannot be read: it does not exist, or it needs credentials, which nobody is asked for here; \
         set up a credential helper of git, or an ssh agent",
    ),
    (
        &["dubious ownership"],
        "{} belongs to another user, so git does not read it; if you trust it, run \
         `git config --global --add safe.directory {}`",
    ),
    (
        &["Host key verification failed"],
        "the host of {} is not trusted yet; connect to it once with ssh to check its key",
    ),
    (
        &["Could not resolve host"],
        "the host of {} is not known; check the URL and the network",
    ),
    (
        &[
            "does not exist",
            "not found",
            "does not appear to be a git repository",
            "Could not read from remote",
        ],
        "there is no git repository at {}, or it may not be read; check the URL or path",
    ),
];

fn no_revision(wanted: &Revision, shown: &str) -> String {
    match wanted {
        Revision::Named(name) => format!(
            "{shown} has no branch or tag `{name}`; `git ls-remote {shown}` lists what it has"
        ),
        Revision::Commit(hash) => {
            format!("{shown} has no commit {hash}; check the hash, or name a branch")
        }
        Revision::Default => format!("{shown} has no default branch; name a branch"),
    }
}

/// What git said, without credentials that the URL may hold.
fn without(said: &str, source: &Checked, shown: &str) -> String {
    match said.is_empty() {
        true => "it did not say why".to_owned(),
        false => said.replace(&source.given, shown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::GitSource;

    #[test]
    fn every_failure_says_what_to_do_and_none_shows_credentials() {
        let mut source = GitSource::new("https://me:s3cret@example.com/x");
        source.branch = Some("topic".to_owned());
        let checked = Checked::of(&source).unwrap();
        for (said, expected) in [
            (
                "fatal: Remote branch topic not found in upstream origin",
                "has no branch or tag `topic`",
            ),
            (
                "fatal: could not read Username for 'https://example.com': terminal prompts disabled",
                "credential helper",
            ),
            (
                "remote: Repository not found.\nfatal: repository 'https://example.com/x/' not found",
                "check the URL or path",
            ),
            (
                "fatal: unable to access 'https://example.com/x/': Could not resolve host: example.com",
                "check the URL and the network",
            ),
            (
                "fatal: write error: No space left on device",
                "free some space",
            ),
            (
                "fatal: detected dubious ownership in repository at '/x'",
                "safe.directory",
            ),
            (
                "Host key verification failed.",
                "connect to it once with ssh",
            ),
            (
                "fatal: unable to access 'https://me:s3cret@example.com/x': boom",
                "git cannot clone",
            ),
            ("", "did not say why"),
        ] {
            let text = explain(&checked, said).whole_text();
            assert!(text.contains(expected), "{said}: {text}");
            assert!(!text.contains("s3cret"), "{text}");
        }
    }
}
