//! `gitpod wake`.

use serde_json::json;

use super::connect::{connect_access, failure};
use crate::cli::{Format, Wake, WakeArgs};
use crate::exit::Failure;
use crate::local::SetWakeRequest;
use crate::print;

/// Says who has a workspace started by coming to it.
pub(crate) async fn wake(args: WakeArgs) -> Result<(), Failure> {
    let request = SetWakeRequest {
        workspace_id: args.id.clone(),
        wake: args.policy.to_string(),
    };
    connect_access(&args.state)
        .await?
        .set_wake(request)
        .await
        .map_err(|why| failure("cannot change who wakes the workspace", &why))?;
    let id = args.id;
    if args.output.output == Format::Json {
        return print::json(&json!({"id": id, "wake": args.policy}));
    }
    print::note(&match args.policy {
        Wake::Owner => format!("{id} starts when its owner comes to it"),
        Wake::Anyone => format!("{id} starts when anyone comes to it who may use it"),
        Wake::Never => format!("{id} starts for nobody but `gitpod start {id}` and the page"),
    });
    Ok(())
}
