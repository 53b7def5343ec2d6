//! Where content comes from.

use prost::Message;

use crate::grpc::error::Invalid;
use crate::grpc::generated::contentservice::workspace_initializer::Spec as Way;
use crate::grpc::generated::contentservice::{
    CloneTargetMode, GitAuthMethod, GitConfig, GitInitializer, WorkspaceInitializer,
};
use crate::grpc::policy::Initializers;
use crate::spec::{ContentSource, GitSource};

/// What `initializer` says, in our words where they suffice.
///
/// Repositories are cloned with their whole history whatever `full_clone` says:
/// it saves time only, and a commit may be asked for that is not the newest.
pub(super) fn content_of(
    initializer: &WorkspaceInitializer,
    taken: Initializers,
) -> Result<ContentSource, Invalid> {
    let beyond = match &initializer.spec {
        None => return Err(invalid("names no way that is known here")),
        Some(Way::Empty(_)) => return Ok(ContentSource::Empty),
        Some(Way::Git(git)) => match source_of(git) {
            Ok(source) => return Ok(ContentSource::Git(source)),
            Err(beyond) => beyond,
        },
        Some(Way::Backup(_)) => {
            "`backup` is not supported here: start with `git` or `empty`, the files of earlier runs are kept"
        }
        Some(Way::Snapshot(_)) => "`snapshot` is not supported here, use `git` or `empty`",
        Some(Way::Prebuild(_)) => "`prebuild` is not supported here, use `git` or `empty`",
        Some(Way::Composite(_)) => "`composite` is not supported here, use `git` or `empty`",
        Some(Way::Download(_)) => "`download` is not supported here, use `git` or `empty`",
    };
    match taken {
        Initializers::Any => Ok(ContentSource::Initializer(initializer.encode_to_vec())),
        Initializers::EmptyAndGit => Err(invalid(beyond)),
    }
}

/// The same as a [`GitSource`], or what that cannot say.
fn source_of(git: &GitInitializer) -> Result<GitSource, &'static str> {
    let mode = CloneTargetMode::try_from(git.target_mode)
        .map_err(|_| "`git.target_mode` has an unknown number")?;
    let branch = match mode {
        CloneTargetMode::RemoteHead => None,
        CloneTargetMode::RemoteCommit | CloneTargetMode::RemoteBranch => {
            Some(git.clone_taget.clone()).filter(|target| !target.is_empty())
        }
        CloneTargetMode::LocalBranch => {
            return Err(
                "`git.target_mode` LOCAL_BRANCH is not supported here, name a branch of the remote",
            );
        }
    };
    if !git.upstream_remote_uri.is_empty() {
        return Err("`git.upstream_Remote_uri` is not supported here");
    }
    if git.config.as_ref().is_some_and(carries_something) {
        return Err(
            "`git.config` is not supported here: set git up so that it finds settings and credentials itself",
        );
    }
    let mut source = GitSource::new(&*git.remote_uri);
    source.branch = branch;
    source.checkout_location.clone_from(&git.checkout_location);
    Ok(source)
}

fn carries_something(config: &GitConfig) -> bool {
    config.authentication != i32::from(GitAuthMethod::NoAuth) || !config.custom_config.is_empty()
}

fn invalid(why: &str) -> Invalid {
    Invalid::new("spec.initializer", why)
}
