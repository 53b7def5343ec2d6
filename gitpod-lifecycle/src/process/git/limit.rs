//! How large a clone may become, and how long it may take.

use std::path::Path;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::size_of;
use crate::content::ContentError;

/// What one clone may take. A clone that takes more is given up, and nothing of it is kept.
///
/// Each that is given up counts in `gitpod_limit_refusals_total`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CloneLimits {
    /// On the disk, history included. Looked at about twice a second: a little more may come
    /// before it is noticed.
    pub bytes: u64,
    /// From the first word with its host.
    pub time: Duration,
}

impl Default for CloneLimits {
    /// 20 GiB, which is more than almost any repository has, and less than a disk; an hour, in
    /// which that much comes over a usual line.
    fn default() -> Self {
        Self {
            bytes: 20 << 30,
            time: Duration::from_secs(3600),
        }
    }
}

/// What comes of `clone`, which fills `dir`, unless it takes too much.
pub(super) async fn within<T>(
    limits: CloneLimits,
    dir: &Path,
    clone: impl Future<Output = Result<T, ContentError>>,
) -> Result<T, ContentError> {
    let done = tokio::select! {
        done = clone => done?,
        () = sleep(limits.time) => {
            count("clone-time");
            return Err(ContentError::OverLimit(format!(
                "the clone was not there after {:?}; take less history (--depth), or allow more time (clone-time)",
                limits.time
            )));
        }
        () = outgrown(dir, limits.bytes) => return Err(too_large(limits.bytes)),
    };
    match measured(dir).await > limits.bytes {
        true => Err(too_large(limits.bytes)),
        false => Ok(done),
    }
}

fn too_large(bytes: u64) -> ContentError {
    count("clone-bytes");
    ContentError::OverLimit(format!(
        "the clone takes more than {bytes} bytes; take less history (--depth), or allow more (clone-bytes)"
    ))
}

fn count(limit: &'static str) {
    metrics::counter!("gitpod_limit_refusals_total", "limit" => limit).increment(1);
}

/// Waits until `dir` has more than `most` bytes.
async fn outgrown(dir: &Path, most: u64) {
    let mut pause = SHORTEST;
    loop {
        sleep(pause).await;
        let began = Instant::now();
        if measured(dir).await > most {
            return;
        }
        // Where looking takes long, it is a small part of the time all the same.
        pause = SHORTEST.max(began.elapsed() * 10);
    }
}

async fn measured(dir: &Path) -> u64 {
    let dir = dir.to_owned();
    spawn_blocking(move || size_of(&dir))
        .await
        .unwrap_or_default()
}

const SHORTEST: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn clone_that_takes_too_long_or_too_much_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pack"), [0; 100]).unwrap();
        let never = || pending::<Result<(), ContentError>>();
        let limits = |bytes| CloneLimits {
            bytes,
            time: Duration::from_secs(60),
        };
        let slow = within(limits(100), dir.path(), never()).await;
        assert!(matches!(slow, Err(ContentError::OverLimit(why)) if why.contains("60s")));
        let large = within(limits(99), dir.path(), never()).await;
        assert!(matches!(large, Err(ContentError::OverLimit(why)) if why.contains("99 bytes")));
        let large = within(limits(99), dir.path(), async { Ok(()) }).await;
        assert!(large.is_err());
        within(limits(100), dir.path(), async { Ok(()) })
            .await
            .unwrap();
    }
}
