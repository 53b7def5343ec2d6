//! All that a host needs to know.

use std::time::Duration;

use jiff::Timestamp;

use super::record::META;
use super::{Registry, RegistryError};
use crate::certificate::Certificate;
use crate::host::{Host, HostKind, HostState};
use crate::message::{ConfigBundle, Lighthouse};

impl Registry {
    pub(super) async fn bundle(
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

/// How much of its life a certificate has left when the next one is asked for: enough
/// for an outage of the server.
const LEFT_AT_RENEWAL: f64 = 0.4;

fn before(end: Timestamp, duration: Duration) -> Timestamp {
    end.checked_sub(duration).unwrap_or(Timestamp::MIN)
}
