//! `gitpod stop`.

use super::connect::{connect, failure};
use crate::cli::StopArgs;
use crate::exit::Failure;
use crate::local::StopRequest;
use crate::print;

/// Stops a workspace and waits until nothing of it runs.
pub(crate) async fn stop(args: StopArgs) -> Result<(), Failure> {
    let request = StopRequest {
        workspace_id: args.id.clone(),
        immediately: args.now,
    };
    connect(&args.state)
        .await?
        .stop(request)
        .await
        .map_err(|why| failure("cannot stop the workspace", &why))?;
    let id = args.id;
    print::note(&format!(
        "{id} is stopped; its files are kept, `gitpod start {id}` starts it again"
    ));
    Ok(())
}
