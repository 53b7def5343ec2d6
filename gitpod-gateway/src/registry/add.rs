//! Making hosts, and tokens for them.

use jiff::Timestamp;
use serde_json::json;

use super::record::{self, HOST, TokenRecord, host_key, ip_key, is_name, token_key};
use super::{Registry, RegistryError};
use crate::host::{Host, HostKind, NewHost};
use crate::store::{StoreError, Write};
use crate::token::EnrollmentToken;

impl Registry {
    /// Makes a host: reserves its name and an address. The token lets it join.
    ///
    /// # Errors
    ///
    /// [`RegistryError`]
    pub async fn add(
        &self,
        new: NewHost,
        now: Timestamp,
    ) -> Result<(Host, EnrollmentToken), RegistryError> {
        check(&new)?;
        let token = EnrollmentToken::generate()?;
        for attempt in 0..ADDRESS_ATTEMPTS {
            let address = record::candidate(self.settings.addresses, &new.name, attempt);
            let Some(address) = address else {
                return Err(RegistryError::NoAddressLeft);
            };
            let host = Host::of(new.clone(), address);
            let writes = vec![
                Write::create(host_key(&host.name), record::write(&host)?),
                Write::create(ip_key(address), json!({ "host": host.name })),
                self.token_write(&token, &host, now)?,
            ];
            match self.store.commit(writes).await {
                Ok(()) => return Ok((host, token)),
                Err(StoreError::Conflict(key)) if key.starts_with(HOST) => {
                    return Err(RegistryError::NameTaken(new.name));
                }
                Err(StoreError::Conflict(_)) => {} // another address
                Err(why) => return Err(why.into()),
            }
        }
        Err(RegistryError::NoAddressLeft)
    }

    /// A token for a host that is there, to join anew: after it was blocked, or has lost its keys.
    ///
    /// # Errors
    ///
    /// [`RegistryError`]
    pub async fn issue_token(
        &self,
        name: &str,
        now: Timestamp,
    ) -> Result<EnrollmentToken, RegistryError> {
        let (host, _) = self.host_item(name).await?;
        let token = EnrollmentToken::generate()?;
        let write = self.token_write(&token, &host, now)?;
        self.store.commit(vec![write]).await?;
        Ok(token)
    }

    fn token_write(
        &self,
        token: &EnrollmentToken,
        host: &Host,
        now: Timestamp,
    ) -> Result<Write, RegistryError> {
        let expires_at = later(now, self.settings.token_lifetime)?;
        let record = TokenRecord {
            host: host.name.clone(),
            blocks: host.blocks,
            expires_at,
            spent_by: None,
        };
        Ok(Write::create(token_key(token), record::write(&record)?))
    }
}

/// How many addresses are tried: with half of them taken, all fail once in 4 billion times.
const ADDRESS_ATTEMPTS: u32 = 32;
fn check(new: &NewHost) -> Result<(), RegistryError> {
    if !is_name(&new.name) {
        return Err(RegistryError::BadName(new.name.clone()));
    }
    match (new.kind, new.endpoints.is_empty()) {
        (HostKind::Lighthouse, true) => Err(RegistryError::NoEndpoint),
        (HostKind::Lighthouse, false) | (_, true) => Ok(()),
        (_, false) => Err(RegistryError::EndpointNotNeeded),
    }
}

fn later(now: Timestamp, duration: std::time::Duration) -> Result<Timestamp, RegistryError> {
    now.checked_add(duration)
        .map_err(|_| RegistryError::Malformed)
}
