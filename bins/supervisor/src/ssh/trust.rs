use russh::keys::Certificate;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, PublicKey};
use thiserror::Error;

/// The name under which everybody logs in, and which a certificate must be for.
pub(super) const USER: &str = "gitpod";

/// Who may log in.
#[derive(Debug)]
pub(super) struct Trust {
    user_ca: Option<KeyData>,
    keys: Vec<KeyData>,
}

/// What somebody who logged in may do, beside running programs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Rights {
    pub(super) terminal: bool,
    pub(super) forward_ports: bool,
    pub(super) forward_agent: bool,
}

/// Why somebody may not. It is logged; the client only hears that it failed.
#[derive(Debug, Eq, Error, PartialEq)]
pub(super) enum NotTrusted {
    #[error("the user name is not `{USER}`")]
    User,
    #[error("the key is not a known one")]
    UnknownKey,
    #[error("certificates are not accepted here")]
    NoAuthority,
    #[error("the certificate is signed by another authority")]
    OtherAuthority,
    #[error("the certificate is not signed with {}", Algorithm::Ed25519)]
    SignatureAlgorithm,
    #[error("the signature of the certificate is wrong")]
    Signature,
    #[error("the certificate is one for hosts")]
    HostCertificate,
    #[error("the certificate is not for `{USER}`")]
    Principal,
    #[error("the certificate is not valid yet")]
    TooEarly,
    #[error("the certificate has expired")]
    TooLate,
    #[error("the certificate asks for `{0}`, which is not supported")]
    CriticalOption(String),
}

impl Trust {
    pub(super) fn new(user_ca: Option<KeyData>, keys: Vec<KeyData>) -> Self {
        Self { user_ca, keys }
    }

    /// Whether the holder of a key may log in.
    pub(super) fn key(&self, user: &str, key: &PublicKey) -> Result<Rights, NotTrusted> {
        right_user(user)?;
        match self.keys.contains(key.key_data()) {
            true => Ok(Rights {
                terminal: true,
                forward_ports: true,
                forward_agent: true,
            }),
            false => Err(NotTrusted::UnknownKey),
        }
    }

    /// Whether the holder of a certificate may log in at `now`, in seconds since 1970.
    ///
    /// **Source:** OpenSSH's PROTOCOL.certkeys. An empty list of principals, which there means everybody, is nobody here.
    pub(super) fn certificate(
        &self,
        user: &str,
        certificate: &Certificate,
        now: u64,
    ) -> Result<Rights, NotTrusted> {
        right_user(user)?;
        let authority = self.user_ca.as_ref().ok_or(NotTrusted::NoAuthority)?;
        if certificate.signature_key() != authority {
            return Err(NotTrusted::OtherAuthority);
        }
        if certificate.signature().algorithm() != Algorithm::Ed25519 {
            return Err(NotTrusted::SignatureAlgorithm);
        }
        certificate
            .verify_signature()
            .map_err(|_| NotTrusted::Signature)?;
        if certificate.cert_type() != CertType::User {
            return Err(NotTrusted::HostCertificate);
        }
        if !certificate.valid_principals().iter().any(|it| it == USER) {
            return Err(NotTrusted::Principal);
        }
        if now < certificate.valid_after() {
            return Err(NotTrusted::TooEarly);
        }
        if now >= certificate.valid_before() {
            return Err(NotTrusted::TooLate);
        }
        // None of them is supported, and who does not know one must refuse.
        if let Some(option) = certificate.critical_options().keys().next() {
            return Err(NotTrusted::CriticalOption(option.clone()));
        }
        let permits = |name: &str| certificate.extensions().contains_key(name);
        Ok(Rights {
            terminal: permits("permit-pty"),
            forward_ports: permits("permit-port-forwarding"),
            forward_agent: permits("permit-agent-forwarding"),
        })
    }
}

fn right_user(user: &str) -> Result<(), NotTrusted> {
    match user == USER {
        true => Ok(()),
        false => Err(NotTrusted::User),
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::PrivateKey;
    use russh::keys::key::safe_rng;
    use russh::keys::ssh_key::certificate::Builder;

    use super::*;

    fn key() -> PrivateKey {
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap()
    }

    fn certificate(authority: &PrivateKey, change: impl FnOnce(&mut Builder)) -> Certificate {
        let subject = key();
        let mut builder =
            Builder::new_with_random_nonce(&mut safe_rng(), subject.public_key(), 1000, 2000)
                .unwrap();
        builder.key_id("ws-proxy").unwrap();
        builder.valid_principal(USER).unwrap();
        change(&mut builder);
        builder.sign(authority).unwrap()
    }

    fn trust(authority: &PrivateKey) -> Trust {
        Trust::new(Some(authority.public_key().key_data().clone()), Vec::new())
    }

    #[test]
    fn certificate_is_valid_from_its_first_second_to_before_its_last() {
        let authority = key();
        let certificate = certificate(&authority, |_| ());
        for (now, expected) in [
            (999, Err(NotTrusted::TooEarly)),
            (1000, Ok(())),
            (1999, Ok(())),
            (2000, Err(NotTrusted::TooLate)),
        ] {
            let found = trust(&authority).certificate(USER, &certificate, now);
            assert_eq!(found.map(drop), expected, "{now}");
        }
    }

    #[test]
    fn rights_are_those_that_the_certificate_names() {
        let authority = key();
        let certificate = certificate(&authority, |it| {
            it.extension("permit-pty", "").unwrap();
            it.extension("x@example.com", "").unwrap();
        });
        let rights = trust(&authority).certificate(USER, &certificate, 1500);
        let expected = Rights {
            terminal: true,
            forward_ports: false,
            forward_agent: false,
        };
        assert_eq!(rights, Ok(expected));
    }

    #[test]
    fn attack_46_bytes_of_a_certificate_cannot_be_changed() {
        let authority = key();
        let bytes = certificate(&authority, |_| ()).to_bytes().unwrap();
        for index in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[index] ^= 1;
            let changed = Certificate::from_bytes(&bytes);
            let trusted = changed.map(|it| trust(&authority).certificate(USER, &it, 1500).is_ok());
            assert_ne!(trusted.ok(), Some(true), "byte {index}");
        }
    }

    #[test]
    fn attack_46_authority_that_is_a_certificate_is_none() {
        let authority = key();
        let inner = certificate(&authority, |_| ());
        let outer = certificate(&authority, |_| ()).to_bytes().unwrap();
        // In the place of the authority's key, a certificate of it.
        let plain = authority.public_key().to_bytes().unwrap();
        let at = outer
            .windows(plain.len())
            .position(|window| window == plain)
            .unwrap();
        let inner = inner.to_bytes().unwrap();
        let length = u32::try_from(inner.len()).unwrap().to_be_bytes();
        let nested = [
            &outer[..at - 4],
            &length,
            &inner,
            &outer[at + plain.len()..],
        ]
        .concat();
        let trusted = Certificate::from_bytes(&nested)
            .map(|it| trust(&authority).certificate(USER, &it, 1500).is_ok());
        assert_ne!(trusted.ok(), Some(true));
    }

    #[test]
    fn attack_46_certificates_are_nothing_where_no_authority_is_named() {
        let authority = key();
        let certificate = certificate(&authority, |_| ());
        let nobody = Trust::new(None, Vec::new());
        let refused = nobody.certificate(USER, &certificate, 1500);
        assert_eq!(refused, Err(NotTrusted::NoAuthority));
        assert_eq!(
            nobody.key(USER, authority.public_key()),
            Err(NotTrusted::UnknownKey)
        );
    }
}
