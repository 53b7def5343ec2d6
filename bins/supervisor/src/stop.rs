use std::collections::HashMap;
use std::time::Duration;

use gitpod_lifecycle::process::tree::{ProcessId, ProcessTable};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

/// Time for SIGTERM to work before SIGHUP follows, which ends the interactive shells that ignore SIGTERM.
const HANGUP_AFTER: Duration = Duration::from_secs(1);
/// Short at first, as most processes end at once; then longer, as looking is not free.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Asks every descendant to end, and returns when none is left.
///
/// It never kills: whoever runs the supervisor decides how long to wait and then kills the rest. Processes that are started
/// meanwhile are asked too, each once.
pub(crate) async fn end_all() {
    let mut pause = FIRST_PAUSE;
    let mut asked: HashMap<ProcessId, Asked> = HashMap::new();
    loop {
        let left = descendants();
        if left.is_empty() {
            return;
        }
        for process in left {
            let asked = asked.entry(process).or_insert_with(|| Asked::now(process));
            if !asked.hung_up && asked.at.elapsed() >= HANGUP_AFTER {
                asked.hung_up = true;
                tracing::info!(pid = process.pid, "still runs after SIGTERM");
                signal(process, Signal::HUP);
            }
        }
        sleep(pause).await;
        pause = (pause * 5 / 4).min(LONGEST_PAUSE);
    }
}

/// The processes of this workspace, other than this one.
fn descendants() -> Vec<ProcessId> {
    let own = ProcessId::of(std::process::id());
    own.map(|own| ProcessTable::read().descendants(own))
        .unwrap_or_default()
}

struct Asked {
    at: Instant,
    hung_up: bool,
}

impl Asked {
    fn now(process: ProcessId) -> Self {
        signal(process, Signal::TERM);
        // A stopped process ends only when it goes on.
        signal(process, Signal::CONT);
        Self {
            at: Instant::now(),
            hung_up: false,
        }
    }
}

fn signal(process: ProcessId, signal: Signal) {
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid.filter(|_| process.is_alive()) {
        let _ = kill_process(pid, signal);
    }
}
