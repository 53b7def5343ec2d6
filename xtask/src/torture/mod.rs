//! `cargo xtask torture`: kills `gitpod up` again and again, and looks whether its promises hold.
//!
//! ```text
//! plan ─► actions, traffic ─► SIGKILL ─► up again (killed again, maybe) ─► check ─► next round
//!              │                 ▲
//!              │                 ├─ in the middle of `up --replace`: the old one, the new one, both
//!              │                 └─ some time after another one has taken over
//!              └── acknowledgements ─► ledger ────────────────────────────────┘
//! ```

mod actions;
mod check;
mod ledger;
mod life;
mod place;
mod plan;
mod repository;
mod traffic;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use tokio::time::Instant;

use self::life::Life;
use self::plan::Round;
use crate::shell::{announce, cargo};

/// What is to be tortured, and for how long.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Torture {
    /// How often it is killed
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// What decides when it is killed and what is going on then; another one each time if absent
    #[arg(long)]
    seed: Option<u64>,
    /// A `gitpod` that was built before; built now if absent
    #[arg(long)]
    gitpod: Option<PathBuf>,
}

/// Rounds with one state directory. Then it is ended as a user does, and the next one begun.
const ROUNDS_PER_LIFE: u32 = 5;

/// Runs all rounds; the last line on `out` is `N passed, N failed`.
pub(crate) fn run(torture: &Torture, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let failed = runtime.block_on(torture.run(out))?;
    Ok(match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

impl Torture {
    /// How many rounds failed.
    async fn run(&self, out: &mut impl Write) -> anyhow::Result<u32> {
        let program = match &self.gitpod {
            Some(program) => program.canonicalize().context("there is no such program")?,
            None => build()?,
        };
        let seed = self
            .seed
            .unwrap_or_else(|| u64::from(rand::random::<u32>()));
        writeln!(out, "seed {seed}; to repeat: {}", self.repeat(seed))?;
        let (mut life, mut failed) = (None, 0);
        for number in 0..self.rounds {
            let round = Round::draw(seed, number);
            let began = Instant::now();
            let is_last = number + 1 == self.rounds || (number + 1) % ROUNDS_PER_LIFE == 0;
            let complaints = one(&mut life, &program, &round, is_last).await;
            let complaints = complaints.unwrap_or_else(|why| vec![format!("{why:#}")]);
            let seconds = began.elapsed().as_secs_f32();
            let amount = life.as_ref().map_or_else(String::new, Life::amount);
            write!(out, "round {number}: {round}; {seconds:.1} s{amount}: ")?;
            if complaints.is_empty() {
                writeln!(out, "passed")?;
            } else {
                failed += 1;
                writeln!(out, "FAILED")?;
                tell(out, &complaints, life.take()).await?;
            }
            if is_last {
                life = None;
            }
        }
        writeln!(out, "{} passed, {failed} failed", self.rounds - failed)?;
        Ok(failed)
    }

    fn repeat(&self, seed: u64) -> String {
        format!("cargo xtask torture --rounds {} --seed {seed}", self.rounds)
    }
}

/// One round, in the present life or in a new one.
async fn one(
    life: &mut Option<Life>,
    program: &Path,
    round: &Round,
    is_last: bool,
) -> anyhow::Result<Vec<String>> {
    let life = match life {
        Some(life) => life,
        None => life.insert(Life::begin(program).await?),
    };
    let mut complaints = life.round(round).await?;
    if complaints.is_empty() && is_last {
        complaints = life.end().await?;
    }
    Ok(complaints)
}

async fn tell(
    out: &mut impl Write,
    complaints: &[String],
    life: Option<Life>,
) -> anyhow::Result<()> {
    for complaint in complaints {
        writeln!(out, "    {complaint}")?;
    }
    if let Some(life) = life {
        let kept = life.give_up().await?;
        writeln!(out, "    kept: {0} (up.log, state/)", kept.display())?;
    }
    Ok(())
}

/// Builds `gitpod` and tells where it is.
fn build() -> anyhow::Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--quiet", "--package", "gitpod", "--bin", "gitpod"]);
    command.args(["--message-format", "json-render-diagnostics"]);
    let text = announce(&command);
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{text}`"))?;
    ensure!(
        output.status.success(),
        "`{text}` failed; its messages are above"
    );
    let mut built = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let message: serde_json::Value = serde_json::from_slice(line).ok()?;
            Some(PathBuf::from(message.get("executable")?.as_str()?))
        });
    built
        .next_back()
        .context("cargo does not say what it built")
}
