//! Repositories of tortured workspaces.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use crate::shell;

/// The repository of one slot. All differ in port and habits.
#[derive(Clone, Debug)]
pub(super) struct Repository {
    pub(super) path: PathBuf,
    /// Where its server listens: a free one, for machines where networks are shared.
    pub(super) port: u16,
    /// Whether it has a program that does not end when it is asked to.
    pub(super) is_stubborn: bool,
}

/// The server, which also is what a clone must hold.
pub(super) const SERVER: &str = include_str!("../../../testdata/programs/torture.py");

/// Bytes that take git some time to clone.
const BULK: usize = 6 << 20;

impl Repository {
    /// Makes the one of slot `number` below `dir`.
    pub(super) fn make(dir: &Path, number: usize) -> anyhow::Result<Self> {
        let path = dir.join(format!("repository-{number}"));
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let is_stubborn = number % 3 == 2;
        std::fs::create_dir(&path)?;
        std::fs::write(path.join("torture.py"), SERVER)?;
        std::fs::write(path.join(".gitpod.yml"), config(port, is_stubborn))?;
        if number.is_multiple_of(2) {
            let mut bulk = vec![0; BULK];
            StdRng::seed_from_u64(number as u64).fill_bytes(&mut bulk);
            std::fs::write(path.join("bulk"), bulk)?;
        }
        let git = |words: &[&str]| {
            let mut git = Command::new("git");
            let author = [
                "-c",
                "user.name=torture",
                "-c",
                "user.email=torture@example.com",
            ];
            git.arg("-C").arg(&path).args(author).args(words);
            shell::output_of(&mut git).ok_or_else(|| anyhow::anyhow!("git {words:?} failed"))
        };
        git(&["init", "--quiet", "--initial-branch", "main"])?;
        git(&["add", "."])?;
        git(&["commit", "--quiet", "-m", "files"])?;
        Ok(Self {
            path,
            port,
            is_stubborn,
        })
    }
}

/// A server, a program that runs away from everything it can run away from, and maybe one
/// that wants to be killed.
fn config(port: u16, is_stubborn: bool) -> String {
    let mut text = format!(
        "tasks:
  - name: web
    command: exec python3 torture.py {port}
  - name: runaway
    command: |
      setsid sh -c 'env -i sleep 86399 & exec sleep 86398' &
      exec sleep 86397
"
    );
    if is_stubborn {
        text.push_str(
            "  - name: stubborn
    command: |
      trap '' TERM HUP
      while :; do sleep 86396; done
",
        );
    }
    text.push_str(&format!(
        "ports:\n  - port: {port}\n    visibility: private\n"
    ));
    text
}
