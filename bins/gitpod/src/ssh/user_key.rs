//! Public keys that a user may log in with.

use std::str::FromStr;

use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, PublicKey};

/// One public key, read from a line of `authorized_keys` without options.
#[derive(Clone, Debug)]
pub(crate) struct UserKey {
    key: PublicKey,
    line: String,
}

/// An RSA key of fewer bits is broken by whoever can pay for it: NIST SP 800-131A.
const LEAST_RSA_BITS: u32 = 2048;
/// Longer than any key of these kinds, with a comment.
const LONGEST_LINE: usize = 16 * 1024;

impl UserKey {
    /// As `authorized_keys` has it: kind, key, comment.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }

    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    pub(crate) fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// `ssh-ed25519` and the like.
    pub(crate) fn kind(&self) -> String {
        self.key.algorithm().to_string()
    }

    pub(crate) fn comment(&self) -> &str {
        self.key.comment().as_str_lossy()
    }

    /// Whether both are one key, whatever their comments say.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.key.key_data() == other.key.key_data()
    }

    /// Whether it is what a user calls `name`: its fingerprint or its comment.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        let fingerprint = self.fingerprint();
        let short = fingerprint.strip_prefix("SHA256:").unwrap_or_default();
        name == fingerprint || name == short || name == self.comment()
    }
}

impl FromStr for UserKey {
    type Err = KeyRefusal;

    fn from_str(line: &str) -> Result<Self, KeyRefusal> {
        let line = tame_comment(line.trim());
        let line = line.trim();
        if line.contains("PRIVATE KEY") {
            return Err(KeyRefusal::Private);
        }
        if line.starts_with("---- BEGIN SSH2") {
            return Err(KeyRefusal::OtherFormat);
        }
        if line.len() > LONGEST_LINE || line.contains(char::is_control) {
            return Err(KeyRefusal::NoKey);
        }
        let kind = line.split(' ').next().unwrap_or_default();
        if kind.ends_with("-cert-v01@openssh.com") {
            return Err(KeyRefusal::Certificate);
        }
        let key = PublicKey::from_openssh(line).map_err(|_| {
            if has_options(line) {
                KeyRefusal::Options
            } else {
                KeyRefusal::NoKey
            }
        })?;
        refuse_weak(&key)?;
        let line = key.to_openssh().map_err(|_| KeyRefusal::NoKey)?;
        Ok(Self { key, line })
    }
}

/// Without control characters in what follows a kind and a key, which means nothing. A line
/// that goes on in another one stays as it is: that is none of `authorized_keys`.
fn tame_comment(line: &str) -> String {
    let comment = line.match_indices(' ').nth(1).map(|(at, _)| at);
    let (key, comment) = line.split_at(comment.unwrap_or(line.len()));
    let is_wild = |letter: char| crate::print::is_wild(letter) && !matches!(letter, '\n' | '\r');
    format!("{key}{}", comment.replace(is_wild, ""))
}

/// Whether a key follows behind something else.
fn has_options(line: &str) -> bool {
    let mut rest = line;
    while let Some((_, behind)) = rest.split_once(' ') {
        rest = behind.trim_start();
        if PublicKey::from_openssh(rest).is_ok() {
            return true;
        }
    }
    false
}

fn refuse_weak(key: &PublicKey) -> Result<(), KeyRefusal> {
    match (key.algorithm(), key.key_data()) {
        (Algorithm::Rsa { .. }, KeyData::Rsa(rsa)) if rsa.key_size() < LEAST_RSA_BITS => {
            Err(KeyRefusal::WeakRsa(rsa.key_size()))
        }
        (
            Algorithm::Ed25519
            | Algorithm::Ecdsa { .. }
            | Algorithm::Rsa { .. }
            | Algorithm::SkEd25519
            | Algorithm::SkEcdsaSha2NistP256,
            _,
        ) => Ok(()),
        (other, _) => Err(KeyRefusal::Kind(other.to_string())),
    }
}

/// Reads every key of a text: lines, of which empty ones and comments are left out.
///
/// # Errors
///
/// [`KeyRefusal`] of the first line that is no key to log in with, and its number.
pub(crate) fn read_lines(text: &str) -> Result<Vec<UserKey>, (usize, KeyRefusal)> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    });
    lines
        .map(|(index, line)| line.parse().map_err(|why| (index + 1, why)))
        .collect()
}

