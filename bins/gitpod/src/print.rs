//! What commands write on standard output and standard error.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anstream::adapter::strip_str;
use gitpod_lifecycle::GoDuration;
use serde::Serialize;

use crate::cli::Format;
use crate::exit::Failure;
use crate::local::{self, Workspace};

/// Writes one line of JSON on standard output.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value)
        .map_err(|why| Failure::failed("cannot write JSON").because(&why))?;
    to_stdout(|out| writeln!(out, "{text}"))
}

/// Whether somebody still reads what is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reader {
    There,
    Gone,
}

/// Writes on standard output. A reader that went away is no error.
pub(crate) fn to_stdout(
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    while_read(write).map(drop)
}

/// Writes on standard output as it is: what `write` gives must hold no sequence but
/// its own.
pub(crate) fn with_colours(
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match write(&mut out).and_then(|()| out.flush()) {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed("cannot write to standard output").because(&why))
        }
        _ => Ok(()),
    }
}

/// As [`to_stdout`], and tells whether anybody reads on.
///
/// A terminal gets text only: what workspaces and repositories say might hold
/// sequences that command it.
pub(crate) fn while_read(
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Reader, Failure> {
    let mut out = io::stdout().lock();
    let written = if out.is_terminal() {
        let mut bytes = Vec::new();
        write(&mut bytes).and_then(|()| {
            let text = shown(&String::from_utf8_lossy(&bytes));
            out.write_all(text.as_bytes())?;
            out.flush()
        })
    } else {
        write(&mut out).and_then(|()| out.flush())
    };
    match written {
        Ok(()) => Ok(Reader::There),
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(why) => Err(Failure::failed("cannot write to standard output").because(&why)),
    }
}

/// Writes a line for people on standard error. Failing to is no reason to stop.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{}", shown(line));
}

/// `text` as people may see it: without sequences that command a terminal, and with other
/// characters that are no part of a picture spelt out. Lines and tabs stay.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let text = strip_str(text).to_string().replace("\r\n", "\n");
    for letter in text.chars() {
        match letter {
            '\n' | '\t' => shown.push(letter),
            letter if is_wild(letter) => shown.extend(letter.escape_default()),
            letter => shown.push(letter),
        }
    }
    shown
}

/// Whether a terminal might obey `letter`, or show a text with it as another one: control
/// characters, marks that turn the direction of writing, and letters that nobody sees. Those that
/// join and part others, as Persian and families of emoji need, are letters.
pub(crate) fn is_wild(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A time as people write it: `2h`, `1h30m`. Go's own form has zeros behind it.
pub(crate) fn duration(time: GoDuration) -> String {
    let text = time.to_string();
    let text = text
        .strip_suffix("m0s")
        .map_or(text.clone(), |rest| format!("{rest}m"));
    text.strip_suffix("h0m")
        .map_or(text.clone(), |rest| format!("{rest}h"))
}

/// [`shown`], in one line.
pub(crate) fn shown_in_line(text: &str) -> String {
    shown(text).replace(['\n', '\t'], " ")
}

/// After so long without a word a user wonders.
const PATIENCE: Duration = Duration::from_secs(1);

/// After so long without another word she wonders again.
const STILL: Duration = Duration::from_secs(5);

/// Does `work`, says `line` if that takes longer than a moment, and then that it still does.
pub(crate) async fn patiently<T>(line: &str, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    match tokio::time::timeout(PATIENCE, &mut work).await {
        Ok(done) => return done,
        Err(_) => note(line),
    }
    let mut passed = PATIENCE;
    loop {
        match tokio::time::timeout(STILL, &mut work).await {
            Ok(done) => return done,
            Err(_) => passed += STILL,
        }
        note(&format!("  not yet, after {}s", passed.as_secs()));
    }
}

/// Tells on standard error what is wrong with the `.gitpod.yml` of a workspace.
pub(crate) fn config(workspace: &Workspace) {
    for error in &workspace.config_errors {
        note(&format!("warning: .gitpod.yml is not used: {error}"));
    }
    for ignored in &workspace.config_ignored {
        note(&format!("warning: .gitpod.yml: ignored: {ignored}"));
    }
}

/// Tells on standard error how a start comes along.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Lines for people; scripts read only the last word, on standard output.
    shown: bool,
    rewrite: bool,
    phase: String,
    step: String,
}

impl Progress {
    pub(crate) fn new(output: Format) -> Self {
        Self {
            shown: output == Format::Text,
            rewrite: io::stderr().is_terminal(),
            phase: String::new(),
            step: String::new(),
        }
    }

    pub(crate) fn phase(&mut self, workspace: &Workspace) {
        if self.shown && self.phase != workspace.phase {
            self.phase.clone_from(&workspace.phase);
            note(&format!("{}  {}", workspace.id, workspace.phase));
        }
    }

    pub(crate) fn step(&mut self, progress: &local::Progress) {
        if !self.shown {
            return;
        }
        match progress.percent {
            Some(percent) if self.rewrite => {
                let end = if percent == 100 { "\n" } else { "\r" };
                let line = format!("  {}: {percent}%{end}", shown_in_line(&progress.step));
                let _ = io::stderr().write_all(line.as_bytes());
            }
            _ if self.step != progress.step => note(&format!("  {}", progress.step)),
            _ => {}
        }
        self.step.clone_from(&progress.step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_do() {
        for (seconds, told) in [
            (1800, "30m"),
            (7200, "2h"),
            (5400, "1h30m"),
            (36_000, "10h"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds).into()), told);
        }
        assert_eq!(duration(Duration::from_secs(8).into()), "8s");
        assert_eq!(duration(Duration::from_millis(1500).into()), "1.5s");
    }

    #[test]
    fn what_others_say_commands_no_terminal_and_holds_no_raw_control_character() {
        let text = "a\x1b]0;title\x07b\0c\rd\u{9b}e\x7f\tf\ng";
        let shown = shown(text);
        let wild = |c: char| c.is_control() && c != '\n' && c != '\t';
        assert!(!shown.contains(wild), "{shown:?}");
        assert!(shown.ends_with("\tf\ng"), "{shown:?}");
        assert!(shown.contains("c\\rd\\u{9b}e"), "{shown:?}");
        assert!(!shown_in_line(text).contains(char::is_control));
        for unseen in ['\u{202e}', '\u{200b}', '\u{2066}', '\u{feff}', '\u{9d}'] {
            assert!(!super::shown(&format!("a{unseen}b")).contains(unseen));
        }
        let letters = "日本 é 👨\u{200d}👩 می\u{200c}خواهم";
        assert_eq!(super::shown(letters), letters);
    }
}
