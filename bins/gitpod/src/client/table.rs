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
    last: Last,
}

/// What becomes of the last column where the terminal is too narrow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Last {
    /// It is cut as others are.
    Cut,
    /// It goes to lines of its own: half an address is of no use.
    Whole,
    /// It is text, and goes on in the next line.
    Wrapped,
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
            last: Last::Cut,
        }
    }

    /// The last column is never cut.
    #[must_use]
    pub(super) fn with_last_whole(self) -> Self {
        Self {
            last: Last::Whole,
            ..self
        }
    }

    /// The last column goes on in the next line, and no word of it is cut.
    #[must_use]
    pub(super) fn with_last_wrapped(self) -> Self {
        Self {
            last: Last::Wrapped,
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
        width.is_none_or(|width| total(&self.widths(None)) <= width)
    }

    /// Writes it on standard output. If there is no row, people are told `nothing`, and
    /// scripts see none.
    pub(super) fn print(&self, nothing: &str) -> Result<(), Failure> {
        if self.rows.is_empty() {
            print::note(nothing);
            return Ok(());
        }
        print::with_colours(|out| self.write(out, Style::of_stdout()))
    }

    fn write(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let (widths, place) = self.arranged(style.width);
        let head = self.head.map(|name| (name.to_owned(), Tone::None));
        for row in std::iter::once(&head).chain(&self.rows) {
            match place {
                Place::Beside => write_row(out, row, widths, style)?,
                Place::Wrapped(room) => {
                    for row in wrapped_row(row, room) {
                        write_row(out, &row, widths, style)?;
                    }
                }
                Place::Below(room) => write_row_above(out, row, widths, room, style)?,
            }
        }
        Ok(())
    }

    /// Widths of the columns, and where the last one goes.
    fn arranged(&self, most: Option<usize>) -> ([usize; N], Place) {
        let natural = self.widths(None);
        let Some(most) = most.filter(|_| self.last != Last::Cut && !self.fits_in(most)) else {
            return (self.widths(most), Place::Beside);
        };
        if self.last == Last::Whole {
            let narrowed = beside_last(natural, most);
            return match total(&narrowed) <= most {
                true => (narrowed, Place::Beside),
                false => (above_last(natural, most), Place::Below(None)),
            };
        }
        let left = total(&natural) - natural.last().copied().unwrap_or(0);
        match most.checked_sub(left).filter(|room| *room >= LEAST_TEXT) {
            Some(room) => (natural, Place::Wrapped(room)),
            None => (
                above_last(natural, most),
                Place::Below(Some(most.saturating_sub(INDENT))),
            ),
        }
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
        while total(&widths) > most {
            match widths.iter_mut().skip(1).max() {
                Some(widest) if *widest > LEAST => *widest -= 1,
                _ => break, // it wraps then
            }
        }
        widths
    }
}

/// Where the last column goes.
#[derive(Clone, Copy, Debug)]
enum Place {
    Beside,
    /// Beside the others, on lines of so many letters.
    Wrapped(usize),
    /// Below the others, on lines of so many letters if they are not to be whole.
    Below(Option<usize>),
}

/// `widths` for `most` letters in a line: all but the first and the last give way.
fn beside_last<const N: usize>(mut widths: [usize; N], most: usize) -> [usize; N] {
    let between = 1..N.saturating_sub(1);
    while total(&widths) > most {
        match widths.get_mut(between.clone()).into_iter().flatten().max() {
            Some(widest) if *widest > LEAST => *widest -= 1,
            _ => break,
        }
    }
    widths
}

/// The same where the last goes below the others.
fn above_last<const N: usize>(mut widths: [usize; N], most: usize) -> [usize; N] {
    if let Some(last) = widths.last_mut() {
        *last = 0;
    }
    beside_last(widths, most + GAP)
}

fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

fn write_row<const N: usize>(
    out: &mut dyn Write,
    row: &[Cell; N],
    widths: [usize; N],
    style: Style,
) -> io::Result<()> {
    let last = row.iter().rposition(|(text, _)| !text.is_empty());
    let last = last.unwrap_or(0);
    for (column, ((text, tone), width)) in row.iter().zip(widths).enumerate().take(last + 1) {
        let text = shortened(text, width);
        let pad = match column == last {
            true => 0,
            false => width - text.chars().count() + GAP,
        };
        match tone.colour().filter(|_| style.coloured) {
            Some(colour) => write!(out, "{colour}{text}\x1b[0m{:pad$}", "")?,
            None => write!(out, "{text}{:pad$}", "")?,
        }
    }
    writeln!(out)
}

