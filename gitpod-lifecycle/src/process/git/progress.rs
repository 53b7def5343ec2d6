//! What git says while it works.

/// Takes git's standard error apart: lines of progress end with a carriage
/// return, others with a newline.
#[derive(Debug, Default)]
pub(super) struct Reader {
    line: Vec<u8>,
    /// The last lines that are no progress: they say what went wrong.
    said: Vec<String>,
    last: Option<(String, Option<u8>)>,
}

/// Longer lines are cut: a server sends them.
const LONGEST_LINE: usize = 1000;
const KEPT_LINES: usize = 20;

impl Reader {
    /// Takes more bytes; calls `told` for each step that is new.
    pub(super) fn take(&mut self, bytes: &[u8], mut told: impl FnMut(&str, Option<u8>)) {
        for byte in bytes {
            match byte {
                b'\r' | b'\n' => self.end_of_line(&mut told),
                _ if self.line.len() < LONGEST_LINE => self.line.push(*byte),
                _ => {}
            }
        }
    }

    fn end_of_line(&mut self, told: &mut impl FnMut(&str, Option<u8>)) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line))
            .trim()
            .to_owned();
        match parse(&line) {
            Some((step, percent)) => {
                let now = Some((step.to_owned(), percent));
                if now != self.last {
                    told(step, percent);
                    self.last = now;
                }
            }
            None if line.is_empty() || line.starts_with("Cloning into") => {}
            None => {
                self.said.push(line);
                if self.said.len() > KEPT_LINES {
                    self.said.remove(0);
                }
            }
        }
    }

    /// What it said beside its progress.
    pub(super) fn said(mut self) -> String {
        self.end_of_line(&mut |_, _| {});
        self.said.join("\n")
    }
}

/// The steps of a clone, as git calls them.
const STEPS: [&str; 7] = [
    "Enumerating objects",
    "Counting objects",
    "Compressing objects",
    "Receiving objects",
    "Resolving deltas",
    "Updating files",
    "Filtering content",
];

/// Step and percentage of a line of progress:
/// `Receiving objects:  42% (420/1000), 1.20 MiB | 2.00 MiB/s`.
fn parse(line: &str) -> Option<(&str, Option<u8>)> {
    let line = line.strip_prefix("remote: ").unwrap_or(line);
    let (step, rest) = line.split_once(':')?;
    if !STEPS.contains(&step) {
        return None;
    }
    let percent = rest
        .split_once('%')
        .and_then(|(number, _)| number.trim().parse().ok());
    Some((step, percent.filter(|percent| *percent <= 100)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_once_and_the_rest_is_kept() {
        let text = "Cloning into 'x'...\nremote: Enumerating objects: 5, done.\n\
            Receiving objects:  20% (1/5)\rReceiving objects:  20% (1/5)\r\
            Receiving objects: 100% (5/5), 1.20 MiB | 2.00 MiB/s, done.\n\
            Resolving deltas: 999% (1/1)\rfatal: something broke\nand why";
        for size in [1, 7, text.len()] {
            let (mut reader, mut told) = (Reader::default(), Vec::new());
            for chunk in text.as_bytes().chunks(size) {
                reader.take(chunk, |step, percent| told.push((step.to_owned(), percent)));
            }
            let seen: Vec<_> = told
                .iter()
                .map(|(step, percent)| (step.as_str(), *percent))
                .collect();
            assert_eq!(
                seen,
                [
                    ("Enumerating objects", None),
                    ("Receiving objects", Some(20)),
                    ("Receiving objects", Some(100)),
                    ("Resolving deltas", None),
                ]
            );
            assert_eq!(reader.said(), "fatal: something broke\nand why");
        }
    }

    #[test]
    fn what_a_server_sends_does_not_fill_memory() {
        let mut reader = Reader::default();
        for _ in 0..1000 {
            reader.take(&[b'x'; 10_000], |_, _| {});
            reader.take(b"\n", |_, _| {});
        }
        assert!(reader.said().len() < 100_000);
    }
}
