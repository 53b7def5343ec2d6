//! The user's keys, changed while sessions go on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use gitpod_sshgw::PublicKey;

use crate::exit::Failure;
use crate::private_file;
use crate::ssh::{KeyRefusal, UserKey, read_lines};

/// Whose keys open workspaces. Cloning shares them.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizedKeys(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// That of `gitpod ssh`, which is nobody's to remove.
    own: Arc<str>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The file as its user wrote it, with comments.
    text: String,
    keys: Vec<UserKey>,
    /// What logs in, as lines.
    lines: Arc<[Arc<str>]>,
}

impl State {
    /// What of `given` is new here, each key once.
    fn sort_out(&self, given: Vec<UserKey>) -> Added {
        let mut added = Added::default();
        for key in given {
            let is_there = |keys: &[UserKey]| keys.iter().any(|other| other.is_same_as(&key));
            if is_there(&added.new) || is_there(&added.known) {
                continue;
            }
            match self.keys.iter().find(|known| known.is_same_as(&key)) {
                Some(known) => added.known.push(known.clone()),
                None => added.new.push(key),
            }
        }
        added
    }
}

/// What came of keys that were given.
#[derive(Debug, Default)]
pub(super) struct Added {
    /// They log in from now on.
    pub(super) new: Vec<UserKey>,
    /// They did so before, under the comments that they have here.
    pub(super) known: Vec<UserKey>,
}

impl AuthorizedKeys {
    /// Reads the file, or says which line of it is wrong.
    pub(super) fn read(path: &Path) -> Result<(String, Vec<UserKey>), Failure> {
        let text = private_file::read(path)?.unwrap_or_default();
        let keys = read_lines(&text).map_err(|(line, why)| {
            let text = why.to_string();
            let (why, fix) = text.split_once("; fix: ").unwrap_or((text.as_str(), ""));
            Failure::failed(format!("cannot use {}", path.display()))
                .why(format!("line {line}: {why}"))
                .fix(format!("{fix}; or remove that line"))
        })?;
        Ok((text, keys))
    }

    /// The keys in the file `path`, beside our `own`.
    pub(super) fn open(path: PathBuf, own: &PublicKey) -> Result<Self, Failure> {
        let (text, keys) = Self::read(&path)?;
        let own: Arc<str> = own.to_string().into();
        let lines = lines(&own, &keys);
        Ok(Self(Arc::new(Shared {
            path,
            own,
            state: Mutex::new(State { text, keys, lines }),
        })))
    }

    /// Takes the file as somebody else has left it.
    pub(in crate::up) fn read_again(&self) -> Result<(), Failure> {
        let (text, keys) = Self::read(&self.0.path)?;
        let mut state = self.state();
        if text != state.text {
            state.lines = lines(&self.0.own, &keys);
            (state.text, state.keys) = (text, keys);
        }
        Ok(())
    }

    /// What logs in now, as lines of `authorized_keys`.
    pub(super) fn lines(&self) -> Arc<[Arc<str>]> {
        Arc::clone(&self.state().lines)
    }

    pub(super) fn list(&self) -> Vec<UserKey> {
        self.state().keys.clone()
    }

    /// Adds the keys of `text` that are not there yet; none of them if one cannot be used.
    /// Writes the file, so it may wait for the disk.
    pub(super) fn add(&self, text: &str) -> Result<Added, KeysError> {
        let given = read_lines(text).map_err(|(_, why)| KeysError::Refused(why))?;
        if given.is_empty() {
            return Err(KeysError::Refused(KeyRefusal::NoKey));
        }
        let mut state = self.state();
        let added = state.sort_out(given);
        if added.new.is_empty() {
            return Ok(added);
        }
        let mut text = state.text.clone();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        for key in &added.new {
            text.push_str(key.line());
            text.push('\n');
        }
        let keys = state.keys.iter().chain(&added.new).cloned().collect();
        self.write(&mut state, text, keys)?;
        Ok(added)
    }

