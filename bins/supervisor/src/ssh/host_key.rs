use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use russh::keys::key::safe_rng;
use russh::keys::{Algorithm, PrivateKey};

/// Makes a host key that exists in memory only, and writes its public half to `file`, for this user only.
///
/// A new one at every start: the gateway reads the file whenever it connects, so nothing needs to outlive this process.
pub(super) fn make(file: &Path) -> Result<PrivateKey> {
    let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519)
        .context("cannot make a host key")?;
    let line = key
        .public_key()
        .to_openssh()
        .context("cannot write a host key")?;
    publish(file, &line).with_context(|| {
        format!(
            "cannot write {}; fix the owner of its directory",
            file.display()
        )
    })?;
    Ok(key)
}

fn publish(file: &Path, line: &str) -> Result<()> {
    let dir = file.parent().context("it has no directory")?;
    let mut fresh = tempfile::NamedTempFile::new_in(dir)?; // mode 0600
    writeln!(fresh, "{line}")?;
    fresh.persist(file)?;
    Ok(())
}
