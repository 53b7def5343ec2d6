//! `gitpod timeout`.

use gitpod_lifecycle::GoDuration;

use super::connect::{connect_access, failure};
use crate::cli::TimeoutArgs;
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
    print::note(&format!(
        "{} stops when nobody has used it for {}, from now on",
        args.id,
        print::duration(limit)
    ));
    Ok(())
}
