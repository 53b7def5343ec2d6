//! The whole system in one process: workspaces of git repositories at their own hostnames.
fn main() {}
