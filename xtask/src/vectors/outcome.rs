//! What replaying one case showed.

use serde_json::Value;

/// The result of one case, before it is judged whether a difference matters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// The code did what the case expects.
    Same,
    /// The code did something else.
    Differs {
        /// The part of `case["expect"]` that was compared.
        expected: Value,
        /// The same part, as the code did it.
        got: Value,
    },
    /// This one case of a supported group cannot be replayed; the text says why.
    Skipped(String),
}
