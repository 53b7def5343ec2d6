//! `gitpod delete`.

use serde_json::json;

use super::connect::{connect, failure};
use crate::cli::{DeleteArgs, Format};
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
    if args.output.output == Format::Json {
        return print::json(&json!({"id": args.id, "deleted": true}));
    }
    print::note(&format!("{} is deleted", args.id));
    Ok(())
}
