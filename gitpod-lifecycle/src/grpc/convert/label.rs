//! Names that can be labels.

/// Whether `text` can be the value of a Kubernetes label: empty, or up to 63
/// letters, digits, `-`, `_` and `.` with a letter or digit at both ends.
///
/// Owners and workspaces are named so, wherever they run: it keeps them away from
/// paths such as `../other`.
pub(in crate::grpc) fn is_label(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let ends = [text.bytes().next(), text.bytes().next_back()];
    text.len() <= 63
        && text.bytes().all(known)
        && ends
            .into_iter()
            .flatten()
            .all(|end| end.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_begin_and_end_with_a_letter_or_digit() {
        let cases = [
            ("", true),
            ("pink-panda-ns35kd21", true),
            ("A.b_c-9", true),
            (&"a".repeat(63), true),
            (&"a".repeat(64), false),
            ("..", false),
            ("a-", false),
            ("not a label!", false),
            ("a/b", false),
            ("ä", false),
        ];
        for (text, expected) in cases {
            assert_eq!(is_label(text), expected, "{text:?}");
        }
    }
}
