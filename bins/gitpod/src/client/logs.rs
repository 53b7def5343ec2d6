//! `gitpod logs`.

use super::connect::{connect, failure};
use crate::cli::LogsArgs;
use crate::exit::Failure;
use crate::local::LogsRequest;
use crate::print::{self, Reader};

/// Prints what a workspace's tasks print.
///
/// With more than one task, a line tells which one speaks.
pub(crate) async fn logs(args: LogsArgs) -> Result<(), Failure> {
    let request = LogsRequest {
        workspace_id: args.id,
        follow: args.follow,
        task: args.task.unwrap_or_default(),
    };
    let cannot = |why: tonic::Status| failure("cannot read the logs", &why);
    let mut chunks = connect(&args.state)
        .await?
        .logs(request)
        .await
        .map_err(cannot)?
        .into_inner();
    let mut speaker = None;
    while let Some(chunk) = chunks.message().await.map_err(cannot)? {
        if speaker.as_ref() != Some(&chunk.task) {
            print::note(&format!("==> {} <==", chunk.task));
            speaker = Some(chunk.task);
        }
        if print::while_read(|out| out.write_all(&chunk.data))? == Reader::Gone {
            return Ok(());
        }
    }
    if speaker.is_none() {
        print::note("nothing was printed: no task of this run has, or it has none");
    }
    Ok(())
}
