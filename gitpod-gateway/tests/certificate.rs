//! A certificate has one encoding, and only the bytes that were signed verify.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use gitpod_gateway::{
    Authority, AuthorityRequest, Certificate, CertificateError, Cidr, HostRequest, MemorySigner,
    PublicKey, SigningKey, TrustBundle,
};
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;

const NOW: &str = "2026-11-21T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// Runs what awaits nothing but a signer in memory.
fn finish<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(future)
}

fn authority() -> Authority {
    let signer = Arc::new(MemorySigner::new(SigningKey::from_seed(&[7; 32])));
    finish(Authority::create(
        AuthorityRequest::new("authority"),
        signer,
        now(),
    ))
    .unwrap()
}

fn any_cidr() -> impl Strategy<Value = Cidr> {
    (any::<u32>(), 0..=32_u8)
        .prop_map(|(bits, prefix)| Cidr::new(Ipv4Addr::from_bits(bits), prefix).unwrap())
}

prop_compose! {
    fn any_request()(
        name in "[a-zA-Z0-9ä漢_.-]{1,40}",
        key in any::<[u8; 32]>(),
        network in any_cidr(),
        subnets in vec(any_cidr(), 0..4),
        groups in vec("[a-z:=]{1,12}", 0..5),
        lifetime in 1..200 * 24 * 3600_u64,
    ) -> HostRequest {
        HostRequest::new(name, PublicKey::from_bytes(key), network)
            .with_subnets(subnets)
            .with_groups(groups)
            .valid_for(Duration::from_secs(lifetime))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))] // signing is slow unoptimised

    #[test]
    fn decoding_undoes_encoding(request in any_request()) {
        let certificate = finish(authority().sign(request, now())).unwrap();
        let bytes = certificate.to_bytes();
        let again = Certificate::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&again, &certificate);
        prop_assert_eq!(again.to_bytes(), bytes);
        prop_assert_eq!(again.fingerprint(), certificate.fingerprint());
        prop_assert_eq!(Certificate::from_pem(&certificate.to_pem()).unwrap(), certificate);
    }

    #[test]
    fn what_is_signed_verifies_and_with_one_bit_flipped_never_does(
        request in any_request(),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let authority = authority();
        let mut trusted = TrustBundle::new();
        trusted.trust(authority.certificate().clone()).unwrap();
        let certificate = finish(authority.sign(request, now())).unwrap();
        prop_assert!(trusted.verify(&certificate, now()).is_ok());

        let mut bytes = certificate.to_bytes();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        if let Ok(other) = Certificate::from_bytes(&bytes) {
            prop_assert!(trusted.verify(&other, now()).is_err(), "bit {bit} of byte {place}");
        }
    }

    #[test]
    fn any_bytes_are_refused_or_have_one_encoding(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(certificate) = Certificate::from_bytes(&bytes) {
            prop_assert_eq!(certificate.to_bytes(), bytes);
        }
    }
}

/// Every byte once, whatever the random test above picks.
#[test]
fn each_byte_of_a_certificate_matters() {
    let authority = authority();
    let mut trusted = TrustBundle::new();
    trusted.trust(authority.certificate().clone()).unwrap();
    let key = PublicKey::from_bytes([9; 32]);
    let request = HostRequest::new("env-1", key, "10.1.0.1/16".parse().unwrap());
    let bytes = finish(authority.sign(request.with_groups(["a"]), now()))
        .unwrap()
        .to_bytes();
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] = !changed[place];
        let verifies = Certificate::from_bytes(&changed)
            .is_ok_and(|certificate| trusted.verify(&certificate, now()).is_ok());
        assert!(!verifies, "byte {place}");
    }
}

#[test]
fn what_version_1_does_not_know_is_refused_by_name() {
    let certificate = authority().certificate().to_bytes();
    let appended = |more: &[u8]| [&certificate, more].concat();
    let in_details = |more: &[u8]| {
        let details_end = 2 + usize::from(certificate[1]); // shorter than 128 bytes: one length byte
        let mut bytes = certificate.clone();
        bytes.splice(details_end..details_end, more.iter().copied());
        bytes[1] += u8::try_from(more.len()).unwrap();
        bytes
    };
    let cases = [
        (Vec::new(), "certificate has no details"),
        (
            appended(&[0x18, 1]),
            "certificate has a field 3 that version 1 does not know",
        ),
        (
            in_details(&[0x50, 1]),
            "certificate has a field 10 that version 1 does not know",
        ),
        // field 100 = 1: curve P-256
        (
            in_details(&[0xA0, 0x06, 1]),
            "certificate is for curve 1; only curve 25519 is supported",
        ),
        // field 100 = 0, which an encoder leaves out
        (
            in_details(&[0xA0, 0x06, 0]),
            "certificate is not in its canonical encoding",
        ),
        (
            appended(&certificate),
            "certificate is not in its canonical encoding",
        ),
        (
            certificate[..certificate.len() - 1].to_vec(),
            "certificate is malformed",
        ),
        (
            vec![0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F],
            "certificate is malformed",
        ),
        (
            vec![0; Certificate::MAX_BYTES + 1],
            "certificate of 65537 bytes is larger than 65536",
        ),
    ];
    for (bytes, expected) in cases {
        let got = Certificate::from_bytes(&bytes).map_err(|why| why.to_string());
        assert_eq!(got, Err(expected.to_owned()), "{bytes:02x?}");
    }
}

#[test]
fn a_version_2_certificate_is_refused_by_its_label() {
    let text = "-----BEGIN NEBULA CERTIFICATE V2-----\neA==\n-----END NEBULA CERTIFICATE V2-----\n";
    let why = Certificate::from_pem(text).unwrap_err();
    assert!(matches!(why, CertificateError::Pem(_)), "{why:?}");
    let cause = std::error::Error::source(&why).unwrap().to_string();
    assert_eq!(
        cause,
        "file holds \"NEBULA CERTIFICATE V2\" where \"NEBULA CERTIFICATE\" belongs"
    );
}
