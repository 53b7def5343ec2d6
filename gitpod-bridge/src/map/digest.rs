//! One number for all that a status says.

use std::io;

use gitpod_lifecycle::StatusUpdate;
use sha2::{Digest, Sha256};

use crate::record::StatusDigest;

/// Digest of all that `status` says, but for its version.
///
/// Two statuses have the same digest if and only if nothing differs but the
/// version. Maps are sorted by their type, so the order in which a manager sent
/// annotations does not count; a condition that is `False` and one that is not
/// stated differ.
#[must_use]
pub fn digest(status: &StatusUpdate) -> StatusDigest {
    let mut unversioned = status.clone();
    unversioned.status_version = 0;
    let mut hash = HashWriter(Sha256::new());
    // Cannot fail: keys are text, and a hash takes all bytes.
    let written = serde_json::to_writer(&mut hash, &unversioned);
    debug_assert!(written.is_ok());
    StatusDigest(hash.0.finalize().into())
}

struct HashWriter(Sha256);

impl io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
