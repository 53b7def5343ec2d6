//! Who is in a network: joining, staying, being shut out.

mod error;
mod record;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::authority::Authority;
use crate::certificate::Certificate;
use crate::cidr::Cidr;
use crate::host::{Host, HostKind, HostState, Issued, NewHost};
use crate::key::PublicKey;
use crate::message::{ConfigBundle, EnrollRequest, HostCall, Lighthouse, Wanted};
use crate::request::HostRequest;
use crate::store::{MAX_WRITES, NetworkStore, StoreError, Write};
use crate::token::EnrollmentToken;

pub use self::error::RegistryError;
use self::record::{HOST, META, TOKEN, TokenRecord, host_key, ip_key, is_name, read, token_key};

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
                self.token_write(&token, &host.name, now)?,
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
        self.host(name).await?;
        let token = EnrollmentToken::generate()?;
        let write = self.token_write(&token, name, now)?;
        self.store.commit(vec![write]).await?;
        Ok(token)
    }

    fn token_write(
        &self,
        token: &EnrollmentToken,
        host: &str,
        now: Timestamp,
    ) -> Result<Write, RegistryError> {
        let expires_at = later(now, self.settings.token_lifetime)?;
        let record = TokenRecord {
            host: host.to_owned(),
            expires_at,
            spent_by: None,
        };
        Ok(Write::create(token_key(token), record::write(&record)?))
    }

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
                tracing_alarm(&token.host);
                return Err(RegistryError::TokenSpent);
            }
            _ if token.expires_at < now => return Err(RegistryError::TokenExpired),
            _ => {}
        }
        let (mut host, revision) = self.host_item(&token.host).await?;
        if host.state == HostState::Blocked && host.host_key.as_ref() == Some(&request.host_key) {
            return Err(RegistryError::KeyBlocked);
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

    /// Shuts a host out: all of its certificates go on the list that hosts ask for.
    ///
    /// # Errors
    ///
    /// [`RegistryError`]
    pub async fn block(&self, name: &str, now: Timestamp) -> Result<Host, RegistryError> {
        for _ in 0..COMMIT_ATTEMPTS {
            let (mut host, revision) = self.host_item(name).await?;
            host.state = HostState::Blocked;
            let certificates = std::mem::take(&mut host.certificates);
            host.revoked.extend(certificates);
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

    async fn host(&self, name: &str) -> Result<Host, RegistryError> {
        Ok(self.host_item(name).await?.0)
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

    async fn bundle(
        &self,
        host: &Host,
        certificate: Option<Certificate>,
        now: Timestamp,
    ) -> Result<ConfigBundle, RegistryError> {
        // Read before the hosts: then they are at least as new.
        let revision = self.store.get(META).await?.map_or(0, |item| item.revision);
        let (mut lighthouses, mut blocklist) = (Vec::new(), Vec::new());
        for mut other in self.hosts().await? {
            other.forget_expired(now);
            blocklist.extend(
                other
                    .revoked
                    .iter()
                    .map(|issued| issued.fingerprint.clone()),
            );
            if other.kind == HostKind::Lighthouse && other.state == HostState::Enrolled {
                let address = other.ip().ok_or(RegistryError::Malformed)?;
                lighthouses.push(Lighthouse::new(address, other.endpoints));
            }
        }
        let last = host
            .certificates
            .iter()
            .map(|issued| issued.not_after)
            .max();
        let not_after = last.unwrap_or(now);
        let lifetime = self.settings.lifetime_of(host.kind);
        Ok(ConfigBundle {
            network: self.settings.name.clone(),
            host: host.name.clone(),
            kind: host.kind,
            revision,
            certificate: certificate.map(|certificate| certificate.to_pem()),
            authorities: self.authority.certificate().to_pem(),
            blocklist,
            lighthouses,
            not_after,
            renew_after: before(not_after, lifetime.mul_f64(LEFT_AT_RENEWAL)),
            poll_seconds: self.settings.poll.as_secs().max(1),
        })
    }
}

/// How many addresses are tried: with half of them taken, all fail once in 4 billion times.
const ADDRESS_ATTEMPTS: u32 = 32;
/// How often a change is decided anew because another one was faster.
const COMMIT_ATTEMPTS: u32 = 16;
/// How far clocks of hosts and server may be apart, and for how long a call that
/// somebody has overheard could be repeated: it would only get what the host got.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(5);
/// How much of its life a certificate has left when the next one is asked for: enough
/// for an outage of the server.
const LEFT_AT_RENEWAL: f64 = 0.4;

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

fn later(now: Timestamp, duration: Duration) -> Result<Timestamp, RegistryError> {
    now.checked_add(duration)
        .map_err(|_| RegistryError::Malformed)
}

fn before(end: Timestamp, duration: Duration) -> Timestamp {
    end.checked_sub(duration).unwrap_or(Timestamp::MIN)
}

/// Two hosts with one token: one of them is an intruder.
fn tracing_alarm(host: &str) {
    tracing::warn!(host, "a token that was used is shown again with other keys");
}
