//! Who is in a network: joining, staying, being shut out.

mod add;
mod answer;
mod bundle;
mod enroll;
mod error;
mod record;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::authority::Authority;
use crate::certificate::Certificate;
use crate::cidr::Cidr;
use crate::host::{Host, HostKind, HostState, Issued};
use crate::key::PublicKey;
use crate::request::HostRequest;
use crate::store::{MAX_WRITES, NetworkStore, StoreError, Write};

pub use self::error::RegistryError;
use self::record::{HOST, META, TOKEN, TokenRecord, host_key, read};

/// What is the same for all hosts of a network.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NetworkSettings {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub addresses: Cidr,
    /// How long a certificate of an environment lives: a day, since it may be stolen
    /// by whoever works there.
    pub environment_lifetime: Duration,
    /// How long that of any other host lives: a week.
    pub host_lifetime: Duration,
    /// How long a token may be used: 15 minutes.
    pub token_lifetime: Duration,
    /// How often hosts ask what has changed: a minute, after which a block is known everywhere.
    pub poll: Duration,
}

impl NetworkSettings {
    /// Network `name` of `addresses`.
    #[must_use]
    pub fn new(name: impl Into<String>, addresses: Cidr) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            name: name.into(),
            addresses: addresses.network(),
            environment_lifetime: DAY,
            host_lifetime: DAY * 7,
            token_lifetime: Duration::from_secs(15 * 60),
            poll: Duration::from_secs(60),
        }
    }

    fn lifetime_of(&self, kind: HostKind) -> Duration {
        match kind {
            HostKind::Environment => self.environment_lifetime,
            HostKind::Lighthouse | HostKind::Proxy | HostKind::Runner => self.host_lifetime,
        }
    }
}

/// The hosts of one network: names, addresses, tokens and certificates.
///
/// ```text
/// add ─► host is reserved, token ─► enroll ─► certificate, bundle ─► call: what has changed? a new one!
///                                     ▲                                │
///                       issue_token ──┘ ◄──────────── block ◄──────────┘
/// ```
///
/// A token is good for one enrolment, however many try at the same time; who repeats the
/// same request, since the answer was lost, gets it again. An address is never given twice.
/// A blocked host's certificates stay on the list until they have expired.
///
/// Cloning shares everything. `now` is an argument, as everywhere here.
#[derive(Clone, Debug)]
pub struct Registry {
    settings: Arc<NetworkSettings>,
    authority: Authority,
    store: Arc<dyn NetworkStore>,
}

impl Registry {
    /// The network of `settings`, whose hosts `authority` signs for, as `store` keeps it.
    #[must_use]
    pub fn new(
        settings: NetworkSettings,
        authority: Authority,
        store: Arc<dyn NetworkStore>,
    ) -> Self {
        Self {
            settings: Arc::new(settings),
            authority,
            store,
        }
    }

    /// Shuts a host out: all of its certificates go on the list that hosts ask for.
    ///
    /// # Errors
    ///
    /// [`RegistryError`]
    pub async fn block(&self, name: &str, now: Timestamp) -> Result<Host, RegistryError> {
        for _ in 0..COMMIT_ATTEMPTS {
            let (mut host, revision) = self.host_item(name).await?;
            host.state = HostState::Blocked;
            host.blocks += 1;
            host.revoke_all();
            host.request_key = None;
            host.forget_expired(now);
            let write = Write::change(host_key(name), revision, record::write(&host)?);
            match self.commit_and_tell(vec![write]).await {
                Ok(()) => return Ok(host),
                Err(RegistryError::Store(StoreError::Conflict(_))) => {}
                Err(why) => return Err(why),
            }
        }
        Err(RegistryError::Busy)
    }

    /// All hosts, by name.
    ///
    /// # Errors
    ///
    /// [`RegistryError`]
    pub async fn hosts(&self) -> Result<Vec<Host>, RegistryError> {
        let items = self.store.list(HOST).await?;
        items.iter().map(|(_, item)| read(&item.value)).collect()
    }

    /// Removes tokens that have expired.
    ///
    /// # Errors
    ///
    /// [`RegistryError`]
    pub async fn tidy(&self, now: Timestamp) -> Result<(), RegistryError> {
        let mut gone = Vec::new();
        for (key, item) in self.store.list(TOKEN).await? {
            if read::<TokenRecord>(&item.value)?.expires_at < now {
                gone.push(Write::remove(key));
            }
        }
        for some in gone.chunks(MAX_WRITES) {
            self.store.commit(some.to_vec()).await?;
        }
        Ok(())
    }

    async fn host_item(&self, name: &str) -> Result<(Host, u64), RegistryError> {
        let item = self.store.get(&host_key(name)).await?;
        let item = item.ok_or_else(|| RegistryError::NoHost(name.to_owned()))?;
        Ok((read(&item.value)?, item.revision))
    }

    async fn certify(
        &self,
        host: &mut Host,
        key: PublicKey,
        now: Timestamp,
    ) -> Result<Certificate, RegistryError> {
        let address = host.cidr().ok_or(RegistryError::Malformed)?;
        let lifetime = self.settings.lifetime_of(host.kind);
        let request = HostRequest::new(&host.name, key, address)
            .with_groups([host.kind.as_str()])
            .valid_for(lifetime);
        let certificate = self.authority.sign(request, now).await?;
        let not_after = certificate.details().not_after;
        host.forget_expired(now);
        let fingerprint = certificate.fingerprint().to_string();
        host.certificates.push(Issued::new(fingerprint, not_after));
        Ok(certificate)
    }

    /// With the revision of the network raised in the same commit.
    async fn commit_and_tell(&self, mut writes: Vec<Write>) -> Result<(), RegistryError> {
        let meta = self.store.get(META).await?;
        writes.push(match meta {
            Some(item) => Write::change(META, item.revision, item.value),
            None => Write::create(META, Value::Null),
        });
        Ok(self.store.commit(writes).await?)
    }
}

/// How often a change is decided anew because another one was faster.
const COMMIT_ATTEMPTS: u32 = 16;
