//! The first process of a workspace: it runs the repository's tasks, watches which ports they serve, and answers on a unix
//! socket — status for the platform, a page for the user.
//!
//! ```text
//! supervisor.json → config → bind socket → read .gitpod.yml → start tasks, editor → watch ports ─┐
//!                                                                                                ├→ status, events, page
//! SIGTERM → stop: SIGTERM to every descendant, wait until none is left → exit 0 ─────────────────┘
//! ```
//!
//! [`main_from`] is the whole program, so that another binary can offer it as a subcommand:
//!
//! ```no_run
//! # fn main() -> std::process::ExitCode {
//! supervisor::main_from(std::env::args_os())
//! # }
//! ```
//!
//! It trusts whoever reaches its socket: the proxy in front decides who may. It isolates nothing but, if
//! told, the network.
//!
//! # Configuration
//!
//! `--config` names a JSON file; unknown keys are refused, and none of them is a credential.
//!
//! | key | |
//! |---|---|
//! | `workspace_id`, `instance_id` | who it is |
//! | `content_dir` | the repository; tasks and editor start there, `.gitpod.yml` is read from there |
//! | `logs_dir` | of this run: `<n>-<name>.log`, `.log.1` once it is full, `ide.log`, the scripts of the tasks, `tasks.json` with their names |
//! | `socket` | where to listen, mode 0600; a path longer than the 107 bytes of unix(7) is bound, and must be dialled, as `/proc/self/fd/<directory>/<name>` |
//! | `state_dir` | what outlives a run: which `init` is done. Default: `state` beside `logs_dir` |
//! | `repository_url`, `workspace_url` | shown, and given to tasks; user names and passwords are cut out |
//! | `port_url_template` | with `{port}`: where a port is reachable |
//! | `content_source` | `from-other` (default), `from-backup`, `from-prebuild` |
//! | `ide` | `null`, `"auto"` (openvscode-server, code-server, JupyterLab) or a command with `{port}`, `{content}`, `{host}` |
//! | `env` | variables of tasks and editor |
//! | `network` | `shared` (default) with the machine, or `own`: it makes one, and waits until standard input says `up` or why not |
//! | `ssh` | an SSH server: `socket` (mode 0600) where to listen, `host_key_file` where to write the public half of its host key, `user_ca` whose user certificates are believed, `authorized_keys` who else may log in |
//! | `limits` | of each process: `open_files`, `address_space_bytes`, `file_size_bytes`, `core_bytes`, `cpu_seconds`; of the user: `processes` |
//!
//! # What it answers
//!
//! `GET` and `HEAD` over HTTP/1.1; refusals are `{"error":{"message","fix"}}`.
//!
//! | path | |
//! |---|---|
//! | `/`, `/_supervisor/` | the workspace's page |
//! | `/_supervisor/v1/status/supervisor` | `{"ok":true,"stopping":false}` |
//! | `/_supervisor/v1/status/ide` | `{"ok":bool}`, with `port` and `name` while an editor answers, `error` if it cannot be started |
//! | `/_supervisor/v1/status/ide/wait/true` | the same, once the editor answers or is given up |
//! | `/_supervisor/v1/status/content` | `{"available":true,"source":…}` |
//! | `/_supervisor/v1/status/ports` | `{"ports":[{"localPort","served","exposed":{"visibility","protocol","url"},"autoExposure","name","description","onOpen"}]}` |
//! | `/_supervisor/v1/status/tasks` | `{"tasks":[{"id","name","state","exitCode","signal","error","startedAt","finishedAt"}],"config":…}`; `config` says what is wrong in `.gitpod.yml` or ignored |
//! | `/_supervisor/v1/tasks/{id or name}/log` | the output as text; `?follow=1` goes on while the task writes, `?tail=BYTES`; `ide` is the editor |
//! | `/_supervisor/v1/events` | server-sent events `state`, `ide`, `tasks`, `ports`; with `?output=BYTES` also `output` |
//!
//! In a network of its own it also answers `CONNECT 127.0.0.1:PORT` with a connection to that port, which nobody can reach from
//! outside: 404 if nobody listens, 502 if it cannot be reached.
//!
//! SIGTERM and SIGINT end it: every descendant gets SIGTERM (and SIGCONT; SIGHUP a second later), and it exits with 0 when none
//! is left. It never kills; whoever started it does, after a grace.

mod children;
mod config;
mod editors;
mod events;
mod ide;
mod limits;
mod log;
mod network;
mod output;
mod page;
mod ports;
mod probe;
mod run;
mod script;
mod serve;
mod socket;
mod ssh;
mod stop;
mod task;
mod tunnel;
mod utf8;
mod workspace;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::ssh::{leader, sftp};

/// Runs inside a workspace: tasks, listening ports, status, the workspace's page.
#[derive(Debug, Parser)]
#[command(name = "supervisor", version)]
struct Arguments {
    /// The JSON file that describes the workspace.
    #[arg(long, value_name = "FILE", required_unless_present = "probe_network")]
    config: Option<PathBuf>,
    /// Instead: make a network of its own, and end with standard input.
    #[arg(long, conflicts_with = "config")]
    probe_network: bool,
}

/// Runs the supervisor until SIGTERM or SIGINT ends it. `arguments` start with the program's name.
///
/// Exits with 0 when it was told to stop and nothing of the workspace is left, 1 when it could not start, 2 for wrong usage.
/// It makes this process the parent of orphans and changes its resource limits: call it in a process of its own.
/// For SSH clients it starts this program again, with the words that this process was given before its first option: they must
/// lead here as well.
pub fn main_from(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match arguments.as_slice() {
        [_, word, rest @ ..] if word == leader::LEAD => return leader::lead(rest),
        [_, word] if word == sftp::SFTP => return sftp::serve(),
        _ => {}
    }
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let done = match &arguments.config {
        Some(config) => run::run(config),
        None => network::probe(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
