//! Hosts join once with a token, get new certificates in time, and stay out once blocked.
#![cfg(all(feature = "file", feature = "testing"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use gitpod_gateway::{
    Authority, AuthorityRequest, Certificate, EnrollRequest, EnrollmentToken, FileStore, HostCall,
    HostKey, HostKind, HostState, MemorySigner, MemoryStore, NetworkSettings, NetworkStore,
    NewHost, Registry, SigningKey, TrustBundle, Wanted, check_network_store,
};
use jiff::Timestamp;

const NETWORK: &str = "10.128.0.0/16";

async fn registry(store: Arc<dyn NetworkStore>, addresses: &str) -> Registry {
    let signer = Arc::new(MemorySigner::new(SigningKey::from_seed(&[7; 32])));
    let request = AuthorityRequest::new("test")
        .with_networks([NETWORK.parse().unwrap()])
        .with_groups(HostKind::ALL.map(HostKind::as_str));
    let authority = Authority::create(request, signer, at(0)).await.unwrap();
    let settings = NetworkSettings::new("test", addresses.parse().unwrap());
    Registry::new(settings, authority, store)
}

async fn in_memory() -> Registry {
    registry(Arc::new(MemoryStore::new()), NETWORK).await
}

/// So many minutes after noon.
fn at(minutes: i64) -> Timestamp {
    let noon: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    noon + jiff::SignedDuration::from_mins(minutes)
}

/// A host's keys.
struct Keys(HostKey, SigningKey);

impl Keys {
    fn new() -> Self {
        Self(
            HostKey::generate().unwrap(),
            SigningKey::generate().unwrap(),
        )
    }

    fn enroll(&self, token: &EnrollmentToken) -> EnrollRequest {
        EnrollRequest::new(token, &self.0, &self.1)
    }

    fn call(&self, host: &str, wants: Wanted, now: Timestamp) -> HostCall {
        HostCall::new(host, wants, &self.0, &self.1, now)
    }
}

fn environment(name: &str) -> NewHost {
    NewHost::new(name, HostKind::Environment)
}

#[tokio::test]
async fn host_joins_with_what_its_kind_may_have() {
    let registry = in_memory().await;
    let lighthouse =
        NewHost::new("light-1", HostKind::Lighthouse).with_endpoints(["192.0.2.1:4242"]);
    let (_, token) = registry.add(lighthouse, at(0)).await.unwrap();
    registry
        .enroll(&Keys::new().enroll(&token), at(1))
        .await
        .unwrap();

    let (host, token) = registry.add(environment("env-1"), at(0)).await.unwrap();
    assert_eq!(host.state, HostState::Reserved);
    let bundle = registry
        .enroll(&Keys::new().enroll(&token), at(1))
        .await
        .unwrap();
    let certificate = Certificate::from_pem(bundle.certificate.as_ref().unwrap()).unwrap();
    let trusted = TrustBundle::from_pem(&bundle.authorities).unwrap();
    let verified = trusted.verify(&certificate, at(2)).unwrap();
    let details = verified.details();
    assert_eq!(
        (&*details.name, &details.groups[..]),
        ("env-1", &["environment".to_owned()][..])
    );
    assert_eq!(details.networks[0].to_string(), host.address);
    assert_eq!(details.not_after, at(1 + 24 * 60));
    assert!(at(1) < bundle.renew_after && bundle.renew_after < bundle.not_after);
    assert_eq!(bundle.lighthouses[0].endpoints, ["192.0.2.1:4242"]);
}

