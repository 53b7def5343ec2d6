//! What an authority signs and a verifier trusts, and the reason each gives for not doing so.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gitpod_gateway::{
    Authority, AuthorityError, AuthorityRequest, CaSigner, Certificate, Cidr, ConstraintError,
    HostRequest, MemorySigner, PublicKey, SignError, Signature, SignerError, SigningKey,
    TrustBundle, TrustError, VerifyError,
};
use jiff::{SignedDuration, Timestamp};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const START: &str = "2026-11-21T12:00:00Z";

fn start() -> Timestamp {
    START.parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    start()
        .checked_add(SignedDuration::from_secs(seconds))
        .unwrap()
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

async fn authority(seed: u8) -> Authority {
    let request = AuthorityRequest::new(format!("authority {seed}"))
        .with_networks([cidr("10.128.0.0/16")])
        .with_subnets([cidr("192.168.0.0/16")])
        .with_groups(["environment", "proxy"])
        .valid_for(10 * DAY);
    let signer = MemorySigner::new(SigningKey::from_seed(&[seed; 32]));
    Authority::create(request, Arc::new(signer), start())
        .await
        .unwrap()
}

fn request() -> HostRequest {
    HostRequest::new(
        "env-1",
        PublicKey::from_bytes([9; 32]),
        cidr("10.128.1.1/16"),
    )
    .with_groups(["environment"])
    .valid_for(DAY)
}

fn trusting(authorities: &[&Authority]) -> TrustBundle {
    let pem: String = authorities
        .iter()
        .map(|one| one.certificate().to_pem())
        .collect();
    TrustBundle::from_pem(&pem).unwrap()
}

#[tokio::test]
async fn a_request_beyond_the_bounds_is_refused_by_name() {
    let authority = authority(1).await;
    let here = cidr("10.128.1.1/16");
    let key = PublicKey::from_bytes([9; 32]);
    let cases = [
        (
            request().with_groups(["admin"]),
            "group \"admin\" is not one of the authority's",
        ),
        (
            request().valid_for(11 * DAY),
            "certificate expires after its authority",
        ),
        (
            request().with_subnets([cidr("172.16.0.0/24")]),
            "subnet 172.16.0.0/24 is outside the authority's",
        ),
        (
            HostRequest::new("x", key, cidr("10.129.0.1/16")),
            "network 10.129.0.1/16 is outside the authority's",
        ),
        (
            HostRequest::new("x", key, cidr("10.128.0.1/15")),
            "network 10.128.0.1/15 is outside the authority's",
        ),
        (HostRequest::new("", key, here), "unusable name \"\""),
        (
            HostRequest::new("a\nb", key, here),
            "unusable name \"a\\nb\"",
        ),
        (
            HostRequest::new("n".repeat(254), key, here),
            "unusable name",
        ),
        (
            request().with_groups(["environment", " proxy"]),
            "unusable group \" proxy\"",
        ),
        (request().with_groups(["a,b"]), "unusable group \"a,b\""), // two groups to other tools
        (
            request().valid_for(Duration::from_millis(999)),
            "unusable lifetime",
        ),
        (request().valid_for(Duration::MAX), "unusable lifetime"),
    ];
    for (request, expected) in cases {
        let shown = format!("{request:?}");
        let why = authority.sign(request, start()).await.unwrap_err();
        let text = match &why {
            SignError::Constraint(cause) => cause.to_string(),
            other => other.to_string(),
        };
        assert!(text.starts_with(expected), "{shown}: {text}");
    }
}

#[tokio::test]
async fn a_life_begins_a_minute_early_but_not_before_the_authority() {
    let authority = authority(1).await;
    let first = authority.sign(request(), after(10)).await.unwrap();
    assert_eq!(first.details().not_before, start());
    assert_eq!(first.details().not_after, after(10 + 86_400));

    let later = authority.sign(request(), after(3600)).await.unwrap();
    assert_eq!(later.details().not_before, after(3600 - 60));
}

#[tokio::test]
async fn without_a_lifetime_it_ends_one_second_before_the_authority() {
    let authority = authority(1).await;
    let request = HostRequest::new("x", PublicKey::from_bytes([9; 32]), cidr("10.128.0.1/16"));
    let certificate = authority.sign(request, start()).await.unwrap();
    assert_eq!(certificate.details().not_after, after(864_000 - 1));
}

#[tokio::test]
async fn an_authority_signs_only_while_it_lives() {
    let authority = authority(1).await;
    let early = authority.sign(request(), after(-1)).await;
    assert!(
        matches!(early, Err(SignError::AuthorityNotYetValid)),
        "{early:?}"
    );
    let late = authority.sign(request(), after(864_001)).await;
    assert!(matches!(late, Err(SignError::AuthorityExpired)), "{late:?}");
}

#[tokio::test]
async fn every_reason_for_distrust_has_its_own_name() {
    let (one, other) = (authority(1).await, authority(2).await);
    let certificate = one.sign(request(), after(60)).await.unwrap();
    let fingerprint = certificate.fingerprint();
    let issuer = one.certificate().fingerprint();
    let mut blocking = trusting(&[&one]);
    blocking.block(fingerprint);

    let verify = |bundle: &TrustBundle, certificate: &Certificate, at| {
        bundle.verify(certificate, after(at)).map(|_| ())
    };
    let both = trusting(&[&one, &other]);
    assert_eq!(verify(&both, &certificate, 0), Ok(()));
    assert_eq!(verify(&both, &certificate, 60 + 86_400), Ok(()));
    assert_eq!(
        verify(&both, &certificate, 61 + 86_400),
        Err(VerifyError::Expired)
    );
    assert_eq!(
        verify(&both, &certificate, -1),
        Err(VerifyError::AuthorityExpired)
    );
    assert_eq!(
        verify(&both, &certificate, 864_001),
        Err(VerifyError::AuthorityExpired)
    );
    assert_eq!(
        verify(&trusting(&[&other]), &certificate, 0),
        Err(VerifyError::UnknownAuthority(issuer))
    );
    assert_eq!(
        verify(&blocking, &certificate, 0),
        Err(VerifyError::Blocked)
    );
    assert_eq!(
        verify(&both, one.certificate(), 0),
        Err(VerifyError::IsAuthority)
    );

    let later = one.sign(request(), after(3600)).await.unwrap();
    assert_eq!(verify(&both, &later, 0), Err(VerifyError::NotYetValid));
}

#[tokio::test]
async fn an_expired_authority_in_the_bundle_does_not_harm_the_others() {
    let old = MemorySigner::new(SigningKey::from_seed(&[3; 32]));
    let short = AuthorityRequest::new("old").valid_for(Duration::from_secs(1));
    let old = Authority::create(short, Arc::new(old), start())
        .await
        .unwrap();
    let new = authority(1).await;
    let certificate = new.sign(request(), after(60)).await.unwrap();
    let trusted = trusting(&[&old, &new]);
    assert!(!old.certificate().is_valid_at(after(60)));
    assert_eq!(trusted.authorities().count(), 2);
    assert_eq!(
        trusted.verify(&certificate, after(60)).unwrap().authority(),
        new.certificate()
    );
}

/// A key that signs anything: as if an authority's own checks had a bug.
#[tokio::test]
async fn a_verifier_checks_the_bounds_itself() {
    let (key, now) = (SigningKey::from_seed(&[1; 32]), after(60));
    let unbounded = AuthorityRequest::new("authority 1").valid_for(20 * DAY);
    let signer = Arc::new(MemorySigner::new(SigningKey::from_seed(&[1; 32])));
    let unbounded = Authority::create(unbounded, signer, start()).await.unwrap();
    let bounded = authority(1).await;
    let request = HostRequest::new("x", PublicKey::from_bytes([9; 32]), cidr("10.128.0.1/16"));
    let too_much = unbounded
        .sign(request.with_groups(["admin"]), now)
        .await
        .unwrap();

    let forged = reissue(&too_much, &bounded, &key);
    let got = trusting(&[&bounded]).verify(&forged, now).map(|_| ());
    assert_eq!(
        got,
        Err(VerifyError::Constraint(ConstraintError::OutlivesAuthority))
    );
}

/// `certificate` with `authority` as its issuer, signed anew with its `key`.
fn reissue(certificate: &Certificate, authority: &Authority, key: &SigningKey) -> Certificate {
    let from = *certificate.details().issuer.unwrap().as_bytes();
    let bytes = certificate.to_bytes();
    let issuer = bytes.windows(32).position(|window| window == from).unwrap();
    let mut details = bytes[..issuer + 32].to_vec();
    details[issuer..].copy_from_slice(authority.certificate().fingerprint().as_bytes());
    // The details are the first field: a tag, and a length of one or two bytes.
    let head = if details[1] < 0x80 { 2 } else { 3 };
    let signature = key.sign(&details[head..]);
    Certificate::from_bytes(&[&details[..], &[0x12, 64], signature.as_bytes()].concat()).unwrap()
}

#[tokio::test]
async fn a_host_is_no_authority() {
    let authority = authority(1).await;
    let host = authority.sign(request(), start()).await.unwrap();
    let why = TrustBundle::from_pem(&host.to_pem()).unwrap_err();
    assert!(
        matches!(why, TrustError::Authority(AuthorityError::NotAnAuthority)),
        "{why:?}"
    );
    let signer = Arc::new(MemorySigner::new(SigningKey::from_seed(&[1; 32])));
    assert_eq!(
        Authority::new(host, signer).map(|_| ()),
        Err(AuthorityError::NotAnAuthority)
    );
}

#[tokio::test]
async fn an_authority_needs_its_own_key() {
    let certificate = authority(1).await.certificate().clone();
    let signer = Arc::new(MemorySigner::new(SigningKey::from_seed(&[2; 32])));
    assert_eq!(
        Authority::new(certificate, signer).map(|_| ()),
        Err(AuthorityError::OtherKey)
    );
}

#[tokio::test]
async fn a_wrong_signature_is_never_handed_out() {
    #[derive(Debug)]
    struct Wrong(MemorySigner);

    #[async_trait]
    impl CaSigner for Wrong {
        fn public_key(&self) -> PublicKey {
            self.0.public_key()
        }

        async fn sign(&self, _: &[u8]) -> Result<Signature, SignerError> {
            self.0.sign(b"something else").await
        }
    }

    let signer = Arc::new(Wrong(MemorySigner::new(SigningKey::from_seed(&[1; 32]))));
    let made = Authority::create(AuthorityRequest::new("x"), signer, start()).await;
    assert!(matches!(made, Err(SignError::BadSignature)), "{made:?}");
}
