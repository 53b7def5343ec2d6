//! Staying: what has changed, and new certificates.

use jiff::{SignedDuration, Timestamp};

use super::record::{self, host_key};
use super::{COMMIT_ATTEMPTS, Registry, RegistryError};
use crate::host::HostState;
use crate::message::{ConfigBundle, HostCall, Wanted};
use crate::store::{StoreError, Write};

impl Registry {
    /// Answers a host that has joined.
    ///
    /// # Errors
    ///
    /// [`RegistryError`]
    pub async fn answer(
        &self,
        call: &HostCall,
        now: Timestamp,
    ) -> Result<ConfigBundle, RegistryError> {
        let apart = now.duration_since(call.at).abs();
        if apart > CLOCKS_APART {
            return Err(RegistryError::ClockSkew);
        }
        for _ in 0..COMMIT_ATTEMPTS {
            match self.answer_once(call, now).await {
                Err(RegistryError::Store(StoreError::Conflict(_))) => {}
                done => return done,
            }
        }
        Err(RegistryError::Busy)
    }

    async fn answer_once(
        &self,
        call: &HostCall,
        now: Timestamp,
    ) -> Result<ConfigBundle, RegistryError> {
        let found = self.host_item(&call.host).await;
        // Who is not there and who cannot sign are told the same.
        let (mut host, revision) = found.map_err(|why| match why {
            RegistryError::NoHost(_) => RegistryError::BadSignature,
            other => other,
        })?;
        let key = host.request_key.as_deref().and_then(|by| call.key(by));
        let key = key.ok_or(RegistryError::BadSignature)?;
        if host.state != HostState::Enrolled {
            return Err(RegistryError::HostBlocked);
        }
        host.last_seen = Some(now);
        let certificate = match call.wants {
            Wanted::Config => None,
            Wanted::Certificate => {
                host.host_key = Some(call.host_key.clone());
                Some(self.certify(&mut host, key, now).await?)
            }
        };
        let write = Write::change(host_key(&host.name), revision, record::write(&host)?);
        self.store.commit(vec![write]).await?;
        self.bundle(&host, certificate, now).await
    }
}

/// How far clocks of hosts and server may be apart, and for how long a call that
/// somebody has overheard could be repeated: it would only get what the host got.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(5);
