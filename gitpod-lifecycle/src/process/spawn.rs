//! Starting a supervisor.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

use rustix::fs::OFlags;

use super::cgroup::Cgroup;
use super::disk::Disk;
use super::environment::{inherited, of_workspace};
use super::limits::Enforcement;
use super::network::Network;
use super::private_file::{Durability, make_dir, remove, replace};
use super::runner_file::RunnerFile;
use super::settings::ProcessSettings;
use super::supervisor_file::SupervisorFile;
use super::tree::{ProcessId, ProcessTable};
use crate::spec::Spec;

/// Starts the supervisor of `spec`, and notes in `runner` what was started. Whoever
/// calls it remembers that; until then the process is known by its mark only.
///
/// It gets a process group of its own, so that signals of a terminal do not reach
/// it; an environment of its own; and a control group where that is possible.
/// In a network of its own it waits behind the gate that this gives back.
pub(crate) fn start_supervisor(
    spec: &Spec,
    settings: &ProcessSettings,
    network: Network,
    runner: &mut RunnerFile,
) -> io::Result<Option<ChildStdin>> {
    let dir = settings.layout.instance(&spec.instance);
    let group = Cgroup::make(&dir);
    let (enforcement, rest) = Enforcement::set(&settings.limits, group.as_ref());
    let file = SupervisorFile::of(spec, settings, rest).map_err(io::Error::other)?;
    let env = of_workspace(spec, &file);
    let file = file.with_env(env).with_network(network);
    let config = write_config(&file, &dir)?;
    let layout = &settings.layout;
    remove(&layout.socket(&spec.instance))?;
    remove(&layout.ssh_socket(&spec.instance))?;
    remove(&layout.ssh_host_key(&spec.instance))?;
    let log = open_log(&settings.layout.supervisor_log(&spec.instance))?;
    let mut command = command(&file, settings, &config, log)?;
    if network == Network::Own {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().map_err(|why| cannot_run(settings, &why))?;
    // What `Child` offers is not needed: its end is seen through its handle.
    let process = ProcessId::of(child.id()).ok_or(io::ErrorKind::NotFound)?;
    runner.process = Some(process);
    runner.limits = enforcement;
    runner.network = network;
    runner.cgroup = group.as_ref().map(|group| group.path().to_owned());
    group.iter().for_each(|group| move_all(process, group));
    Ok(child.stdin.take())
}

fn write_config(file: &SupervisorFile, dir: &Path) -> io::Result<PathBuf> {
    for made in [&file.content_dir, &file.logs_dir, &file.state_dir] {
        make_dir(made)?;
    }
    let config = dir.join("supervisor.json");
    let text = serde_json::to_vec_pretty(file).map_err(io::Error::other)?;
    replace(&Disk, &config, &text, Durability::UntilReboot)?;
    Ok(config)
}

fn command(
    file: &SupervisorFile,
    settings: &ProcessSettings,
    config: &Path,
    log: File,
) -> io::Result<Command> {
    let (program, arguments) = settings
        .supervisor
        .split_first()
        .ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg("--config")
        .arg(config)
        .env_clear()
        .envs(inherited(&settings.inherit))
        .envs(&file.env)
        .current_dir(&file.content_dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0);
    Ok(command)
}

fn open_log(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    open_ordinary(&mut options, path)
}

/// Opens a file that a workspace may have replaced by something that never answers.
fn open_ordinary(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let file = options
        .custom_flags(i32::try_from(flags).unwrap_or_default())
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is not an ordinary file")),
    }
}

fn cannot_run(settings: &ProcessSettings, why: &io::Error) -> io::Error {
    let program = settings
        .supervisor
        .first()
        .map(|program| program.to_string_lossy().into_owned());
    io::Error::new(
        why.kind(),
        format!(
            "supervisor {} cannot be run: {why}",
            program.unwrap_or_default()
        ),
    )
}

/// Moves a process and what it may have started already into `group`.
fn move_all(process: ProcessId, group: &Cgroup) {
    let _ = group.take(process);
    for child in ProcessTable::read().descendants(process) {
        let _ = group.take(child);
    }
}

/// The end of what a supervisor has printed, for people.
pub(crate) fn end_of_log(path: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = open_ordinary(OpenOptions::new().read(true), path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(SHOWN)))?;
        let mut bytes = Vec::new();
        file.take(SHOWN).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    read().unwrap_or_default()
}

/// Some lines: enough for an error and its causes.
const SHOWN: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipe_in_the_place_of_a_log_holds_up_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("supervisor.log");
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        assert_eq!(end_of_log(&path), "");
        assert!(open_log(&path).is_err());
    }

    #[test]
    fn last_words_are_read_and_more_are_added() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("supervisor.log");
        io::Write::write_all(&mut open_log(&path).unwrap(), b"last words\n").unwrap();
        assert_eq!(end_of_log(&path), "last words");
    }
}
