//! `gitpod timeout`.

use gitpod_lifecycle::GoDuration;
use serde_json::json;

use super::connect::{connect_access, failure};
use crate::cli::{Format, TimeoutArgs};
use crate::exit::Failure;
use crate::local::SetTimeoutRequest;
use crate::print;

/// Gives a workspace another limit, also for its later runs.
pub(crate) async fn timeout(args: TimeoutArgs) -> Result<(), Failure> {
    let limit = GoDuration::from(args.duration);
    let request = SetTimeoutRequest {
        workspace_id: args.id.clone(),
        timeout: limit.to_string(),
    };
    connect_access(&args.state)
        .await?
        .set_timeout(request)
        .await
        .map_err(|why| failure("cannot change the limit", &why))?;
    if args.output.output == Format::Json {
        return print::json(&json!({"id": args.id, "timeout": limit.to_string()}));
    }
    print::note(&format!(
        "{} stops when nobody has used it for {}, from now on",
        args.id,
        print::duration(limit)
    ));
    Ok(())
}
