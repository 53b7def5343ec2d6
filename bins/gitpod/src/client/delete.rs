//! `gitpod delete`.

use super::connect::{connect, failure};
use crate::cli::DeleteArgs;
use crate::exit::Failure;
use crate::local::DeleteRequest;
use crate::print;

/// Stops a workspace and removes it and its files.
pub(crate) async fn delete(args: DeleteArgs) -> Result<(), Failure> {
    let request = DeleteRequest {
        workspace_id: args.id.clone(),
    };
    let mut up = connect(&args.state).await?;
    print::patiently(
        "its processes are ending, then its files go",
        up.delete(request),
    )
    .await
    .map_err(|why| failure("cannot delete the workspace", &why))?;
    print::note(&format!("{} is deleted", args.id));
    Ok(())
}