/// Why a text is no key to log in with.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum KeyRefusal {
    /// It must not leave its owner's hands.
    #[error(
        "this is a private key; fix: give the public half, in the file of that name with .pub behind it"
    )]
    Private,
    /// Nobody here would hold a key to its options.
    #[error(
        "options before a key are not supported; fix: give the key without them, as the .pub file has it"
    )]
    Options,
    /// It says who signed, not who may come in.
    #[error("this is a certificate; fix: give the public key it was made for")]
    Certificate,
    /// RFC 4716.
    #[error(
        "this is a public key in another format; fix: `ssh-keygen -i -f FILE` prints it as OpenSSH writes it"
    )]
    OtherFormat,
    /// Too few bits.
    #[error(
        "an RSA key of {0} bits can be broken; fix: make a new key with `ssh-keygen -t ed25519`"
    )]
    WeakRsa(u32),
    /// DSA and what nobody has heard of.
    #[error("keys of type {0} are not accepted; fix: make a new key with `ssh-keygen -t ed25519`")]
    Kind(String),
    /// Something else.
    #[error(
        "this is no public key; fix: give a line such as `ssh-ed25519 AAAA… you@home`, as in ~/.ssh/id_ed25519.pub"
    )]
    NoKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAMKS0vO9DUgnh7hO7EaUYVTIyx5uzu2eUHKy8qWZ0BF";

    #[test]
    fn key_is_read_and_named() {
        let key: UserKey = format!("  {KEY} alice at home\r\n").parse().unwrap();
        assert_eq!(key.line(), format!("{KEY} alice at home"));
        assert_eq!(key.kind(), "ssh-ed25519");
        assert!(key.is_called("alice at home"));
        assert!(key.is_called(&key.fingerprint()));
        assert!(key.is_called(&key.fingerprint()["SHA256:".len()..]));
        assert!(!key.is_called("bob"));
        let other: UserKey = format!("{KEY} other").parse().unwrap();
        assert!(key.is_same_as(&other));
        let wild: UserKey = format!("{KEY} a\x1b[31mb\u{9b} \u{202e}c").parse().unwrap();
        assert_eq!(wild.comment(), "a[31mb c");
    }

    #[test]
    fn what_is_no_key_is_refused_for_its_own_reason() {
        for (text, why) in [
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----".to_owned(),
                KeyRefusal::Private,
            ),
            (
                "---- BEGIN SSH2 PUBLIC KEY ----".to_owned(),
                KeyRefusal::OtherFormat,
            ),
            (format!("no-pty {KEY}"), KeyRefusal::Options),
            (format!("command=\"echo a b\" {KEY}"), KeyRefusal::Options),
            (
                "ssh-ed25519-cert-v01@openssh.com AAAA".to_owned(),
                KeyRefusal::Certificate,
            ),
            ("ssh-ed25519".to_owned(), KeyRefusal::NoKey),
            ("ssh-ed25519 AAAA".to_owned(), KeyRefusal::NoKey),
            (format!("{KEY}\nssh-rsa x"), KeyRefusal::NoKey),
            (KEY.replace("AAAA", "AA\x1bAA"), KeyRefusal::NoKey),
            (KEY.replace("ssh-ed25519", "ssh-rsa"), KeyRefusal::NoKey),
        ] {
            assert_eq!(text.parse::<UserKey>().unwrap_err(), why, "{text:?}");
        }
    }

    #[test]
    fn rsa_keys_need_2048_bits() {
        // Of `ssh-keygen -t rsa -b 1024`.
        let weak = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCwvbBWc1uNUGPw7NwsSWtUigHBQYCjtIcBo/P7bDAQPT2PCEXYfr6kDVpcoeuMz6vDuGLLpjTcDVLywLr5KEfnFNg4kWb8RaCEdd97mVNwTYXK3HcRQbiPCkE80Dx1sr8yPmpwG0wJ0vdYfdoa0tiyi4LJhkaUCQW73+iQERfGgQ==";
        let refused = weak.parse::<UserKey>().map(drop).unwrap_err();
        assert_eq!(refused, KeyRefusal::WeakRsa(1024));
    }

    #[test]
    fn every_line_of_a_file_is_read() {
        let text = format!("# mine\n\n{KEY} a\n");
        assert_eq!(read_lines(&text).unwrap().len(), 1);
        let (line, why) = read_lines(&format!("{text}nonsense\n"))
            .map(drop)
            .unwrap_err();
        assert_eq!((line, why), (4, KeyRefusal::NoKey));
    }
}
