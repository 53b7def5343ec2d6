//! Keys of the gateway, made when they are first needed and kept.

use std::io;
use std::path::Path;

use gitpod_sshgw::{PrivateKey, PublicKey, UserCa};

use super::authorized::AuthorizedKeys;
use crate::exit::Failure;
use crate::private_file;
use crate::ssh::{HOST_KEY_ALIAS, SshDir};

/// Everything that the gateway knows itself and its users by.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) host: Vec<PrivateKey>,
    pub(super) user_ca: UserCa,
    pub(super) authorized: AuthorizedKeys,
}

impl Keys {
    /// Finds out whether what is there can be used, and makes nothing.
    pub(super) fn check(dir: &SshDir) -> Result<(), Failure> {
        for path in dir.host_keys() {
            read(&path)?;
        }
        read(&dir.user_ca())?;
        read(&dir.own_key())?;
        AuthorizedKeys::read(&dir.authorized_keys()).map(drop)
    }

    /// Reads the keys in `dir`, and makes those that are missing.
    pub(super) fn open(dir: &SshDir) -> Result<Self, Failure> {
        private_file::make_dir(dir.path()).map_err(|why| cannot_write(dir.path(), &why))?;
        let [made, others @ ..] = dir.host_keys();
        let mut host = vec![read_or_make(&made)?];
        for path in others {
            host.extend(read(&path)?);
        }
        let user_ca = UserCa::new(read_or_make(&dir.user_ca())?);
        let own = read_or_make(&dir.own_key())?;
        let own_public = format!("{} gitpod ssh\n", own.public_key());
        keep_copy(&dir.own_public_key(), &own_public);
        keep_copy(&dir.known_hosts(), &known_hosts(&host));
        let authorized = AuthorizedKeys::open(dir.authorized_keys(), own.public_key())?;
        Ok(Self {
            host,
            user_ca,
            authorized,
        })
    }
}

fn known_hosts(host: &[PrivateKey]) -> String {
    let line = |key: &PublicKey| format!("{HOST_KEY_ALIAS} {key}\n");
    host.iter().map(|key| line(key.public_key())).collect()
}

fn read_or_make(path: &Path) -> Result<PrivateKey, Failure> {
    match read(path)? {
        Some(key) => Ok(key),
        None => make(path),
    }
}

fn read(path: &Path) -> Result<Option<PrivateKey>, Failure> {
    let Some(text) = private_file::read(path)? else {
        return Ok(None);
    };
    let key =
        text.parse().map_err(|why| {
            Failure::failed(format!("cannot use the key {}", path.display()))
            .because(&why)
            .fix("put back a copy of it, without a passphrase; or remove it, and a new one is made \
                 (clients that knew the old host key then have to forget it: `ssh-keygen -R`)")
        })?;
    Ok(Some(key))
}

fn make(path: &Path) -> Result<PrivateKey, Failure> {
    let cannot = |why: &(dyn std::error::Error + 'static)| {
        Failure::failed(format!("cannot make the key {}", path.display()))
            .because(why)
            .fix("mend what is named above, or name another directory with --state-dir")
    };
    let key = PrivateKey::generate().map_err(|why| cannot(&why))?;
    let text = key.to_openssh().map_err(|why| cannot(&why))?;
    private_file::replace(path, &text).map_err(|why| cannot(&why))?;
    Ok(key)
}

/// Writes `text`, which can be had from the keys at any time, where clients look for it, unless
/// it is there. On a full disk the gateway goes on without.
fn keep_copy(path: &Path, text: &str) {
    if matches!(private_file::read(path), Ok(Some(known)) if known == text) {
        return;
    }
    if let Err(why) = private_file::replace(path, text) {
        let (path, why): (_, &dyn std::error::Error) = (path.display(), &why);
        tracing::warn!(%path, why, "cannot write a copy of public keys, `gitpod ssh` may lack it");
    }
}

fn cannot_write(path: &Path, why: &io::Error) -> Failure {
    Failure::failed(format!("cannot write {}", path.display()))
        .because(why)
        .fix("mend what is named above, or name another directory with --state-dir")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_made_once_for_their_user_only() {
        let state = tempfile::tempdir().unwrap();
        let dir = SshDir::of(state.path());
        Keys::check(&dir).unwrap();
        assert!(!dir.path().exists(), "a check makes nothing");

        let first = Keys::open(&dir).unwrap();
        let again = Keys::open(&dir).unwrap();

        assert_eq!(first.host.len(), 1);
        assert_eq!(first.host[0].public_key(), again.host[0].public_key());
        assert_eq!(first.user_ca.public_key(), again.user_ca.public_key());
        assert_ne!(first.user_ca.public_key(), first.host[0].public_key());
        for file in std::fs::read_dir(dir.path()).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let known = std::fs::read_to_string(dir.known_hosts()).unwrap();
        assert_eq!(known, format!("gitpod {}\n", first.host[0].public_key()));
    }

    #[test]
    fn keys_that_are_there_are_used_where_nothing_can_be_written() {
        let state = tempfile::tempdir().unwrap();
        let dir = SshDir::of(state.path());
        let first = Keys::open(&dir).unwrap();
        let written = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
        let copies = [dir.own_public_key(), dir.known_hosts()];
        let before = copies.each_ref().map(|path| written(path));

        // In the way of every file that is written anew.
        for path in &copies {
            std::fs::create_dir(path.with_extension("new")).unwrap();
        }
        let again = Keys::open(&dir).unwrap();
        assert_eq!(first.host[0].public_key(), again.host[0].public_key());
        assert_eq!(copies.each_ref().map(|path| written(path)), before);

        std::fs::remove_file(dir.known_hosts()).unwrap();
        Keys::open(&dir).unwrap();
        assert!(!dir.known_hosts().exists());
        std::fs::remove_dir(dir.known_hosts().with_extension("new")).unwrap();
        Keys::open(&dir).unwrap();
        assert!(dir.known_hosts().exists(), "is made up for");
    }

    #[test]
    fn broken_and_open_keys_are_refused_before_anything_is_made() {
        let state = tempfile::tempdir().unwrap();
        let dir = SshDir::of(state.path());
        private_file::make_dir(dir.path()).unwrap();
        for path in [dir.host_keys()[0].clone(), dir.user_ca(), dir.own_key()] {
            private_file::replace(&path, "no key").unwrap();
            let text = Keys::check(&dir).unwrap_err().to_string();
            assert!(text.contains(&path.display().to_string()), "{text}");
            assert!(text.contains("fix:"), "{text}");
            std::fs::remove_file(&path).unwrap();
        }
        private_file::replace(&dir.authorized_keys(), "# mine\nnonsense\n").unwrap();
        let text = Keys::check(&dir).unwrap_err().to_string();
        assert!(text.contains("line 2") && text.contains("fix:"), "{text}");
    }
}