    /// Removes the key that the user calls `name`. Writes the file, so it may wait for
    /// the disk.
    pub(super) fn remove(&self, name: &str) -> Result<UserKey, KeysError> {
        let mut state = self.state();
        let named: Vec<_> = state
            .keys
            .iter()
            .filter(|key| key.is_called(name))
            .collect();
        let gone = match named.as_slice() {
            [] => return Err(KeysError::Unknown(name.escape_debug().to_string())),
            [one] => (*one).clone(),
            several => {
                let fingerprints: Vec<_> = several.iter().map(|key| key.fingerprint()).collect();
                return Err(KeysError::Ambiguous(fingerprints.join(", ")));
            }
        };
        let keys = state.keys.iter().filter(|key| !key.is_same_as(&gone));
        let keys = keys.cloned().collect();
        let stays = |line: &&str| {
            !line
                .parse::<UserKey>()
                .is_ok_and(|key| key.is_same_as(&gone))
        };
        let text = state.text.split_inclusive('\n').filter(stays).collect();
        self.write(&mut state, text, keys)?;
        Ok(gone)
    }

    fn write(&self, state: &mut State, text: String, keys: Vec<UserKey>) -> Result<(), KeysError> {
        private_file::replace(&self.0.path, &text).map_err(KeysError::File)?;
        state.lines = lines(&self.0.own, &keys);
        state.text = text;
        state.keys = keys;
        Ok(())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lines(own: &Arc<str>, keys: &[UserKey]) -> Arc<[Arc<str>]> {
    let keys = keys.iter().map(|key| Arc::from(key.line()));
    std::iter::once(Arc::clone(own)).chain(keys).collect()
}

/// Why the keys stay as they are.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysError {
    /// It is no key to log in with.
    #[error(transparent)]
    Refused(KeyRefusal),
    /// There is none of that name.
    #[error(
        "there is no key {0:?}; fix: name its fingerprint or its comment as `gitpod ssh-key list` shows them"
    )]
    Unknown(String),
    /// There are several of that name.
    #[error("several keys have that comment; fix: name the fingerprint of one: {0}")]
    Ambiguous(String),
    /// The file could not be written.
    #[error("cannot write the file of the keys: {0}")]
    File(std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAMKS0vO9DUgnh7hO7EaUYVTIyx5uzu2eUHKy8qWZ0BF one";
    const TWO: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGCdYuejfbKdnYjXB8iGc3o+stuYcSiyaYMktLoqVKGQ6mGhScE/bP2ZqmGpv/AKXkNpQzGWQT+bDXiyBLnsbas= one";

    fn keys(path: &Path) -> AuthorizedKeys {
        let own =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBzAbl0uinEaotnAyb6CEQAPqrcOqMFQZv4xB7waCgVC";
        AuthorizedKeys::open(path.to_owned(), &own.parse().unwrap()).unwrap()
    }

    #[test]
    fn added_keys_stay_and_removed_ones_go_and_comments_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("authorized_keys");
        private_file::replace(&path, "# by hand").unwrap();
        let ours = keys(&path);
        assert_eq!(ours.lines().len(), 1, "our own");

        let added = ours.add(&format!("{ONE}\n{TWO}\n")).unwrap();
        assert_eq!((added.new.len(), added.known.len()), (2, 0));
        let refused = ours.remove("one").unwrap_err().to_string();
        assert!(refused.contains("several"), "{refused}");
        assert_eq!(keys(&path).list().len(), 2);

        let fingerprint = ours.list()[0].fingerprint();
        ours.remove(&fingerprint).unwrap();
        assert!(ours.remove(&fingerprint).is_err());
        assert_eq!(ours.lines().len(), 2);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("# by hand\n{TWO}\n"));
    }

    #[test]
    fn of_several_keys_those_are_added_that_are_new_each_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("authorized_keys");
        let ours = keys(&path);
        ours.add(ONE).unwrap();

        let renamed = ONE.replace(" one", " renamed");
        let text = format!("{renamed}\n{TWO}\n{TWO} again\n{renamed}\n");
        let added = ours.add(&text).unwrap();
        assert_eq!((added.new.len(), added.known.len()), (1, 1));
        assert_eq!(added.known[0].comment(), "one", "as it is known here");
        assert_eq!(keys(&path).list().len(), 2);

        let written = std::fs::read_to_string(&path).unwrap();
        let added = ours.add(&text).unwrap();
        assert_eq!((added.new.len(), added.known.len()), (0, 2));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), written);
    }

    #[test]
    fn of_several_keys_none_is_added_if_one_is_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("authorized_keys");
        let ours = keys(&path);
        assert!(ours.add(&format!("{ONE}\nnonsense\n")).is_err());
        assert!(ours.add("").is_err());
        assert!(ours.list().is_empty() && !path.exists());
    }
}
