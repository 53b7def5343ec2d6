//! Certificates: who a host is, for how long, and who says so.

use jiff::Timestamp;
use prost::Message;
use zeroize::Zeroizing;

use crate::BoxError;
use crate::cidr::{Cidr, CidrError};
use crate::fingerprint::Fingerprint;
use crate::key::{PublicKey, Signature};
use crate::pem::{self, PemError};
use crate::wire::{self, WireCertificate, WireDetails};

/// A version 1 certificate of a Nebula network, as read. Reading proves nothing:
/// [`TrustBundle::verify`](crate::TrustBundle::verify) does.
///
/// It has one encoding: [`to_bytes`](Self::to_bytes) gives what
/// [`from_bytes`](Self::from_bytes) took.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Certificate {
    details: Details,
    signature: Signature,
}

/// What a certificate says.
///
/// **Source:** version 1 of the Nebula certificate format.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Details {
    /// Who the host or authority is.
    pub name: String,
    /// A host's address in its network: the first counts. Of an authority: those it may give away, or none for any.
    pub networks: Vec<Cidr>,
    /// Networks reached through a host. Of an authority: as `networks`.
    pub subnets: Vec<Cidr>,
    /// What a host may do. Of an authority: those it may give away, or none for any.
    pub groups: Vec<String>,
    /// First second of its life.
    pub not_before: Timestamp,
    /// Last second of its life.
    pub not_after: Timestamp,
    /// The host's X25519 key, or the authority's Ed25519 key.
    pub public_key: PublicKey,
    /// The authority that signed it; `None` for an authority, which signs itself.
    pub issuer: Option<Fingerprint>,
}

impl Details {
    /// Whether it is an authority's.
    #[must_use]
    pub const fn is_authority(&self) -> bool {
        self.issuer.is_none()
    }

    /// What the signature covers.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.to_wire().encode_to_vec()
    }

    fn to_wire(&self) -> WireDetails {
        WireDetails {
            name: self.name.clone(),
            networks: numbers(&self.networks),
            subnets: numbers(&self.subnets),
            groups: self.groups.clone(),
            not_before: self.not_before.as_second(),
            not_after: self.not_after.as_second(),
            public_key: self.public_key.as_bytes().to_vec(),
            is_authority: self.is_authority(),
            issuer: self
                .issuer
                .map_or_else(Vec::new, |issuer| issuer.as_bytes().to_vec()),
            curve: CURVE_25519,
        }
    }

    fn from_wire(wire: WireDetails) -> Result<Self, CertificateError> {
        if wire.curve != CURVE_25519 {
            return Err(CertificateError::UnsupportedCurve(wire.curve));
        }
        let key = <[u8; 32]>::try_from(wire.public_key.as_slice());
        Ok(Self {
            networks: cidrs(&wire.networks)?,
            subnets: cidrs(&wire.subnets)?,
            not_before: time(wire.not_before)?,
            not_after: time(wire.not_after)?,
            public_key: PublicKey::from_bytes(key.map_err(|_| CertificateError::PublicKey)?),
            issuer: issuer(wire.is_authority, &wire.issuer)?,
            name: wire.name,
            groups: wire.groups,
        })
    }
}

impl Certificate {
    /// Largest certificate that is read, in bytes.
    pub const MAX_BYTES: usize = 64 * 1024;

    pub(crate) const fn new(details: Details, signature: Signature) -> Self {
        Self { details, signature }
    }

    /// What it says.
    #[must_use]
    pub const fn details(&self) -> &Details {
        &self.details
    }

