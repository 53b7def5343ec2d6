//! `gitpod version`.

use serde_json::json;

use super::connect::connect_page;
use crate::cli::{Format, VersionArgs};
use crate::exit::Failure;
use crate::local::{AboutRequest, AboutResponse};
use crate::print;

/// Tells the version of this program, and that of the `up` that runs.
pub(crate) async fn version(args: VersionArgs) -> Result<(), Failure> {
    let own = env!("CARGO_PKG_VERSION");
    let up = about(&args).await;
    if args.output.output == Format::Json {
        let up = up.map(|up| {
            json!({"version": up.version, "pid": up.pid, "http": up.http, "domain": up.domain, "page": up.page})
        });
        return print::json(&json!({"version": own, "up": up}));
    }
    print::to_stdout(|out| {
        writeln!(out, "gitpod {own}")?;
        match &up {
            Some(up) if up.version != own => writeln!(
                out,
                "up     {} at {}; start it again to have this version",
                up.version, up.page
            ),
            Some(up) => writeln!(out, "up     {} at {}", up.version, up.page),
            None => writeln!(out, "up     is not running"),
        }
    })
}

async fn about(args: &VersionArgs) -> Option<AboutResponse> {
    let mut up = connect_page(&args.state).await.ok()?;
    Some(up.about(AboutRequest {}).await.ok()?.into_inner())
}