/// `row` as rows whose last cells have `room` letters at most.
fn wrapped_row<const N: usize>(row: &[Cell; N], room: usize) -> Vec<[Cell; N]> {
    let blank = row.each_ref().map(|_| (String::new(), Tone::None));
    let text = row.last().map_or("", |(text, _)| text.as_str());
    let with_last = |mut row: [Cell; N], piece| {
        if let Some(last) = row.last_mut() {
            last.0 = piece;
        }
        row
    };
    let pieces = wrapped(text, room).into_iter().enumerate();
    let row_of = |at| if at == 0 { row } else { &blank };
    pieces
        .map(|(at, piece)| with_last(row_of(at).clone(), piece))
        .collect()
}

/// Writes `row` with its last cell below it.
fn write_row_above<const N: usize>(
    out: &mut dyn Write,
    row: &[Cell; N],
    widths: [usize; N],
    room: Option<usize>,
    style: Style,
) -> io::Result<()> {
    let mut above = row.clone();
    let last = above.last_mut().map(|last| std::mem::take(&mut last.0));
    let last = last.unwrap_or_default();
    if above.iter().any(|(text, _)| !text.is_empty()) {
        write_row(out, &above, widths, style)?;
    }
    let pieces = match room {
        Some(room) => wrapped(&last, room),
        None => vec![last],
    };
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        writeln!(out, "{:INDENT$}{piece}", "")?;
    }
    Ok(())
}

/// `text` in lines of `room` letters at most, but for words that are longer.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        let length = line.chars().count() + 1 + word.chars().count();
        if line.is_empty() {
            line.push_str(word);
        } else if length <= room {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

const GAP: usize = 2;
/// A cell is not made narrower than this.
const LEAST: usize = 8;
/// Text in narrower lines is hard to read.
const LEAST_TEXT: usize = 24;
/// Before what is below its row.
const INDENT: usize = 2;

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

    fn drawn_as(table: &Table<3>, width: usize) -> String {
        let mut out = Vec::new();
        let style = Style {
            width: Some(width),
            coloured: false,
        };
        table.write(&mut out, style).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn address_is_whole_beside_its_row_or_below_it() {
        let address = "http://pink-panda-ns35kd21.ws.localhost:8080/";
        let of = |name: &str| {
            let mut table = Table::new(["PORT", "NAME", "URL"]).with_last_whole();
            table.row(["3000", name, address].map(|text| (text.to_owned(), Tone::None)));
            table
        };
        let beside = drawn_as(&of("a shop that is long"), 68);
        let expected = format!("3000  a shop that is…  {address}\n");
        assert!(beside.ends_with(&expected), "{beside}");
        let below = drawn_as(&of("a shop that is long"), 40);
        let expected = format!("PORT  NAME\n  URL\n3000  a shop that is long\n  {address}\n");
        assert_eq!(below, expected);
        assert_eq!(
            drawn(None, false),
            drawn_as(&table().with_last_whole(), 1000)
        );
    }

    #[test]
    fn text_goes_on_in_the_next_line_below_where_it_began() {
        let mut table = Table::new(["CHECK", "STATUS", "FOUND"]).with_last_wrapped();
        let text = "one two three four five https://example.com/that/is/longer/than/any/line six";
        table.row(["memory", "ok", text].map(|text| (text.to_owned(), Tone::None)));
        let wide = "\
CHECK   STATUS  FOUND
memory  ok      one two three four five
                https://example.com/that/is/longer/than/any/line
                six
";
        assert_eq!(drawn_as(&table, 41), wide);
        let mut table = Table::new(["CHECK", "STATUS", "FOUND"]).with_last_wrapped();
        table
            .row(["memory", "ok", "one two three four five"].map(|it| (it.to_owned(), Tone::None)));
        let narrow = "CHECK   STATUS\n  FOUND\nmemory  ok\n  one two three four\n  five\n";
        assert_eq!(drawn_as(&table, 22), narrow);
    }

    #[test]
    fn colours_are_for_terminals_and_sequences_of_others_are_for_nobody() {
        assert!(!drawn(None, false).contains('\x1b'));
        let coloured = drawn(None, true);
        assert_eq!(coloured.matches('\x1b').count(), 2, "{coloured:?}");
    }
}
