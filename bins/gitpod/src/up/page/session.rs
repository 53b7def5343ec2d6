//! Who may see the page: whoever opened a link that this machine's user was shown.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rand::TryRngCore;
use rand::rngs::OsRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::exit::Failure;
use crate::private_file;

/// How long a link waits to be opened.
pub(super) const INVITATION: Duration = Duration::from_secs(15 * 60);
/// How long a browser stays signed in.
pub(super) const SESSION: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// More than a person opens; the oldest go first.
const MOST: usize = 64;

/// Links that were not opened yet, and browsers that are signed in.
///
/// Secrets are kept as their SHA-256 only, so that neither the file nor the memory
/// holds anything to sign in with, and looking one up tells nothing by its time.
/// Links end with this process; sessions are kept in a file.
#[derive(Debug)]
pub(super) struct Sessions {
    file: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    invitations: HashMap<Hash, SystemTime>,
    sessions: HashMap<Hash, SystemTime>,
}

type Hash = String;

/// What is written down.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Kept {
    sessions: HashMap<Hash, u64>,
}

impl Sessions {
    /// Reads what was kept in `file`.
    pub(super) fn open(file: PathBuf) -> Result<Self, Failure> {
        let text = private_file::read(&file)?.unwrap_or_default();
        // What cannot be understood lets nobody in.
        let kept: Kept = serde_json::from_str(&text).unwrap_or_default();
        let at = |seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        let known = Known {
            invitations: HashMap::new(),
            sessions: kept
                .sessions
                .into_iter()
                .filter_map(|(hash, seconds)| Some((hash, at(seconds)?)))
                .collect(),
        };
        Ok(Self {
            file,
            known: Mutex::new(known),
        })
    }

    /// A secret that opens one session, soon.
    pub(super) fn invite(&self) -> io::Result<String> {
        let secret = secret()?;
        let mut known = self.lock();
        insert(&mut known.invitations, hash(&secret), INVITATION);
        Ok(secret)
    }

    /// Opens a session with an invitation, which nobody can use again. `None` if it is
    /// none, or not any more.
    pub(super) fn accept(&self, invitation: &str) -> io::Result<Option<String>> {
        let mut known = self.lock();
        let invitation = hash(invitation);
        if !known
            .invitations
            .get(&invitation)
            .copied()
            .is_some_and(is_to_come)
        {
            return Ok(None);
        }
        let secret = secret()?;
        insert(&mut known.sessions, hash(&secret), SESSION);
        if let Err(why) = keep(&self.file, &known) {
            // Nobody was let in, so the link still lets somebody in.
            known.sessions.remove(&hash(&secret));
            return Err(why);
        }
        known.invitations.remove(&invitation);
        Ok(Some(secret))
    }

    /// Whether `secret` is that of a session.
    pub(super) fn is_signed_in(&self, secret: &str) -> bool {
        let known = self.lock();
        known
            .sessions
            .get(&hash(secret))
            .is_some_and(|until| is_to_come(*until))
    }

    /// Ends a session.
    pub(super) fn end(&self, secret: &str) -> io::Result<()> {
        let mut known = self.lock();
        match known.sessions.remove(&hash(secret)) {
            Some(_) => keep(&self.file, &known),
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn insert(all: &mut HashMap<Hash, SystemTime>, hash: Hash, lasts: Duration) {
    all.retain(|_, until| is_to_come(*until));
    while all.len() >= MOST
        && let Some(oldest) = all.iter().min_by_key(|(_, until)| **until)
    {
        let oldest = oldest.0.clone();
        all.remove(&oldest);
    }
    all.insert(hash, SystemTime::now() + lasts);
}

fn is_to_come(at: SystemTime) -> bool {
    SystemTime::now() < at
}

/// 256 bits that nobody guesses, as hexadecimal digits.
fn secret() -> io::Result<String> {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    Ok(hex(&bytes))
}

fn hash(secret: &str) -> Hash {
    hex(&Sha256::digest(secret.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a `String` cannot fail
        text
    })
}

fn keep(file: &Path, known: &Known) -> io::Result<()> {
    let seconds = |at: &SystemTime| {
        at.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs()
    };
    let kept = Kept {
        sessions: known
            .sessions
            .iter()
            .map(|(hash, until)| (hash.clone(), seconds(until)))
            .collect(),
    };
    private_file::replace(file, &serde_json::to_string(&kept)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn sessions(dir: &tempfile::TempDir) -> Sessions {
        Sessions::open(dir.path().join("sessions.json")).unwrap()
    }

    #[test]
    fn link_signs_in_once_and_the_session_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let first = sessions(&dir);
        let link = first.invite().unwrap();
        assert!(!first.is_signed_in(&link), "a link is no session");
        let session = first.accept(&link).unwrap().unwrap();
        assert_eq!(first.accept(&link).unwrap(), None);
        assert_eq!(first.accept("guess").unwrap(), None);

        let second = sessions(&dir);
        assert!(second.is_signed_in(&session));
        assert!(!second.is_signed_in(&link));
        second.end(&session).unwrap();
        assert!(!second.is_signed_in(&session));
        assert!(!sessions(&dir).is_signed_in(&session));
    }

    #[test]
    fn file_is_private_and_holds_nothing_to_sign_in_with() {
        let dir = tempfile::tempdir().unwrap();
        let sessions = sessions(&dir);
        let link = sessions.invite().unwrap();
        let session = sessions.accept(&link).unwrap().unwrap();
        let path = dir.path().join("sessions.json");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&session) && !text.contains(&link));
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_has_expired_lets_nobody_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sessions.json");
        let kept = format!(r#"{{"sessions":{{"{}":1}}}}"#, hash("old"));
        private_file::replace(&path, &kept).unwrap();
        assert!(!Sessions::open(path.clone()).unwrap().is_signed_in("old"));
        private_file::replace(&path, "no JSON").unwrap();
        assert!(!Sessions::open(path).unwrap().is_signed_in("old"));
    }

    #[test]
    fn file_that_others_may_have_written_is_refused_with_a_fix() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sessions.json");
        let told = || Sessions::open(path.clone()).unwrap_err().to_string();
        private_file::make_pipe(&path);
        assert!(told().contains("fix:"), "{}", told());
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(told().contains("fix:"), "{}", told());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "{}").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
        assert!(told().contains("chmod 600"), "{}", told());
    }

    #[test]
    fn link_opens_again_what_could_not_be_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let sessions = sessions(&dir);
        let link = sessions.invite().unwrap();
        let in_the_way = dir.path().join("sessions.new");
        std::fs::create_dir(&in_the_way).unwrap();
        assert!(sessions.accept(&link).is_err());
        assert!(sessions.lock().sessions.is_empty());
        std::fs::remove_dir(in_the_way).unwrap();
        assert!(sessions.accept(&link).unwrap().is_some());
        assert!(sessions.accept(&link).unwrap().is_none());
    }

    #[test]
    fn only_so_many_links_wait() {
        let dir = tempfile::tempdir().unwrap();
        let sessions = sessions(&dir);
        for _ in 0..2 * MOST {
            sessions.invite().unwrap();
        }
        assert_eq!(sessions.lock().invitations.len(), MOST);
    }
}