#[tokio::test]
async fn token_is_good_once_in_time_and_for_a_lost_answer() {
    let registry = in_memory().await;
    let (_, token) = registry.add(environment("env-1"), at(0)).await.unwrap();
    let (ours, theirs) = (Keys::new(), Keys::new());
    let reason = async |request: EnrollRequest, now| {
        registry.enroll(&request, now).await.unwrap_err().reason()
    };
    assert_eq!(
        reason(ours.enroll(&EnrollmentToken::shown("gwt_guess")), at(1)).await,
        "TOKEN_INVALID"
    );
    assert_eq!(reason(ours.enroll(&token), at(16)).await, "TOKEN_EXPIRED");
    let first = registry.enroll(&ours.enroll(&token), at(1)).await.unwrap();
    assert_eq!(reason(theirs.enroll(&token), at(2)).await, "TOKEN_SPENT");
    let again = registry.enroll(&ours.enroll(&token), at(2)).await.unwrap();
    assert_eq!(first.host, again.host);
    registry.tidy(at(60)).await.unwrap();
    assert_eq!(reason(ours.enroll(&token), at(2)).await, "TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_show_one_token_at_once_one_joins() {
    let registry = in_memory().await;
    let (_, token) = registry.add(environment("env-1"), at(0)).await.unwrap();
    let tries: Vec<_> = (0..16)
        .map(|_| {
            let (registry, request) = (registry.clone(), Keys::new().enroll(&token));
            tokio::spawn(async move { registry.enroll(&request, at(1)).await.is_ok() })
        })
        .collect();
    let mut joined = 0;
    for one in tries {
        joined += usize::from(one.await.unwrap());
    }
    assert_eq!(joined, 1);
}

#[tokio::test]
async fn blocked_host_is_on_every_list_until_its_certificates_are_over() {
    let registry = in_memory().await;
    let (_, token) = registry.add(environment("env-1"), at(0)).await.unwrap();
    let (_, other_token) = registry.add(environment("env-2"), at(0)).await.unwrap();
    let (keys, other) = (Keys::new(), Keys::new());
    let joined = registry.enroll(&keys.enroll(&token), at(1)).await.unwrap();
    registry
        .enroll(&other.enroll(&other_token), at(1))
        .await
        .unwrap();
    let renewed = registry
        .answer(&keys.call("env-1", Wanted::Certificate, at(2)), at(2))
        .await
        .unwrap();

    let unused = registry.issue_token("env-1", at(2)).await.unwrap();
    registry.block("env-1", at(3)).await.unwrap();
    let told = registry
        .answer(&other.call("env-2", Wanted::Config, at(4)), at(4))
        .await
        .unwrap();
    assert!(told.revision > joined.revision && told.certificate.is_none());
    for bundle in [&joined, &renewed] {
        let certificate = Certificate::from_pem(bundle.certificate.as_ref().unwrap()).unwrap();
        assert!(
            told.blocklist
                .contains(&certificate.fingerprint().to_string())
        );
    }
    let refused = registry
        .answer(&keys.call("env-1", Wanted::Config, at(4)), at(4))
        .await;
    assert_eq!(
        refused.unwrap_err().reason(),
        "BAD_SIGNATURE",
        "its request key is forgotten"
    );

    // Tokens of before are good for nothing, used or not.
    for old in [&token, &unused] {
        let refused = registry.enroll(&Keys::new().enroll(old), at(5)).await;
        assert!(matches!(
            refused.unwrap_err().reason(),
            "TOKEN_SPENT" | "TOKEN_INVALID"
        ));
    }
    let again = registry.enroll(&keys.enroll(&token), at(5)).await;
    assert_eq!(again.unwrap_err().reason(), "TOKEN_INVALID");
    // It comes back with a new token and new keys only.
    let token = registry.issue_token("env-1", at(5)).await.unwrap();
    let refused = registry.enroll(&keys.enroll(&token), at(6)).await;
    assert_eq!(refused.unwrap_err().reason(), "KEY_BLOCKED");
    let back = registry
        .enroll(&Keys::new().enroll(&token), at(6))
        .await
        .unwrap();
    assert_eq!(back.blocklist.len(), 2, "the old certificates stay out");
    let later = at(26 * 60);
    let told = registry
        .answer(&other.call("env-2", Wanted::Config, later), later)
        .await
        .unwrap();
    assert_eq!(told.blocklist, Vec::<String>::new());
}

#[tokio::test]
async fn host_that_joins_anew_with_other_keys_shuts_its_former_self_out() {
    let registry = in_memory().await;
    let (_, token) = registry.add(environment("env-1"), at(0)).await.unwrap();
    let first = registry
        .enroll(&Keys::new().enroll(&token), at(1))
        .await
        .unwrap();
    let token = registry.issue_token("env-1", at(2)).await.unwrap();
    let second = registry
        .enroll(&Keys::new().enroll(&token), at(3))
        .await
        .unwrap();
    let former = Certificate::from_pem(first.certificate.as_ref().unwrap()).unwrap();
    assert_eq!(second.blocklist, [former.fingerprint().to_string()]);
    assert!(second.revision > first.revision);
}

#[tokio::test]
async fn calls_of_strangers_and_of_another_time_are_refused() {
    let registry = in_memory().await;
    let (_, token) = registry.add(environment("env-1"), at(0)).await.unwrap();
    let keys = Keys::new();
    registry.enroll(&keys.enroll(&token), at(1)).await.unwrap();
    for (call, expected) in [
        (
            Keys::new().call("env-1", Wanted::Certificate, at(2)),
            "BAD_SIGNATURE",
        ),
        (
            keys.call("env-2", Wanted::Certificate, at(2)),
            "BAD_SIGNATURE",
        ),
        (keys.call("env-1", Wanted::Certificate, at(8)), "CLOCK_SKEW"),
        (
            keys.call("env-1", Wanted::Certificate, at(-4)),
            "CLOCK_SKEW",
        ),
    ] {
        let refused = registry.answer(&call, at(2)).await.unwrap_err();
        assert_eq!(refused.reason(), expected, "{call:?}");
    }
}

#[tokio::test]
async fn addresses_are_given_once_and_names_too() {
    let registry = registry(Arc::new(MemoryStore::new()), "10.128.0.0/28").await;
    let mut given = std::collections::BTreeSet::new();
    let mut refused = None;
    for number in 0..20 {
        match registry
            .add(environment(&format!("env-{number}")), at(0))
            .await
        {
            Ok((host, _)) => assert!(given.insert(host.address)),
            Err(why) => refused = Some(why.reason()),
        }
    }
    assert!(given.len() >= 10 && given.len() <= 14, "{given:?}");
    assert_eq!(refused, Some("IP_EXHAUSTED"));
    for (new, expected) in [
        (environment("env-0"), "NAME_TAKEN"),
        (environment("../etc"), "BAD_NAME"),
        (NewHost::new("light", HostKind::Lighthouse), "NO_ENDPOINT"),
        (
            environment("e").with_endpoints(["192.0.2.1:1"]),
            "ENDPOINT_NOT_NEEDED",
        ),
    ] {
        let why = registry.add(new, at(0)).await.unwrap_err();
        assert_eq!(why.reason(), expected);
    }
}

#[tokio::test]
async fn stores_keep_their_promises_and_a_file_outlives_its_process() {
    check_network_store(&MemoryStore::new()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("network.json");
    check_network_store(&FileStore::open(&path).unwrap())
        .await
        .unwrap();
    let listed = FileStore::open(&path).unwrap().list("A#").await.unwrap();
    assert_eq!(listed.len(), 2);
    std::fs::write(&path, "{").unwrap();
    assert!(FileStore::open(&path).is_err());

    let path = dir.path().join("other.json");
    let token = {
        let registry = registry(Arc::new(FileStore::open(&path).unwrap()), NETWORK).await;
        registry.add(environment("env-1"), at(0)).await.unwrap().1
    };
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(token.expose()), "only its hash is kept");
    let registry = registry(Arc::new(FileStore::open(&path).unwrap()), NETWORK).await;
    registry
        .enroll(&Keys::new().enroll(&token), at(1))
        .await
        .unwrap();
    let settings = Duration::from_secs(60);
    assert_eq!(
        NetworkSettings::new("n", NETWORK.parse().unwrap()).poll,
        settings
    );
}
