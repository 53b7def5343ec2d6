use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, PublicKey};
use serde::Deserialize;

/// What `supervisor.json` says about the SSH server. All keys are public ones.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SshSettings {
    /// Where to listen.
    pub(crate) socket: PathBuf,
    /// Where to write the public half of the host key.
    pub(crate) host_key_file: PathBuf,
    /// Whose user certificates are believed.
    #[serde(default)]
    user_ca: Option<String>,
    /// Keys that log in without a certificate.
    #[serde(default)]
    authorized_keys: Vec<String>,
}

impl SshSettings {
    pub(crate) fn check(&self) -> Result<()> {
        for (key, path) in [
            ("ssh.socket", &self.socket),
            ("ssh.host_key_file", &self.host_key_file),
        ] {
            ensure!(
                path.is_absolute(),
                "`{key}` is {}: write an absolute path",
                path.display()
            );
        }
        ensure!(
            self.user_ca.is_some() || !self.authorized_keys.is_empty(),
            "`ssh` lets nobody in: write a key into `user_ca` or `authorized_keys`"
        );
        self.user_ca()?;
        self.authorized_keys()?;
        Ok(())
    }

    /// Only Ed25519: an authority signs with one algorithm, so that there is none to downgrade to.
    pub(super) fn user_ca(&self) -> Result<Option<KeyData>> {
        let Some(line) = &self.user_ca else {
            return Ok(None);
        };
        let key = parsed("ssh.user_ca", line)?;
        ensure!(
            key.algorithm() == Algorithm::Ed25519,
            "`ssh.user_ca` is a key of type {}: write one of type ssh-ed25519",
            key.algorithm()
        );
        Ok(Some(key))
    }

    pub(super) fn authorized_keys(&self) -> Result<Vec<KeyData>> {
        let lines = self.authorized_keys.iter();
        lines
            .map(|line| parsed("ssh.authorized_keys", line))
            .collect()
    }
}

fn parsed(key: &str, line: &str) -> Result<KeyData> {
    let parsed = PublicKey::from_openssh(line)
        .with_context(|| format!("`{key}` is no public key: write a line `ssh-ed25519 AAAA…`"))?;
    Ok(parsed.key_data().clone())
}
