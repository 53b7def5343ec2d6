//! The real `nebula`, kept running.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use crate::keep::{beside, replace, write_private};

/// The program, its configuration, and its process while it runs.
#[derive(Clone, Debug)]
pub(crate) struct Nebula {
    program: PathBuf,
    config: PathBuf,
    /// 0 while it does not run.
    process: Arc<AtomicU32>,
}

/// How long it is waited for at the end.
const GRACE: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Nebula {
    pub(crate) fn new(program: PathBuf, dir: &Path) -> Self {
        Self {
            program,
            config: dir.join("nebula.json"),
            process: Arc::default(),
        }
    }

    pub(crate) fn runs(&self) -> bool {
        self.process.load(Ordering::Acquire) != 0
    }

    /// Has the program judge `config`; if that is good it counts from now on.
    pub(crate) async fn configure(&self, config: &Value) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(config)?;
        let new = beside(&self.config);
        write_private(&new, &text)?;
        let output = self.command(&new).arg("-test").output().await;
        let output = output.with_context(|| self.missing())?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = format!(
                "{} {}",
                String::from_utf8_lossy(&output.stdout).trim(),
                said.trim()
            );
            bail!("nebula refuses its new configuration, the old one stays: {said}");
        }
        replace(&self.config, &text)?;
        self.signal(Signal::HUP);
        Ok(())
    }

    /// Starts it, and again whenever it ends, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        self.end_leftover();
        let mut wait = FIRST_WAIT;
        loop {
            match self.run_once(&stop).await {
                Ok(()) => {}
                Err(why) => tracing::error!(why = %format!("{why:#}"), "nebula does not run"),
            }
            metrics::counter!("gitpod_gateway_node_nebula_ends_total").increment(1);
            if stop
                .run_until_cancelled(tokio::time::sleep(wait))
                .await
                .is_none()
            {
                return;
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn run_once(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let mut child = self
            .command(&self.config)
            .spawn()
            .with_context(|| self.missing())?;
        let id = child.id().unwrap_or_default();
        self.process.store(id, Ordering::Release);
        let _ = replace(&self.pid_file(), id.to_string().as_bytes());
        tracing::info!(pid = id, "nebula runs");
        let ended = stop.run_until_cancelled(child.wait()).await;
        match ended {
            Some(status) => {
                self.process.store(0, Ordering::Release);
                bail!("it has ended: {}", status?);
            }
            None => {
                self.end(&mut child).await;
                Ok(())
            }
        }
    }

    async fn end(&self, child: &mut Child) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
        self.process.store(0, Ordering::Release);
        let _ = std::fs::remove_file(self.pid_file());
    }

    /// One that a node left which was ended by force: it has the device, and the port.
    fn end_leftover(&self) {
        let pid = std::fs::read_to_string(self.pid_file()).ok();
        let Some(pid) = pid.and_then(|text| text.parse::<u32>().ok()) else {
            return;
        };
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let config = self.config.as_os_str().as_encoded_bytes();
        if arguments
            .split(|byte| *byte == 0)
            .any(|argument| argument == config)
        {
            tracing::warn!(pid, "ending the nebula that an earlier node has left");
            signal(pid, Signal::TERM);
        }
    }

    fn signal(&self, which: Signal) {
        signal(self.process.load(Ordering::Acquire), which);
    }

    fn pid_file(&self) -> PathBuf {
        self.config.with_extension("pid")
    }

    fn command(&self, config: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("-config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::inherit())
            .kill_on_drop(true);
        command
    }

    fn missing(&self) -> String {
        format!(
            "cannot run {}; install it (Debian: apt-get install nebula), or name it in nebula.program",
            self.program.display()
        )
    }
}

fn signal(pid: u32, which: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw)
        && let Err(why) = kill_process(pid, which)
    {
        tracing::debug!(%why, "nebula cannot be signalled");
    }
}
