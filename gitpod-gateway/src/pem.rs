//! Text files that hold keys and certificates.

use pem_rfc7468::LineEnding;
use zeroize::Zeroizing;

use crate::BoxError;

/// Label of a version 1 certificate.
pub(crate) const CERTIFICATE: &str = "NEBULA CERTIFICATE";
/// Label of an authority's private key: 64 bytes, the seed and the public key.
pub(crate) const SIGNING_KEY: &str = "NEBULA ED25519 PRIVATE KEY";
/// Label of an authority's public key.
pub(crate) const SIGNING_PUBLIC_KEY: &str = "NEBULA ED25519 PUBLIC KEY";
/// Label of a host's private key.
pub(crate) const HOST_KEY: &str = "NEBULA X25519 PRIVATE KEY";
/// Label of a host's public key.
pub(crate) const HOST_PUBLIC_KEY: &str = "NEBULA X25519 PUBLIC KEY";

/// Most text one file may have: thousands of certificates.
const MAX_TEXT: usize = 4 << 20;

/// Writes one block, in lines of 64 letters.
pub(crate) fn write(label: &str, bytes: &[u8]) -> String {
    // Fails only for lengths that overflow; everything written here is below 64 KiB.
    pem_rfc7468::encode_string(label, LineEnding::LF, bytes).unwrap_or_default()
}

/// Reads a file that holds one block with `label`, and nothing else.
pub(crate) fn read_one(label: &'static str, text: &str) -> Result<Zeroizing<Vec<u8>>, PemError> {
    let mut blocks = read_all(label, text)?;
    match (blocks.pop(), blocks.pop()) {
        (Some(block), None) => Ok(block),
        (None, _) => Err(PemError::Missing { expected: label }),
        (Some(_), Some(_)) => Err(PemError::TooMany),
    }
}

/// Reads a file of any number of blocks with `label`. Between blocks may stand
/// blank lines, and lines that begin with `#`.
pub(crate) fn read_all(
    label: &'static str,
    text: &str,
) -> Result<Vec<Zeroizing<Vec<u8>>>, PemError> {
    if text.len() > MAX_TEXT {
        return Err(PemError::TooLarge);
    }
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(start) = skip_comments(rest)? {
        let (block, after) = split_block(start)?;
        blocks.push(decode(label, block)?);
        rest = after;
    }
    Ok(blocks)
}

fn skip_comments(text: &str) -> Result<Option<&str>, PemError> {
    let mut rest = text.trim_start();
    while let Some(comment) = rest.strip_prefix('#') {
        rest = comment
            .split_once('\n')
            .map_or("", |(_, after)| after)
            .trim_start();
    }
    match rest {
        "" => Ok(None),
        text if text.starts_with(BEGIN) => Ok(Some(text)),
        _ => Err(PemError::OutsideBlock),
    }
}

fn split_block(text: &str) -> Result<(&str, &str), PemError> {
    let end = text.find(END).ok_or(PemError::NoEnd)?;
    let (_, last_line) = text.split_at_checked(end).ok_or(PemError::NoEnd)?;
    let length = end
        + last_line
            .find('\n')
            .map_or(last_line.len(), |newline| newline + 1);
    text.split_at_checked(length).ok_or(PemError::NoEnd)
}

fn decode(expected: &'static str, block: &str) -> Result<Zeroizing<Vec<u8>>, PemError> {
    let malformed = |why: pem_rfc7468::Error| PemError::Malformed(why.into());
    let label = pem_rfc7468::decode_label(block.as_bytes()).map_err(malformed)?;
    if label != expected {
        let found = label.to_owned();
        return Err(PemError::Label { expected, found });
    }
    let (_, bytes) = pem_rfc7468::decode_vec(block.as_bytes()).map_err(malformed)?;
    Ok(Zeroizing::new(bytes))
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// The text is not a file of the wanted kind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// It is larger than any file of ours.
    #[error("file is larger than 4 MiB")]
    TooLarge,
    /// It holds no block.
    #[error("file holds no block {expected:?}")]
    Missing {
        /// The label that was looked for.
        expected: &'static str,
    },
    /// It holds several blocks where one belongs.
    #[error("file holds more than one block")]
    TooMany,
    /// It holds something else: another kind of key, a version 2 certificate, an encrypted key.
    #[error("file holds {found:?} where {expected:?} belongs")]
    Label {
        /// The label that was looked for.
        expected: &'static str,
        /// The label that is there.
        found: String,
    },
    /// There is text outside the blocks that is no comment.
    #[error("file has text outside its blocks; a comment begins with #")]
    OutsideBlock,
    /// A block has no end.
    #[error("block has no line that ends it")]
    NoEnd,
    /// A block's content is not Base64 in lines of 64.
    #[error("block is malformed")]
    Malformed(#[source] BoxError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_round_trip_between_comments() {
        let (first, second) = (write(CERTIFICATE, &[1; 100]), write(CERTIFICATE, &[2]));
        let text = format!("# old\n{first}\n\n# new\n{second}# end");
        let blocks = read_all(CERTIFICATE, &text).unwrap();
        assert_eq!(blocks.len(), 2);
        assert_eq!(*blocks[0], [1; 100]);
        assert_eq!(*blocks[1], [2]);
    }

    #[test]
    fn text_that_is_no_block_is_an_error_that_says_why() {
        let block = write(CERTIFICATE, b"x");
        let cases = [
            (String::new(), "file holds no block \"NEBULA CERTIFICATE\""),
            (
                "# only\n".to_owned(),
                "file holds no block \"NEBULA CERTIFICATE\"",
            ),
            (format!("{block}{block}"), "file holds more than one block"),
            (
                format!("{block}x"),
                "file has text outside its blocks; a comment begins with #",
            ),
            ("-----BEGIN X".to_owned(), "block has no line that ends it"),
            (
                write("NEBULA CERTIFICATE V2", b"x"),
                "file holds \"NEBULA CERTIFICATE V2\" where \"NEBULA CERTIFICATE\" belongs",
            ),
            (block.replace("eA==", "e==="), "block is malformed"),
            (write(CERTIFICATE, b""), "block is malformed"),
        ];
        for (text, expected) in cases {
            let got = read_one(CERTIFICATE, &text).map_err(|why| why.to_string());
            assert_eq!(got, Err(expected.to_owned()), "{text:?}");
        }
    }
}
