//! Where local workspaces keep what.

use std::path::{Path, PathBuf};

use gitpod_routing::InstanceId;

use super::reserve::Reserve;
use crate::content::ContentError;
use crate::spec::WorkspaceName;

/// The directory that holds all local workspaces and their instances.
///
/// ```text
/// instances/<instance>/record.json       spec and status
///                     /runner.json       which process it is
///                     /supervisor.json   what the supervisor is told
///                     /supervisor.sock   where it listens
///                     /supervisor.log    what it prints
///                     /ssh.sock          where it speaks SSH, if it does
///                     /ssh_host_key.pub  as whom
///                     /network/          its own network, if it has one
/// workspaces/<workspace>/content/        files
///                       /logs/<instance>/<task>.log
///                       /state/          what the supervisor remembers
///                       /content.json    whether the content is complete
/// reserve/                               room that is given back on a full disk
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Everything below `root`, an absolute path.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Directory of all instances.
    #[must_use]
    pub fn instances(&self) -> PathBuf {
        self.root.join("instances")
    }

    /// Room that is given back when the disk is full.
    #[must_use]
    pub fn reserve(&self) -> Reserve {
        Reserve::new(self.root.join("reserve"))
    }

    /// Directory of one instance.
    #[must_use]
    pub fn instance(&self, instance: &InstanceId) -> PathBuf {
        self.instances().join(instance.as_str())
    }

    /// Socket of the supervisor of `instance`.
    #[must_use]
    pub fn socket(&self, instance: &InstanceId) -> PathBuf {
        self.instance(instance).join("supervisor.sock")
    }

    /// What the supervisor of `instance` prints.
    #[must_use]
    pub fn supervisor_log(&self, instance: &InstanceId) -> PathBuf {
        self.instance(instance).join("supervisor.log")
    }

    /// Where the supervisor of `instance` speaks SSH, if
    /// [the settings](super::ProcessSettings::with_ssh_user_ca) want it to.
    #[must_use]
    pub fn ssh_socket(&self, instance: &InstanceId) -> PathBuf {
        self.instance(instance).join(SSH_SOCKET)
    }

    /// The public half of the host key with which it does: a line `ssh-ed25519 AAAA…`. It is
    /// another one whenever a supervisor is started, and there before that is ready.
    #[must_use]
    pub fn ssh_host_key(&self, instance: &InstanceId) -> PathBuf {
        self.instance(instance).join(SSH_HOST_KEY)
    }

    /// Directory of all workspaces.
    #[must_use]
    pub fn workspaces(&self) -> PathBuf {
        self.root.join("workspaces")
    }

    /// Directory of one workspace.
    ///
    /// # Errors
    ///
    /// If the name of the workspace cannot be that of a directory.
    pub fn workspace(&self, workspace: &WorkspaceName) -> Result<PathBuf, ContentError> {
        let name = workspace.as_str();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        match (1..=100).contains(&name.len()) && name.bytes().all(plain) {
            true => Ok(self.workspaces().join(name)),
            false => Err(ContentError::Refused(format!(
                "workspace cannot be called `{name}` here: use 1 to 100 letters, digits and dashes"
            ))),
        }
    }

    /// Files of one workspace.
    ///
    /// # Errors
    ///
    /// As [`workspace`](Self::workspace).
    pub fn content(&self, workspace: &WorkspaceName) -> Result<PathBuf, ContentError> {
        Ok(self.workspace(workspace)?.join("content"))
    }

    /// Output of the tasks of one run of a workspace.
    ///
    /// # Errors
    ///
    /// As [`workspace`](Self::workspace).
    pub fn logs(
        &self,
        workspace: &WorkspaceName,
        instance: &InstanceId,
    ) -> Result<PathBuf, ContentError> {
        Ok(self
            .workspace(workspace)?
            .join("logs")
            .join(instance.as_str()))
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}

pub(crate) const SSH_SOCKET: &str = "ssh.sock";
pub(crate) const SSH_HOST_KEY: &str = "ssh_host_key.pub";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_lead_out_of_the_directory() {
        let layout = Layout::new("/s");
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\0b",
            "-\n",
            &"a".repeat(101),
        ] {
            assert!(layout.content(&name.into()).is_err(), "{name:?}");
        }
        let path = layout.content(&"pink-panda-ns35kd21".into()).unwrap();
        assert_eq!(path, Path::new("/s/workspaces/pink-panda-ns35kd21/content"));
    }
}
