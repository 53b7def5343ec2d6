//! `gitpod unshare`.

use serde_json::json;

use super::connect::{connect_access, failure};
use crate::cli::{Format, UnshareArgs};
use crate::exit::Failure;
use crate::local::UnshareRequest;
use crate::print;

/// Ends shares of a workspace, and what their visitors have open.
pub(crate) async fn unshare(args: UnshareArgs) -> Result<(), Failure> {
    let request = UnshareRequest {
        workspace_id: args.id,
        share_id: args.share_id.unwrap_or_default(),
    };
    let answer = connect_access(&args.state)
        .await?
        .unshare(request)
        .await
        .map_err(|why| failure("cannot end the share", &why))?;
    let count = answer.into_inner().count;
    match args.output.output {
        Format::Json => print::json(&json!({"ended": count})),
        Format::Text => {
            print::note(&match count {
                0 => "nothing was shared".to_owned(),
                1 => "the share is ended; its visitors are cut off".to_owned(),
                _ => format!("{count} shares are ended; their visitors are cut off"),
            });
            Ok(())
        }
    }
}
