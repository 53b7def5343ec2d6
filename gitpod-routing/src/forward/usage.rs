//! Says that a workspace is used while something open is used.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::activity::ActivitySink;
use crate::info::WorkspaceInfo;
use crate::stage::Permit;

/// Reports use of one workspace by one stream, at most four times a second.
pub(crate) struct Usage {
    sink: Arc<dyn ActivitySink>,
    info: Arc<WorkspaceInfo>,
    reported: Instant,
}

impl Usage {
    /// Of a stream that `permit` allows and whose beginning was reported just now; `None` if
    /// nobody wants to know.
    pub(crate) fn of(permit: &Permit) -> Option<Self> {
        let (sink, quiet) = permit.activity()?;
        let sink = Arc::clone(sink);
        let info = Arc::clone(permit.info());
        let reported = Instant::now() + quiet;
        Some(Self {
            sink,
            info,
            reported,
        })
    }

    /// Something that counts went through.
    pub(crate) fn note(&mut self) {
        let now = Instant::now();
        if now.duration_since(self.reported) >= INTERVAL {
            self.reported = now;
            self.sink.active(&self.info);
        }
    }
}

impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Usage").finish_non_exhaustive()
    }
}

/// Between two reports of one stream. Timeouts of workspaces are far longer.
const INTERVAL: Duration = Duration::from_millis(250);
