//! `gitpod stop`.

use serde_json::json;

use super::connect::{connect, failure};
use crate::cli::{Format, StopArgs};
use crate::exit::Failure;
use crate::local::StopRequest;
use crate::print;

/// Stops a workspace and waits until nothing of it runs.
pub(crate) async fn stop(args: StopArgs) -> Result<(), Failure> {
    let request = StopRequest {
        workspace_id: args.id.clone(),
        immediately: args.now,
    };
    let mut up = connect(&args.state).await?;
    let waits = match args.now {
        false => "its processes have up to 30s to finish; --now gives them one second",
        true => "its processes have one second to finish",
    };
    print::patiently(waits, up.stop(request))
        .await
        .map_err(|why| failure("cannot stop the workspace", &why))?;
    let id = args.id;
    if args.output.output == Format::Json {
        return print::json(&json!({"id": id, "phase": "stopped"}));
    }
    print::note(&format!(
        "{id} is stopped; its files are kept, `gitpod start {id}` starts it again"
    ));
    Ok(())
}
