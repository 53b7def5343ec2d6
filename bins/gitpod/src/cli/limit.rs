//! What `--limit` says about limits.

use support::limits::Limit;

/// The list of all limits.
pub(super) fn help() -> String {
    let names = Limit::ALL.map(|limit| format!("{}={}", limit.name(), limit.usual()));
    let width = names.iter().map(String::len).max().unwrap_or_default();
    let lines = Limit::ALL.iter().zip(&names).map(|(limit, name)| {
        let about = limit.about();
        format!("\n  {name:width$}  {about}")
    });
    let lines: String = lines.collect();
    format!(
        "Set a limit, as often as needed. Who meets one is refused and counted. Usually:{lines}"
    )
}
