use super::node::At;
use super::read::clipped;
use super::{GitpodYmlError, Problem};

/// The first line that a tab indents. In a broken file it is the most likely cause, and what the YAML parser says of it does
/// not help anybody.
fn tab_indent(text: &str) -> Option<At> {
    let index = text.lines().position(|line| {
        let rest = line.trim_start_matches('\t');
        rest.len() < line.len() && !rest.trim().is_empty() && !rest.trim_start().starts_with('#')
    })?;
    Some(At {
        line: index as u64 + 1,
        column: 1,
    })
}

pub(super) fn broken(text: &str, error: &serde_saphyr::Error) -> GitpodYmlError {
    if let Some(at) = tab_indent(text) {
        return problem(
            at,
            "a tab indents this line; YAML only allows spaces",
            "replace each tab by two spaces",
        )
        .into();
    }
    let at = error.location().map_or(At { line: 1, column: 1 }, At::from);
    let text = error.render();
    let first = text.lines().next().unwrap_or_default();
    let (message, fix) = explain(first);
    problem(at, &message, fix).into()
}

/// The parser's message without its place, and what to do about it. Unknown messages pass through as they are.
fn explain(raw: &str) -> (String, &'static str) {
    let message = raw.split(" at line ").next().unwrap_or(raw);
    if let Some(key) = message.strip_prefix("duplicate mapping key: ") {
        let key = key.split(", set ").next().unwrap_or(key);
        return (
            format!("the key `{}` stands here for the second time", clipped(key)),
            "keep one of the two",
        );
    }
    let known = EXPLAINED.iter().find(|(part, _, _)| message.contains(part));
    known.map_or_else(
        || {
            (
                message.to_owned(),
                "check the indentation, the quotes and the colons around this place",
            )
        },
        |(_, text, fix)| {
            (
                (if text.is_empty() { message } else { text }).to_owned(),
                *fix,
            )
        },
    )
}

/// Part of the parser's message, our words for it (none: the parser's), the fix.
const EXPLAINED: &[(&str, &str, &str)] = &[
    (
        "Documents {",
        "a second document starts here",
        "keep one document: remove what follows `---`",
    ),
    (
        "unknown anchor",
        "the alias `*…` has no anchor",
        "define it before with `&name`, or put the text in quotes",
    ),
    (
        "recursion limit",
        "nested too deep",
        "write the file with less nesting",
    ),
    (
        "budget breached",
        "too many values, or aliases that expand to too many",
        "make the file smaller, with fewer aliases",
    ),
    (
        "mapping values are not allowed",
        "a second `: ` in one line",
        "put the text in quotes, or start it with `|` on its own line",
    ),
    ("unclosed quote", "", "close the quote"),
    ("unclosed bracket", "", "close the bracket"),
];

fn problem(at: At, message: &str, fix: &str) -> Problem {
    Problem {
        line: at.line,
        column: at.column,
        path: String::new(),
        message: message.to_owned(),
        fix: fix.to_owned(),
    }
}
