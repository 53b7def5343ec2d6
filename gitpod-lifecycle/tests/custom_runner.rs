//! The example of another platform passes the suite, and is short.
#![cfg(feature = "testing")]
#![allow(missing_docs)]

#[path = "../examples/custom_runner.rs"]
mod custom_runner;

#[test]
fn another_platform_takes_at_most_80_lines() {
    let lines = include_str!("../examples/custom_runner.rs").lines().count();
    assert!(lines <= 80, "{lines}");
}

#[test]
fn another_platform_keeps_every_promise() -> Result<(), gitpod_lifecycle::conformance::Violation> {
    custom_runner::main()
}
