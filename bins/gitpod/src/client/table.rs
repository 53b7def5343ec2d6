//! Tables for people.

use std::io::{self, IsTerminal, Write};

use anstream::adapter::strip_str;

use crate::exit::Failure;
use crate::print;

/// Rows in columns that are as wide as their widest cell, and no wider than the terminal.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    head: [&'static str; N],
    rows: Vec<[Cell; N]>,
    cells: Cells,
}

/// Whether cells may be cut to fit the terminal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cells {
    Cut,
    Whole,
}

type Cell = (String, Tone);

/// What a cell means, for those who see colours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tone {
    None,
    Good,
    Warn,
    Bad,
}

/// How it is shown.
#[derive(Clone, Copy, Debug)]
struct Style {
    /// Columns of the terminal; none where nobody looks.
    width: Option<usize>,
    coloured: bool,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(head: [&'static str; N]) -> Self {
        Self {
            head,
            rows: Vec::new(),
            cells: Cells::Cut,
        }
    }

    /// Cells are never cut: a terminal wraps lines that are too long for it.
    #[must_use]
    pub(super) fn with_whole_cells(self) -> Self {
        Self {
            cells: Cells::Whole,
            ..self
        }
    }

    /// Adds a row. Sequences that would command a terminal are taken out.
    pub(super) fn row(&mut self, cells: [Cell; N]) {
        let plain = |text: &str| {
            let text = strip_str(text).to_string();
            text.replace(print::is_wild, " ")
        };
        self.rows
            .push(cells.map(|(text, tone)| (plain(&text), tone)));
    }

    /// Whether nothing of it has to be cut to fit the terminal.
    pub(super) fn fits(&self) -> bool {
        self.fits_in(Style::of_stdout().width)
    }

    fn fits_in(&self, width: Option<usize>) -> bool {
        let whole = self.widths(None).iter().sum::<usize>() + GAP * N.saturating_sub(1);
        width.is_none_or(|width| whole <= width)
    }

    /// Writes it on standard output; `nothing` if there is no row.
    pub(super) fn print(&self, nothing: &str) -> Result<(), Failure> {
        if self.rows.is_empty() {
            return print::to_stdout(|out| writeln!(out, "{nothing}"));
        }
        print::with_colours(|out| self.write(out, Style::of_stdout()))
    }

    fn write(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let widths = self.widths(style.width.filter(|_| self.cells == Cells::Cut));
        let head = self.head.map(|name| (name.to_owned(), Tone::None));
        for row in std::iter::once(&head).chain(&self.rows) {
            let last = row
                .iter()
                .rposition(|(text, _)| !text.is_empty())
                .unwrap_or(0);
            for (column, ((text, tone), width)) in row.iter().zip(widths).enumerate().take(last + 1)
            {
                let text = shortened(text, width);
                let pad = if column == last {
                    0
                } else {
                    width - text.chars().count() + GAP
                };
                match tone.colour().filter(|_| style.coloured) {
                    Some(colour) => write!(out, "{colour}{text}\x1b[0m{:pad$}", "")?,
                    None => write!(out, "{text}{:pad$}", "")?,
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }

    /// The widest cells give way first, but the first column, which names things.
    fn widths(&self, most: Option<usize>) -> [usize; N] {
        let mut widths = self.head.map(str::len);
        for row in &self.rows {
            for (width, (text, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(text.chars().count());
            }
        }
        let Some(most) = most else { return widths };
        let mut total = widths.iter().sum::<usize>() + GAP * N.saturating_sub(1);
        while total > most {
            match widths.iter_mut().skip(1).max() {
                Some(widest) if *widest > LEAST => *widest -= 1,
                _ => break, // it wraps then
            }
            total -= 1;
        }
        widths
    }
}

const GAP: usize = 2;
/// A cell is not made narrower than this.
const LEAST: usize = 8;

impl Style {
    fn of_stdout() -> Self {
        let out = io::stdout();
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let shown = out.is_terminal();
        let width = rustix::termios::tcgetwinsize(&out)
            .ok()
            .map(|size| usize::from(size.ws_col));
        Self {
            width: width.filter(|width| shown && *width > 0),
            coloured: shown
                && set("NO_COLOR").is_none()
                && set("TERM").is_none_or(|term| term != "dumb"),
        }
    }
}

impl Tone {
    fn colour(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Good => Some("\x1b[32m"),
            Self::Warn => Some("\x1b[33m"),
            Self::Bad => Some("\x1b[31m"),
        }
    }
}

fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars()
        .take(width.saturating_sub(1))
        .chain(['…'])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(width: Option<usize>, coloured: bool) -> String {
        let mut out = Vec::new();
        let style = Style { width, coloured };
        table().write(&mut out, style).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn table() -> Table<3> {
        let mut table = Table::new(["ID", "PHASE", "URL"]);
        let long = "http://pink-panda-ns35kd21.ws.localhost:8080/".to_owned();
        table.row([
            ("pink-panda-ns35kd21".to_owned(), Tone::None),
            ("running".to_owned(), Tone::Good),
            (long, Tone::None),
        ]);
        table.row([
            ("a".to_owned(), Tone::None),
            ("\x1b]0;title\x07stop\nped".to_owned(), Tone::None),
            (String::new(), Tone::None),
        ]);
        table
    }

    #[test]
    fn table_fits_where_nothing_has_to_be_cut() {
        let longest = drawn(None, false).lines().map(str::len).max();
        let longest = longest.unwrap();
        assert!(table().fits_in(None) && table().fits_in(Some(longest)));
        assert!(!table().fits_in(Some(longest - 1)));
    }

    #[test]
    fn columns_fit_their_widest_cell() {
        let text = drawn(None, false);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "ID                   PHASE     URL");
        assert_eq!(lines[2], "a                    stop ped");
    }

    #[test]
    fn lines_fit_the_terminal_and_names_stay_whole() {
        let text = drawn(Some(60), false);
        assert!(
            text.lines().all(|line| line.chars().count() <= 60),
            "{text}"
        );
        assert!(
            text.contains("pink-panda-ns35kd21  running   http://pink-panda-"),
            "{text}"
        );
        assert!(text.contains('…'), "{text}");
    }

    #[test]
    fn colours_are_for_terminals_and_sequences_of_others_are_for_nobody() {
        assert!(!drawn(None, false).contains('\x1b'));
        let coloured = drawn(None, true);
        assert_eq!(coloured.matches('\x1b').count(), 2, "{coloured:?}");
    }
}
