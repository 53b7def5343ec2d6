//! Joining.

use jiff::Timestamp;

use super::record::{self, TokenRecord, host_key, read, token_key};
use super::{COMMIT_ATTEMPTS, Registry, RegistryError};
use crate::host::HostState;
use crate::key::PublicKey;
use crate::message::{ConfigBundle, EnrollRequest};
use crate::store::{StoreError, Write};
use crate::token::EnrollmentToken;

impl Registry {
    /// Lets a host join.
    ///
    /// # Errors
    ///
    /// [`RegistryError`]: who shows a token that is none hears no more than that.
    pub async fn enroll(
        &self,
        request: &EnrollRequest,
        now: Timestamp,
    ) -> Result<ConfigBundle, RegistryError> {
        let (host_key_given, _) = request.keys().ok_or(RegistryError::BadSignature)?;
        for _ in 0..COMMIT_ATTEMPTS {
            match self.enroll_once(request, host_key_given, now).await {
                Err(RegistryError::Store(StoreError::Conflict(_))) => {} // decide anew
                done => return done,
            }
        }
        Err(RegistryError::Busy)
    }

    async fn enroll_once(
        &self,
        request: &EnrollRequest,
        key: PublicKey,
        now: Timestamp,
    ) -> Result<ConfigBundle, RegistryError> {
        let at = token_key(&EnrollmentToken::shown(&request.token));
        let item = self
            .store
            .get(&at)
            .await?
            .ok_or(RegistryError::TokenInvalid)?;
        let mut token: TokenRecord = read(&item.value)?;
        let keys = request.keys_hash();
        match &token.spent_by {
            Some(by) if *by != keys => {
                alarm(&token.host);
                return Err(RegistryError::TokenSpent);
            }
            _ if token.expires_at < now => return Err(RegistryError::TokenExpired),
            _ => {}
        }
        let (mut host, revision) = self.host_item(&token.host).await?;
        if token.blocks != host.blocks {
            return Err(RegistryError::TokenInvalid); // who was blocked had it, or could have
        }
        if host.state == HostState::Blocked && host.host_key.as_ref() == Some(&request.host_key) {
            return Err(RegistryError::KeyBlocked);
        }
        if host.host_key.as_ref() != Some(&request.host_key) {
            // One address is one host's: of two, the newer one would get all traffic.
            host.revoke_all();
        }
        let certificate = self.certify(&mut host, key, now).await?;
        host.state = HostState::Enrolled;
        host.host_key = Some(request.host_key.clone());
        host.request_key = Some(request.request_key.clone());
        token.spent_by = Some(keys);
        let writes = vec![
            Write::change(at, item.revision, record::write(&token)?),
            Write::change(host_key(&host.name), revision, record::write(&host)?),
        ];
        // Others hear of a lighthouse, and of who is not blocked any more.
        self.commit_and_tell(writes).await?;
        self.bundle(&host, Some(certificate), now).await
    }
}

/// Two hosts with one token: one of them is an intruder.
fn alarm(host: &str) {
    tracing::warn!(host, "a token that was used is shown again with other keys");
}
