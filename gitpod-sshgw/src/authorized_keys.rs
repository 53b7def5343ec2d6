//! Public keys that may log in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::{Choice, ConstantTimeEq as _};

/// Whether `blob`, a public key in its SSH encoding, is one of `lines`.
///
/// Lines are those of `authorized_keys`. One that cannot be read matches nothing,
/// and neither does one that begins with options: they limit what the key may do,
/// and nobody here would enforce that. Each comparison takes the same time
/// wherever the keys differ, and all are made.
pub(crate) fn lists<'a>(lines: impl IntoIterator<Item = &'a str>, blob: &[u8]) -> bool {
    let keys = lines.into_iter().flat_map(str::lines).filter_map(read_line);
    let matches = keys.map(|key| key.ct_eq(blob));
    matches.fold(Choice::from(0), |any, one| any | one).into()
}

/// The key of one line, in its SSH encoding: a type, the key, and maybe a comment.
pub(crate) fn read_line(line: &str) -> Option<Vec<u8>> {
    let mut words = line.split_ascii_whitespace();
    let kind = words.next()?;
    let blob = STANDARD.decode(words.next()?).ok()?;
    (kind_of(&blob)? == kind).then_some(blob)
}

/// The type that an SSH encoding begins with, as a string with a length in four
/// bytes. Something must follow it.
pub(crate) fn kind_of(blob: &[u8]) -> Option<&str> {
    let (length, rest) = blob.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (kind, key) = rest.split_at_checked(length)?;
    let kind = std::str::from_utf8(kind).ok()?;
    let is_name = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_graphic());
    (is_name && !key.is_empty()).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(kind: &str, key: &[u8]) -> Vec<u8> {
        let length = u32::try_from(kind.len()).unwrap().to_be_bytes();
        [&length[..], kind.as_bytes(), key].concat()
    }

    #[test]
    fn a_key_matches_a_line_that_names_it_and_nothing_else() {
        let key = blob("ssh-ed25519", b"alice");
        let text = STANDARD.encode(&key);
        let cases = [
            (format!("ssh-ed25519 {text}"), true),
            (
                format!("  ssh-ed25519\t{text} alice@home with a comment\r"),
                true,
            ),
            (format!("# comment\n\nssh-ed25519 {text}"), true),
            (format!("no-pty ssh-ed25519 {text}"), false), // nobody would enforce it
            (format!("cert-authority ssh-ed25519 {text}"), false),
            (format!("ssh-rsa {text}"), false), // not the kind it is
            (
                format!(
                    "ssh-ed25519 {}",
                    STANDARD.encode(blob("ssh-ed25519", b"bob"))
                ),
                false,
            ),
            (
                format!("ssh-ed25519 {}", STANDARD.encode(blob("ssh-ed25519", b""))),
                false,
            ),
            (format!("# ssh-ed25519 {text}"), false),
            ("ssh-ed25519".to_owned(), false),
            ("ssh-ed25519 ////".to_owned(), false),
            (String::new(), false),
        ];
        for (line, expected) in cases {
            assert_eq!(lists([line.as_str()], &key), expected, "{line:?}");
        }
        assert!(!lists([], &key));
        assert!(!lists(["ssh-ed25519 AAAA", ""], b""));
    }
}
