/// Turns chunks of bytes into text, although a chunk may end in the middle of a letter. What is no UTF-8 becomes `\u{fffd}`.
#[derive(Debug, Default)]
pub(crate) struct Utf8 {
    begun: Vec<u8>,
}

impl Utf8 {
    pub(crate) fn decode(&mut self, chunk: &[u8]) -> String {
        self.begun.extend_from_slice(chunk);
        let rest = self
            .begun
            .split_off(self.begun.len() - unfinished(&self.begun));
        let text = String::from_utf8_lossy(&self.begun).into_owned();
        self.begun = rest;
        text
    }
}

/// How many bytes at the end are the beginning of a letter that is not complete.
fn unfinished(bytes: &[u8]) -> usize {
    let is_begun = |length: &usize| {
        let tail = bytes
            .len()
            .checked_sub(*length)
            .and_then(|start| bytes.get(start..));
        let checked = tail.map(std::str::from_utf8);
        matches!(checked, Some(Err(error)) if error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (1..=3).find(is_begun).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cut_anywhere_is_the_same_text() {
        let text = "aé→日𝄞b";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut utf8 = Utf8::default();
                let (bytes, mut got) = (text.as_bytes(), String::new());
                for part in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                    got += &utf8.decode(part);
                }
                assert_eq!(got, text);
            }
        }
    }

    #[test]
    fn what_is_no_text_does_not_hold_up_what_follows() {
        let mut utf8 = Utf8::default();
        assert_eq!(utf8.decode(b"\xffa"), "\u{fffd}a");
        assert_eq!(utf8.decode(b"\xe2"), "");
        assert_eq!(utf8.decode(b"b"), "\u{fffd}b");
    }
}
