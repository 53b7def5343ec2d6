//! Where things lie that SSH needs.

use std::path::{Path, PathBuf};

/// The directory `ssh` in the state directory.
#[derive(Clone, Debug)]
pub(crate) struct SshDir(PathBuf);

impl SshDir {
    /// That of the state directory `state`.
    pub(crate) fn of(state: &Path) -> Self {
        Self(state.join("ssh"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Private keys by which clients know the gateway. Only the first is made by us;
    /// the others are used if they are there.
    pub(crate) fn host_keys(&self) -> [PathBuf; 3] {
        ["host_ed25519", "host_ecdsa", "host_rsa"].map(|name| self.0.join(name))
    }

    /// Private key that signs what the gateway logs in to workspaces with.
    pub(crate) fn user_ca(&self) -> PathBuf {
        self.0.join("user_ca")
    }

    /// Public keys of the user.
    pub(crate) fn authorized_keys(&self) -> PathBuf {
        self.0.join("authorized_keys")
    }

    /// Private key of `gitpod ssh`, so that it works without any setup.
    pub(crate) fn own_key(&self) -> PathBuf {
        self.0.join("id_ed25519")
    }

    /// Its public half.
    pub(crate) fn own_public_key(&self) -> PathBuf {
        self.0.join("id_ed25519.pub")
    }

    /// What clients may trust: the gateway's host keys.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.0.join("known_hosts")
    }

    /// A block for each workspace, as OpenSSH reads it.
    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("config")
    }
}
