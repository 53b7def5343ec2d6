//! Certificates and keys of the overlay network.

use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use gitpod_gateway::{
    Authority, AuthorityRequest, Certificate, HostKey, HostRequest, MemorySigner, PublicKey,
    SigningKey, TrustBundle,
};
use jiff::Timestamp;

/// Bytes that are read as a certificate are those it is written as, and nobody is
/// trusted but who was signed.
pub fn certificate(data: &[u8]) {
    let Ok(certificate) = Certificate::from_bytes(data) else {
        return;
    };
    assert_eq!(certificate.to_bytes(), data);
    let again = Certificate::from_pem(&certificate.to_pem());
    assert!(
        again.is_ok_and(|again| again == certificate),
        "{certificate:?}"
    );
    if let Some(world) = &*WORLD {
        let trusted = world.trusted.verify(&certificate, world.now).is_ok();
        assert_eq!(trusted, certificate == world.host, "{certificate:?}");
    }
}

/// Files that are read are written the same again.
pub fn certificate_pem(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if let Ok(certificates) = Certificate::all_from_pem(text) {
        let written: String = certificates.iter().map(Certificate::to_pem).collect();
        let again = Certificate::all_from_pem(&written);
        assert!(again.is_ok_and(|again| again == certificates), "{text:?}");
    }
    let _ = TrustBundle::from_pem(text);
    if let Ok(key) = SigningKey::from_pem(text) {
        let again = SigningKey::from_pem(&key.to_pem());
        assert!(
            again.is_ok_and(|again| again.public_key() == key.public_key()),
            "{text:?}"
        );
    }
    if let Ok(key) = HostKey::from_pem(text) {
        let again = HostKey::from_pem(&key.to_pem());
        assert!(
            again.is_ok_and(|again| again.public_key() == key.public_key()),
            "{text:?}"
        );
    }
    if let Ok(key) = PublicKey::from_host_pem(text) {
        let again = PublicKey::from_host_pem(&key.to_host_pem());
        assert!(again.is_ok_and(|again| again == key), "{text:?}");
    }
}

/// One authority, and one host it signed for. Both are seeds of the corpus.
struct World {
    trusted: TrustBundle,
    host: Certificate,
    now: Timestamp,
}

static WORLD: LazyLock<Option<World>> = LazyLock::new(|| {
    let now = Timestamp::from_second(1_800_000_000).ok()?;
    let signer = MemorySigner::new(SigningKey::from_seed(&[1; 32]));
    let request = AuthorityRequest::new("fuzz");
    let authority = ready(Authority::create(request, Arc::new(signer), now))?.ok()?;
    let network = "10.128.1.1/16".parse().ok()?;
    let request = HostRequest::new("env-1", PublicKey::from_bytes([2; 32]), network)
        .with_groups(["environment"]);
    let host = ready(authority.sign(request, now))?.ok()?;
    let mut trusted = TrustBundle::new();
    trusted.trust(authority.certificate().clone()).ok()?;
    Some(World { trusted, host, now })
});

/// What a future gives that awaits nothing.
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
