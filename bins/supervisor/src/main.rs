//! Runs inside a workspace: tasks, listening ports, status endpoints, the workspace's page.

use std::process::ExitCode;

fn main() -> ExitCode {
    supervisor::main_from(std::env::args_os())
}
