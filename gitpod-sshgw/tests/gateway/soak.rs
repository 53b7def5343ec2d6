//! What must hold however often it is done. `GITPOD_SSH_RUNS` and
//! `GITPOD_SSH_SESSIONS` raise the counts.

use russh::ChannelMsg;

use crate::peer::logged_in;
use crate::support::{eventually, served};

fn count(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_streams_and_the_status_are_complete_every_time() {
    let served = served().await;
    let (handle, _) = logged_in(&served).await;
    let command = "head -c 1000000 /dev/zero & head -c 1000000 /dev/zero >&2; wait; exit 7";
    for run in 0..count("GITPOD_SSH_RUNS", 20) {
        let mut channel = handle.channel_open_session().await.unwrap();
        channel.exec(true, command).await.unwrap();
        let (mut out, mut err, mut status) = (Vec::new(), Vec::new(), None);
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => out.extend(data),
                ChannelMsg::ExtendedData { data, .. } => err.extend(data),
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                _ => {}
            }
        }
        // What the shell itself has to say is no loss.
        let said: Vec<u8> = err.iter().copied().filter(|byte| *byte != 0).collect();
        let said = String::from_utf8_lossy(&said).into_owned();
        let sizes = (out.len(), err.len() - said.len(), status);
        assert_eq!(sizes, (1_000_000, 1_000_000, Some(7)), "run {run}: {said}");
        if !said.is_empty() {
            println!("run {run}: {said}");
        }
    }
}

/// Resident memory in KiB, and open files, of this process.
fn footprint() -> (usize, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
    (kib.parse().unwrap(), files)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_sessions_leave_nothing_behind() {
    let served = served().await;
    let sessions = count("GITPOD_SSH_SESSIONS", 60);
    let mut before = (0, 0);
    for number in 0..sessions {
        let (handle, _) = logged_in(&served).await;
        let mut channel = handle.channel_open_session().await.unwrap();
        channel.exec(true, "exit 0").await.unwrap();
        while channel.wait().await.is_some() {}
        drop(handle);
        if number == sessions / 3 {
            before = footprint(); // warmed up
        }
    }
    let files = before.1 + 10; // of sessions that are just closing
    eventually("files are closed", || footprint().1 <= files).await;
    let after = footprint();
    let grown = after.0.saturating_sub(before.0);
    println!("{sessions} sessions: {before:?} then {after:?} (KiB, files)");
    assert!(grown < 8 * 1024, "memory grew by {grown} KiB");
}
