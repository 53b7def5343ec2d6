//! `gitpod share`.

use gitpod_lifecycle::GoDuration;
use serde::Serialize;

use super::connect::{connect_access, failure};
use super::table::{Table, Tone};
use crate::cli::{Format, ShareArgs};
use crate::exit::Failure;
use crate::local::{ListSharesRequest, ShareRequest, SharedLink};
use crate::print;

/// One share, as `-o json` prints it.
#[derive(Debug, Serialize)]
struct ShareView {
    share_id: String,
    url: String,
    expires_at: String,
    /// Absent if it is all of the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u32>,
}

impl From<SharedLink> for ShareView {
    fn from(from: SharedLink) -> Self {
        Self {
            share_id: from.share_id,
            url: from.url,
            expires_at: from.expires_at,
            port: (from.port != 0).then_some(from.port),
        }
    }
}

/// Makes a link that lets others in, or shows those there are.
pub(crate) async fn share(args: ShareArgs) -> Result<(), Failure> {
    let cannot = |why: tonic::Status| failure("cannot share the workspace", &why);
    let mut up = connect_access(&args.state).await?;
    if args.list {
        let request = ListSharesRequest {
            workspace_id: args.id,
        };
        let shares = up.list_shares(request).await.map_err(cannot)?;
        return show(shares.into_inner().shares, args.output.output);
    }
    let request = ShareRequest {
        workspace_id: args.id.clone(),
        port: args.port.map_or(0, u32::from),
        lifetime: GoDuration::from(args.lifetime).to_string(),
    };
    let share = ShareView::from(up.share(request).await.map_err(cannot)?.into_inner());
    if args.output.output == Format::Json {
        return print::json(&share);
    }
    print::to_stdout(|out| writeln!(out, "{}", share.url))?;
    print::note(&format!(
        "whoever has the link may use it until {}; to end it: gitpod unshare {} {}",
        share.expires_at, args.id, share.share_id
    ));
    Ok(())
}

fn show(shares: Vec<SharedLink>, output: Format) -> Result<(), Failure> {
    let shares: Vec<ShareView> = shares.into_iter().map(ShareView::from).collect();
    if output == Format::Json {
        return print::json(&shares);
    }
    let mut table = Table::new(["SHARE", "PORT", "UNTIL"]);
    for share in shares {
        let port = share.port.map_or("all".to_owned(), |port| port.to_string());
        table.row([share.share_id, port, share.expires_at].map(|text| (text, Tone::None)));
    }
    table.print("nothing is shared")
}
