//! The same, many times over.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::ssh_harness::{Login, text};

/// How often, unless a variable says so: what a gate has time for. The full counts,
/// 1,000 and 2,000, are run by hand.
fn times(variable: &str, usual: usize) -> usize {
    let set = std::env::var(variable).ok();
    set.and_then(|times| times.parse().ok()).unwrap_or(usual)
}

/// Does `work` so many times, a few at once.
fn in_parallel(times: usize, work: impl Fn(usize) + Sync) {
    let numbers: Mutex<VecDeque<usize>> = Mutex::new((0..times).collect());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(number) = { numbers.lock().unwrap().pop_front() } {
                    work(number);
                }
            });
        }
    });
}

#[test]
fn attack_45_both_streams_and_the_exit_code_are_always_whole() {
    let Some(login) = Login::new() else { return };
    // Both at once, and the end right after the last byte.
    let both = "#!/bin/sh\nhead -c 1048576 /dev/zero | tr '\\0' o &\nhead -c 1048576 /dev/zero | tr '\\0' e >&2\nwait\nexit $1\n";
    std::fs::write(login.content().join("both.sh"), both).unwrap();
    in_parallel(times("GITPOD_TEST_SSH_RUNS", 40), |number| {
        let code = number % 250;
        let output = login.ssh(["ws", &format!("exec sh both.sh {code}")]);
        assert_eq!(
            output.status.code(),
            i32::try_from(code).ok(),
            "run {number}: {}",
            login.up.log()
        );
        for (stream, letter) in [(&output.stdout, b'o'), (&output.stderr, b'e')] {
            let other: Vec<u8> = stream
                .iter()
                .copied()
                .filter(|byte| *byte != letter)
                .collect();
            let count = stream.len() - other.len();
            assert_eq!(
                (count, text(&other)),
                (1 << 20, String::new()),
                "run {number}"
            );
        }
    });
}

#[test]
fn many_short_sessions_leave_neither_memory_nor_descriptors_behind() {
    let Some(login) = Login::new() else { return };
    let total = times("GITPOD_TEST_SSH_SESSIONS", 120);
    let pid = login.up.ready["pid"].as_u64().unwrap();
    let descriptors = || {
        std::fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .count()
    };
    let kilobytes = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap()
            .to_owned();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<usize>()
            .unwrap()
    };
    let session = |number: usize| {
        let output = login.ssh(["ws", &format!("echo {number}")]);
        assert_eq!(
            text(&output.stdout),
            format!("{number}\n"),
            "{}",
            text(&output.stderr)
        );
    };
    in_parallel(total / 4, session);
    crate::harness::wait_until("sessions are over", || descriptors() < 200);
    let (before, memory) = (descriptors(), kilobytes());
    in_parallel(total, session);
    crate::harness::wait_until("no descriptor is left behind", || {
        descriptors() <= before + 2
    });
    let grown = kilobytes().saturating_sub(memory);
    eprintln!("{total} sessions: {memory} kB, then {grown} kB more; {before} descriptors");
    assert!(
        grown < 8192 + total * 2,
        "{grown} kB more after {total} sessions"
    );
}
