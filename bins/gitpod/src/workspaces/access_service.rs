//! The service that says who may use a workspace.

use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use gitpod_lifecycle::GoDuration;
use gitpod_routing::{SecretUrl, Share, ShareScope};
use jiff::Timestamp;
use tonic::{Request, Response, Status};

use super::service::parse;
use super::{WorkspaceError, Workspaces, wake};
use crate::cli::PortVisibility;
use crate::local::access_server::Access;
use crate::local::{
    ListSharesRequest, ListSharesResponse, OpenRequest, OpenResponse, SetPortRequest,
    SetPortResponse, SetTimeoutRequest, SetTimeoutResponse, SetWakeRequest, SetWakeResponse,
    ShareRequest, SharedLink, UnshareRequest, UnshareResponse,
};

#[tonic::async_trait]
impl Access for Workspaces {
    async fn open(&self, request: Request<OpenRequest>) -> Result<Response<OpenResponse>, Status> {
        let request = request.into_inner();
        let id = parse(&request.workspace_id)?;
        let link = self.sign_in_link(&id, port(request.port)?).await?;
        let url = link.expose().to_owned();
        Ok(Response::new(OpenResponse { url }))
    }

    async fn set_port(
        &self,
        request: Request<SetPortRequest>,
    ) -> Result<Response<SetPortResponse>, Status> {
        let request = request.into_inner();
        let id = parse(&request.workspace_id)?;
        let visibility = PortVisibility::from_str(&request.visibility, false);
        let visibility = visibility.map_err(|_| {
            let other = &request.visibility;
            WorkspaceError::Invalid(format!("{other:?} is neither `private` nor `public`"))
        })?;
        let number = port(request.port)?.unwrap_or_default();
        Self::set_port(self, &id, number, visibility).await?;
        Ok(Response::new(SetPortResponse {}))
    }

    async fn set_timeout(
        &self,
        request: Request<SetTimeoutRequest>,
    ) -> Result<Response<SetTimeoutResponse>, Status> {
        let request = request.into_inner();
        let id = parse(&request.workspace_id)?;
        Self::set_timeout(self, &id, duration(&request.timeout)?).await?;
        Ok(Response::new(SetTimeoutResponse {}))
    }

    async fn set_wake(
        &self,
        request: Request<SetWakeRequest>,
    ) -> Result<Response<SetWakeResponse>, Status> {
        let request = request.into_inner();
        let id = parse(&request.workspace_id)?;
        let wake = wake::policy(&request.wake)?;
        let wake = wake.ok_or_else(|| WorkspaceError::Invalid("no policy is named".to_owned()))?;
        Self::set_wake(self, &id, wake).await?;
        Ok(Response::new(SetWakeResponse {}))
    }

    async fn share(&self, request: Request<ShareRequest>) -> Result<Response<SharedLink>, Status> {
        let request = request.into_inner();
        let id = parse(&request.workspace_id)?;
        let lifetime = duration(&request.lifetime)?;
        let lifetime = lifetime
            .to_std()
            .filter(|lifetime| *lifetime >= Duration::from_secs(1));
        let lifetime = lifetime.ok_or_else(|| {
            let why = "a share lasts a second at least; fix: write it like 30m or 2h";
            WorkspaceError::Invalid(why.to_owned())
        })?;
        let made = Self::share(self, &id, port(request.port)?, lifetime).await?;
        Ok(Response::new(link(&made)))
    }

    async fn list_shares(
        &self,
        request: Request<ListSharesRequest>,
    ) -> Result<Response<ListSharesResponse>, Status> {
        let id = parse(&request.into_inner().workspace_id)?;
        let shares = self.shares(&id).await?.iter().map(link).collect();
        Ok(Response::new(ListSharesResponse { shares }))
    }

    async fn unshare(
        &self,
        request: Request<UnshareRequest>,
    ) -> Result<Response<UnshareResponse>, Status> {
        let request = request.into_inner();
        let id = parse(&request.workspace_id)?;
        // Before the share: of no workspace there is nothing to list.
        self.record(&id).await?;
        let workspace = &id;
        let share = Some(request.share_id.as_str())
            .filter(|id| !id.is_empty())
            .map(|id| {
                id.parse().map_err(|why| {
                    WorkspaceError::Invalid(format!(
                        "{id:?}: {why}; fix: `gitpod share {workspace} --list` shows those it has"
                    ))
                })
            })
            .transpose()?;
        let count = Self::unshare(self, &id, share).await?;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Ok(Response::new(UnshareResponse { count }))
    }
}

/// A share as it is told.
pub(crate) fn link((share, url): &(Share, SecretUrl)) -> SharedLink {
    SharedLink {
        share_id: share.id.to_string(),
        url: url.expose().to_owned(),
        expires_at: rfc3339(share.expires_at),
        port: match share.scope {
            ShareScope::Port(port) => u32::from(port),
            _ => 0,
        },
    }
}

/// In whole seconds.
fn rfc3339(at: SystemTime) -> String {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds)
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

/// 0 stands for none.
fn port(number: u32) -> Result<Option<u16>, WorkspaceError> {
    let port = u16::try_from(number).map_err(|_| {
        WorkspaceError::Invalid(format!(
            "{number} is no port; fix: name one from 1 to 65535"
        ))
    })?;
    Ok((port != 0).then_some(port))
}

fn duration(text: &str) -> Result<GoDuration, WorkspaceError> {
    text.parse().map_err(|why| {
        WorkspaceError::Invalid(format!("{text:?}: {why}; fix: write it like 30m or 2h"))
    })
}
