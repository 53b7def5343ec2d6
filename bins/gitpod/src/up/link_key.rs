//! The key that signs links and share cookies.

use std::path::Path;

use gitpod_routing::SigningKey;
use rand::TryRngCore;
use rand::rngs::OsRng;

use crate::exit::Failure;
use crate::private_file;

/// The key in `file`, made if there is none: links and cookies outlive `up`.
pub(super) fn read_or_make(file: &Path) -> Result<SigningKey, Failure> {
    if let Some(text) = private_file::read(file)? {
        let bytes = from_hex(text.trim()).ok_or_else(|| {
            Failure::failed(format!("cannot use {}", file.display()))
                .why("it does not hold 64 hexadecimal digits")
                .fix("remove it: a new one is made, and shared links must be made anew")
        })?;
        return Ok(SigningKey::from_bytes(bytes));
    }
    let mut bytes = [0; 32];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|why| Failure::failed("the system gave no random bytes").because(&why))?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    private_file::replace(file, &format!("{text}\n")).map_err(|why| {
        Failure::failed(format!("cannot write {}", file.display()))
            .because(&why)
            .fix("free some space, or name another directory with --state-dir")
    })?;
    Ok(SigningKey::from_bytes(bytes))
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        })
        .collect();
    let bytes: Vec<u8> = digits?
        .chunks_exact(2)
        .filter_map(|pair| Some(pair.first()? << 4 | pair.last()?))
        .collect();
    (text.len() == 64).then(|| bytes.try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_made_once_and_a_broken_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("links.key");
        read_or_make(&file).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        read_or_make(&file).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        assert_eq!(from_hex(text.trim()).map(|bytes| bytes.len()), Some(32));

        private_file::replace(&file, "xyz").unwrap();
        let why = read_or_make(&file).unwrap_err().to_string();
        assert!(why.contains("fix: remove it"), "{why}");
    }
}