    /// Its issuer's signature over the details.
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What names it in issuers and blocklists.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.to_bytes())
    }

    /// Whether `now` lies within its life. Both ends belong to it.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.details.not_before..=self.details.not_after).contains(&now)
    }

    /// Whether the owner of `key` signed it.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.has_signed(&self.details.to_bytes(), &self.signature)
    }

    /// Its encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = WireCertificate {
            details: Some(self.details.to_wire()),
            signature: self.signature.as_bytes().to_vec(),
        };
        wire.encode_to_vec()
    }

    /// Reads the encoding of one certificate.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] if they are not a version 1 certificate over curve
    /// 25519, in its one encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CertificateError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(CertificateError::TooLarge(bytes.len()));
        }
        let (details, signature) = wire::decode(bytes)?;
        let signature = <[u8; 64]>::try_from(signature.as_slice());
        Ok(Self {
            details: Details::from_wire(details)?,
            signature: Signature::from_bytes(signature.map_err(|_| CertificateError::Signature)?),
        })
    }

    /// As a block of text, as `nebula` reads it.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::write(pem::CERTIFICATE, &self.to_bytes())
    }

    /// Reads a file of one certificate.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] if it holds none, several, or one that cannot be read.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        Self::from_bytes(&pem::read_one(pem::CERTIFICATE, text)?)
    }

    /// Reads a file of any number of certificates, as of the authorities a host trusts.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] if one of them cannot be read.
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>, CertificateError> {
        let blocks: Vec<Zeroizing<Vec<u8>>> = pem::read_all(pem::CERTIFICATE, text)?;
        blocks.iter().map(|block| Self::from_bytes(block)).collect()
    }
}

fn numbers(cidrs: &[Cidr]) -> Vec<u32> {
    let pairs = cidrs
        .iter()
        .map(|cidr| [cidr.address().to_bits(), cidr.mask()]);
    pairs.flatten().collect()
}

fn cidrs(numbers: &[u32]) -> Result<Vec<Cidr>, CertificateError> {
    let (pairs, []) = numbers.as_chunks() else {
        return Err(CertificateError::OddNetworks);
    };
    let read = |&[address, mask]: &[u32; 2]| Cidr::from_mask(address, mask);
    Ok(pairs.iter().map(read).collect::<Result<_, _>>()?)
}

fn time(second: i64) -> Result<Timestamp, CertificateError> {
    Timestamp::from_second(second).map_err(|_| CertificateError::Time(second))
}

fn issuer(is_authority: bool, bytes: &[u8]) -> Result<Option<Fingerprint>, CertificateError> {
    match (is_authority, bytes) {
        (true, []) => Ok(None),
        (true, _) => Err(CertificateError::AuthorityWithIssuer),
        (false, bytes) => match bytes.try_into() {
            Ok(bytes) => Ok(Some(Fingerprint::from_bytes(bytes))),
            Err(_) => Err(CertificateError::Issuer),
        },
    }
}

const CURVE_25519: i32 = 0;

/// The bytes or the text are not a certificate that we read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// There are more bytes than [`Certificate::MAX_BYTES`].
    #[error("certificate of {0} bytes is larger than 65536")]
    TooLarge(usize),
    /// They are not protocol buffers.
    #[error("certificate is malformed")]
    Malformed(#[source] BoxError),
    /// There is something version 1 does not know, which would be lost on the way.
    #[error("certificate has a field {0} that version 1 does not know")]
    UnknownField(u32),
    /// The same content has another encoding, which signatures and fingerprints are of.
    #[error("certificate is not in its canonical encoding")]
    NotCanonical,
    /// It says nothing.
    #[error("certificate has no details")]
    NoDetails,
    /// It is for another curve: 1 is P-256, whose signatures have two forms and so evade blocklists.
    #[error("certificate is for curve {0}; only curve 25519 is supported")]
    UnsupportedCurve(i32),
    /// Its public key has not 32 bytes.
    #[error("public key of the certificate has not 32 bytes")]
    PublicKey,
    /// Its signature has not 64 bytes.
    #[error("signature of the certificate has not 64 bytes")]
    Signature,
    /// A host's certificate does not name its issuer in 32 bytes.
    #[error("issuer of the certificate has not 32 bytes")]
    Issuer,
    /// An authority's certificate names an issuer; there are no authorities below others.
    #[error("certificate of an authority names an issuer")]
    AuthorityWithIssuer,
    /// An address has no netmask.
    #[error("certificate has an address without a netmask")]
    OddNetworks,
    /// A network is none.
    #[error("certificate has an unusable network")]
    Network(#[from] CidrError),
    /// A time is beyond the year 9999, or before -9999.
    #[error("certificate has an unusable time {0}")]
    Time(i64),
    /// The text is not a file of certificates.
    #[error("not a certificate file")]
    Pem(#[from] PemError),
}
