//! A certificate authority.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;

use crate::tls::Files;

/// An authority that signs for whoever asks.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Writes `NAME.crt`, `NAME.key` and `ca.crt` of a certificate for `host` to `dir`.
    #[must_use]
    pub fn write(&self, dir: &Path, name: &str, host: &str) -> Files {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let path = |end: &str| dir.join(format!("{name}.{end}"));
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        std::fs::write(path("crt"), certificate.pem()).unwrap();
        std::fs::write(dir.join("ca.crt"), self.0.pem()).unwrap();
        Files::new(path("crt"), path("key")).with_authority(dir.join("ca.crt"))
    }

    /// Those who trust it, and nobody else.
    #[must_use]
    pub fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Arc::new(roots)
    }
}
