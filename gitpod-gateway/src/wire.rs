//! The bytes of a version 1 certificate: protocol buffers, in one spelling.
//!
//! Verifiers sign and hash what they *re-encode*, so bytes that would change on
//! the way through a decoder are refused: what we accept has one encoding.

use prost::Message;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::certificate::CertificateError;

/// A certificate, as protocol buffers see it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WireCertificate {
    #[prost(message, optional, tag = "1")]
    pub(crate) details: Option<WireDetails>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) signature: Vec<u8>,
}

/// What a certificate says.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WireDetails {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// Pairs of address and netmask.
    #[prost(uint32, repeated, tag = "2")]
    pub(crate) networks: Vec<u32>,
    /// Pairs of address and netmask.
    #[prost(uint32, repeated, tag = "3")]
    pub(crate) subnets: Vec<u32>,
    #[prost(string, repeated, tag = "4")]
    pub(crate) groups: Vec<String>,
    /// Seconds since 1970.
    #[prost(int64, tag = "5")]
    pub(crate) not_before: i64,
    /// Seconds since 1970.
    #[prost(int64, tag = "6")]
    pub(crate) not_after: i64,
    #[prost(bytes = "vec", tag = "7")]
    pub(crate) public_key: Vec<u8>,
    #[prost(bool, tag = "8")]
    pub(crate) is_authority: bool,
    #[prost(bytes = "vec", tag = "9")]
    pub(crate) issuer: Vec<u8>,
    #[prost(int32, tag = "100")]
    pub(crate) curve: i32,
}

/// Decodes `bytes`, if they are what encoding the result gives.
pub(crate) fn decode(bytes: &[u8]) -> Result<(WireDetails, Vec<u8>), CertificateError> {
    refuse_unknown_fields(bytes)?;
    let certificate =
        WireCertificate::decode(bytes).map_err(|why| CertificateError::Malformed(why.into()))?;
    if certificate.encode_to_vec() != bytes {
        return Err(CertificateError::NotCanonical);
    }
    let details = certificate.details.ok_or(CertificateError::NoDetails)?;
    Ok((details, certificate.signature))
}

fn refuse_unknown_fields(mut bytes: &[u8]) -> Result<(), CertificateError> {
    while bytes.has_remaining() {
        match decode_key(&mut bytes).map_err(malformed)? {
            (1, WireType::LengthDelimited) => refuse_unknown_details(take_field(&mut bytes)?)?,
            (tag @ 1..=2, wire_type) => skip(tag, wire_type, &mut bytes)?,
            (tag, _) => return Err(CertificateError::UnknownField(tag)),
        }
    }
    Ok(())
}

fn refuse_unknown_details(mut bytes: &[u8]) -> Result<(), CertificateError> {
    while bytes.has_remaining() {
        match decode_key(&mut bytes).map_err(malformed)? {
            (tag @ (1..=9 | 100), wire_type) => skip(tag, wire_type, &mut bytes)?,
            (tag, _) => return Err(CertificateError::UnknownField(tag)),
        }
    }
    Ok(())
}

fn take_field<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], CertificateError> {
    let length = decode_varint(bytes).map_err(malformed)?;
    let field = usize::try_from(length)
        .ok()
        .and_then(|length| bytes.split_off(..length));
    field.ok_or_else(|| CertificateError::Malformed("field is longer than the certificate".into()))
}

fn skip(tag: u32, wire_type: WireType, bytes: &mut &[u8]) -> Result<(), CertificateError> {
    skip_field(wire_type, tag, bytes, DecodeContext::default()).map_err(malformed)
}

fn malformed(why: prost::DecodeError) -> CertificateError {
    CertificateError::Malformed(why.into())
}
