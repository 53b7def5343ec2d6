//! The files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Section;

/// A certificate with its key, and perhaps whom to trust: PEM files.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Files {
    /// The certificate, and those between it and the root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Certificates of whom the other side's must come from.
    pub authority: Option<PathBuf>,
}

impl Files {
    /// A certificate and its key.
    #[must_use]
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
            authority: None,
        }
    }

    /// With whom to trust.
    #[must_use]
    pub fn with_authority(mut self, authority: impl Into<PathBuf>) -> Self {
        self.authority = Some(authority.into());
        self
    }

    /// The keys `ca`, `crt` and `key` of `section`: all of them, or none. `Err` if something is wrong.
    #[must_use]
    pub fn all_or_none(section: &Section<'_>) -> Option<Self> {
        let mut paths = ["ca", "crt", "key"].map(|key| (key, section.optional::<PathBuf>(key)));
        let found = paths.iter().filter(|(_, path)| path.is_some()).count();
        if found > 0 && found < 3 {
            for (key, _) in paths.iter().filter(|(_, path)| path.is_none()) {
                section.problem(
                    key,
                    "is missing beside the others",
                    "all of ca, crt and key, or none",
                );
            }
        }
        let [ca, crt, key] = paths.each_mut().map(|(_, path)| path.take());
        Some(Self::new(crt?, key?).with_authority(ca?))
    }

    /// What they hold now.
    pub(super) fn read(&self) -> anyhow::Result<Contents> {
        let bytes = |path: &Path| {
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
        };
        Ok(Contents {
            certificate: bytes(&self.certificate)?,
            key: bytes(&self.key)?,
            authority: self.authority.as_deref().map(bytes).transpose()?,
        })
    }
}

/// What files hold.
#[derive(Eq, PartialEq)]
pub(super) struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authority: Option<Vec<u8>>,
}

impl Contents {
    pub(super) fn chain(&self) -> anyhow::Result<Vec<CertificateDer<'static>>> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let chain = chain.context("the certificate is not PEM")?;
        if chain.is_empty() {
            bail!("the file of the certificate holds none: it must have a PEM block CERTIFICATE");
        }
        Ok(chain)
    }

    pub(super) fn key(&self) -> anyhow::Result<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_slice(&self.key).context("the private key is not PEM")
    }

    /// Whom to trust; `None` if that is not said.
    pub(super) fn roots(&self) -> anyhow::Result<Option<Arc<RootCertStore>>> {
        self.authority.as_deref().map(parse_roots).transpose()
    }
}

/// Whom `file` says to trust.
pub(super) fn roots(file: &Path) -> anyhow::Result<Arc<RootCertStore>> {
    let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    parse_roots(&text)
}

fn parse_roots(text: &[u8]) -> anyhow::Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text) {
        let certificate = certificate.context("the authority is not PEM")?;
        roots
            .add(certificate)
            .context("the authority is no certificate")?;
    }
    if roots.is_empty() {
        bail!("the file of the authority holds no certificate");
    }
    Ok(Arc::new(roots))
}
