//! The service that commands about SSH talk to.

use tonic::{Request, Response, Status};

use super::authorized::{AuthorizedKeys, KeysError};
use crate::ssh::Endpoint;
use crate::ssh::local::{
    AddKeysRequest, AddKeysResponse, DescribeRequest, DescribeResponse, ListKeysRequest,
    ListKeysResponse, RemoveKeyRequest, RemoveKeyResponse, ssh_server,
};

/// Answers commands about the gateway and the user's keys.
#[derive(Debug)]
pub(crate) struct SshService {
    pub(super) keys: AuthorizedKeys,
    /// Absent if SSH is switched off.
    pub(super) endpoint: Option<Endpoint>,
}

#[tonic::async_trait]
impl ssh_server::Ssh for SshService {
    async fn describe(
        &self,
        _: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        let endpoint = self.endpoint.ok_or_else(|| {
            Status::failed_precondition(
                "`gitpod up` runs with --ssh-listen off; fix: end it, and start it again without that",
            )
        })?;
        let address = endpoint.address().to_string();
        Ok(Response::new(DescribeResponse { address }))
    }

    async fn add_keys(
        &self,
        request: Request<AddKeysRequest>,
    ) -> Result<Response<AddKeysResponse>, Status> {
        let lines = request.into_inner().lines;
        let added = self.change(move |keys| keys.add(&lines)).await?;
        let keys = added.new.iter().map(Into::into).collect();
        let known = added.known.iter().map(Into::into).collect();
        Ok(Response::new(AddKeysResponse { keys, known }))
    }

    async fn list_keys(
        &self,
        _: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        let keys = self.keys.list().iter().map(Into::into).collect();
        Ok(Response::new(ListKeysResponse { keys }))
    }

    async fn remove_key(
        &self,
        request: Request<RemoveKeyRequest>,
    ) -> Result<Response<RemoveKeyResponse>, Status> {
        let name = request.into_inner().name;
        let removed = self.change(move |keys| keys.remove(&name)).await?;
        let key = Some((&removed).into());
        Ok(Response::new(RemoveKeyResponse { key }))
    }
}

impl SshService {
    /// Changes the keys where waiting for the disk holds up nobody.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&AuthorizedKeys) -> Result<T, KeysError> + Send + 'static,
    ) -> Result<T, Status> {
        let keys = self.keys.clone();
        let changed = tokio::task::spawn_blocking(move || change(&keys)).await;
        let changed = changed.map_err(|why| Status::internal(why.to_string()))?;
        changed.map_err(|why| Status::invalid_argument(why.to_string()))
    }
}
