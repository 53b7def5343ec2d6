//! The real `nebula-cert` and this crate read, sign, verify and refuse the same.
//!
//! Needs Debian's package `nebula`. Where it is missing each test says so and
//! counts as passed, unless `CI` or `GITPOD_TEST_REQUIRE` is set.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::fs;
use std::io::Write;
use std::ops::RangeInclusive;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use gitpod_gateway::{
    Authority, AuthorityRequest, Certificate, Cidr, HostKey, HostRequest, MemorySigner, PublicKey,
    SigningKey, TrustBundle,
};
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use tempfile::TempDir;

/// `nebula-cert` in a directory of its own.
struct Tool(TempDir);

impl Tool {
    /// The tool, or `None` with a loud word if it is not installed.
    fn find() -> Option<Self> {
        if Command::new("nebula-cert").arg("-version").output().is_ok() {
            return Some(Self(tempfile::tempdir().unwrap()));
        }
        let required = ["CI", "GITPOD_TEST_REQUIRE"]
            .iter()
            .any(|name| std::env::var_os(name).is_some());
        assert!(!required, "nebula-cert is missing: apt-get install nebula");
        // Past the test runner, which would swallow it, for `cargo xtask test` to count.
        let _ = std::io::stdout().write_all(
            b"\nSKIPPED: nebula-cert is missing; apt-get install nebula, and run this test again\n",
        );
        None
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("nebula-cert");
        command
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    fn succeeds(&self, arguments: &[&str]) {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    /// Whether it trusts `certificate` by the authorities in `bundle`.
    fn trusts(&self, certificate: &str, bundle: &str) -> bool {
        self.write("verify.crt", certificate);
        self.write("verify-ca.crt", bundle);
        let output = self.run(&["verify", "-ca", "verify-ca.crt", "-crt", "verify.crt"]);
        output.status.success()
    }

    /// What it reads in `certificate`.
    fn print(&self, certificate: &str) -> Value {
        self.write("print.crt", certificate);
        let output = self.run(&["print", "-json", "-path", "print.crt"]);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn remove(&self, names: &[&str]) {
        for name in names {
            let _ = fs::remove_file(self.0.path().join(name)); // the tool overwrites nothing
        }
    }
}

/// What a certificate is asked to say.
#[derive(Clone, Debug)]
struct Wanted {
    name: String,
    network: Cidr,
    subnets: Vec<Cidr>,
    groups: Vec<String>,
    minutes: u64,
}

impl Wanted {
    fn request(&self, key: PublicKey) -> HostRequest {
        HostRequest::new(&self.name, key, self.network)
            .with_subnets(self.subnets.iter().copied())
            .with_groups(self.groups.iter().cloned())
            .valid_for(Duration::from_secs(60 * self.minutes))
    }

    /// Has the tool sign it with `ca.crt` and `ca.key`.
    fn sign_with(&self, tool: &Tool) -> Option<String> {
        tool.remove(&["host.crt", "host.key"]);
        let (network, subnets) = (self.network.to_string(), joined(&self.subnets));
        let (groups, duration) = (self.groups.join(","), format!("{}m", self.minutes));
        let output = tool.run(&[
            "sign",
            "-name",
            &self.name,
            "-ip",
            &network,
            "-subnets",
            &subnets,
            "-groups",
            &groups,
            "-duration",
            &duration,
            "-out-crt",
            "host.crt",
            "-out-key",
            "host.key",
        ]);
        output.status.success().then(|| tool.read("host.crt"))
    }
}

fn joined(cidrs: &[Cidr]) -> String {
    let texts: Vec<String> = cidrs.iter().map(ToString::to_string).collect();
    texts.join(",")
}

const GROUPS: [&str; 4] = ["environment", "proxy", "runner", "lighthouse"];

fn any_groups() -> impl Strategy<Value = Vec<String>> {
    subsequence(GROUPS.to_vec(), 0..=GROUPS.len())
        .prop_map(|groups| groups.into_iter().map(str::to_owned).collect())
}

/// Few networks, so that one often lies in another.
fn any_cidr(prefixes: RangeInclusive<u8>) -> impl Strategy<Value = Cidr> {
    (0..2_u8, 0..2_u8, any::<u8>(), prefixes)
        .prop_map(|(b, c, d, prefix)| format!("10.{b}.{c}.{d}/{prefix}").parse().unwrap())
}

fn any_wanted() -> impl Strategy<Value = Wanted> {
    let name = "[a-zA-Z0-9äß漢_.:-]{1,30}";
    (
        name,
        any_cidr(9..=32),
        vec(any_cidr(9..=32), 0..3),
        any_groups(),
        1..400_u64,
    )
        .prop_map(|(name, network, subnets, groups, minutes)| Wanted {
            name,
            network,
            subnets,
            groups,
            minutes,
        })
}

prop_compose! {
    fn any_authority()(
        networks in vec(any_cidr(6..=17), 0..3),
        subnets in vec(any_cidr(6..=17), 0..2),
        groups in any_groups(),
    ) -> AuthorityRequest {
        AuthorityRequest::new("an authority")
            .with_networks(networks)
            .with_subnets(subnets)
            .with_groups(groups)
            .valid_for(Duration::from_secs(60 * 300 + 30)) // never to the minute: both read the clock
    }
}

/// Fewer than usual: each starts a process or three.
fn for_each<S: Strategy>(strategy: S, check: impl Fn(S::Value)) {
    let config = Config {
        cases: 40,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let run = runner.run(&strategy, |value| {
        check(value);
        Ok(())
    });
    run.unwrap();
}

fn finish<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(future)
}

fn create(request: AuthorityRequest, key: SigningKey) -> Authority {
    let signer = Arc::new(MemorySigner::new(key));
    finish(Authority::create(request, signer, Timestamp::now())).unwrap()
}

fn load(tool: &Tool) -> Authority {
    let certificate = Certificate::from_pem(&tool.read("ca.crt")).unwrap();
    let key = SigningKey::from_pem(&tool.read("ca.key")).unwrap();
    Authority::new(certificate, Arc::new(MemorySigner::new(key))).unwrap()
}

fn is_trusted(certificate: &Certificate, bundle: &str) -> bool {
    let bundle = TrustBundle::from_pem(bundle).unwrap();
    bundle.verify(certificate, Timestamp::now()).is_ok()
}

/// The same fields as `nebula-cert print -json`.
fn printed(certificate: &Certificate) -> Value {
    let details = certificate.details();
    let texts = |cidrs: &[Cidr]| cidrs.iter().map(ToString::to_string).collect::<Vec<_>>();
    serde_json::json!({
        "details": {
            "name": details.name,
            "ips": texts(&details.networks),
            "subnets": texts(&details.subnets),
            "groups": details.groups,
            "notBefore": details.not_before.to_string(),
            "notAfter": details.not_after.to_string(),
            "publicKey": details.public_key.to_string(),
            "isCa": details.is_authority(),
            "issuer": details.issuer.map_or_else(String::new, |issuer| issuer.to_string()),
        },
        "fingerprint": certificate.fingerprint().to_string(),
        "signature": certificate.signature().to_string(),
    })
}

#[test]
fn what_we_sign_the_tool_reads_and_trusts() {
    let Some(tool) = Tool::find() else { return };
    let authority = create(
        AuthorityRequest::new("ours"),
        SigningKey::generate().unwrap(),
    );
    let bundle = authority.certificate().to_pem();
    assert_eq!(tool.print(&bundle), printed(authority.certificate()));
    for_each(any_wanted(), |wanted| {
        let key = HostKey::generate().unwrap().public_key();
        let certificate = finish(authority.sign(wanted.request(key), Timestamp::now())).unwrap();
        let pem = certificate.to_pem();
        assert!(tool.trusts(&pem, &bundle), "{wanted:?}");
        assert_eq!(tool.print(&pem), printed(&certificate), "{wanted:?}");
    });
}

#[test]
fn what_the_tool_signs_we_read_and_trust_and_write_back_unchanged() {
    let Some(tool) = Tool::find() else { return };
    tool.succeeds(&["ca", "-name", "theirs", "-groups", &GROUPS.join(",")]);
    let bundle = tool.read("ca.crt");
    assert_eq!(Certificate::from_pem(&bundle).unwrap().to_pem(), bundle);
    for_each(any_wanted(), |wanted| {
        let pem = wanted.sign_with(&tool).unwrap();
        let certificate = Certificate::from_pem(&pem).unwrap();
        assert_eq!(certificate.to_pem(), pem);
        assert_eq!(printed(&certificate), tool.print(&pem));
        assert!(is_trusted(&certificate, &bundle), "{wanted:?}");
    });
}

#[test]
fn both_refuse_to_sign_the_same_requests() {
    let Some(tool) = Tool::find() else { return };
    for_each((any_authority(), any_wanted()), |(bounds, wanted)| {
        let shown = format!("{bounds:?} {wanted:?}");
        let key = SigningKey::generate().unwrap();
        tool.write("ca.key", &key.to_pem());
        let authority = create(bounds, key);
        tool.write("ca.crt", &authority.certificate().to_pem());

        let theirs = wanted.sign_with(&tool);
        let request = wanted.request(PublicKey::from_bytes([9; 32]));
        let ours = finish(authority.sign(request, Timestamp::now()));
        assert_eq!(theirs.is_some(), ours.is_ok(), "{shown}: {ours:?}");
    });
}

/// An authority without bounds signs; the bundle has one of the same key with bounds.
#[test]
fn both_refuse_to_trust_what_an_authority_may_not_sign() {
    let Some(tool) = Tool::find() else { return };
    for_each((any_authority(), any_wanted()), |(bounds, wanted)| {
        let shown = format!("{bounds:?} {wanted:?}");
        let seed = [5; 32];
        let unbounded = AuthorityRequest::new("an authority");
        let unbounded = create(unbounded, SigningKey::from_seed(&seed));
        let bounded = create(bounds, SigningKey::from_seed(&seed));
        let request = wanted.request(PublicKey::from_bytes([9; 32]));
        let certificate = finish(unbounded.sign(request, Timestamp::now())).unwrap();
        let forged = reissue(
            &certificate,
            bounded.certificate(),
            &SigningKey::from_seed(&seed),
        );

        let bundle = bounded.certificate().to_pem();
        let theirs = tool.trusts(&forged.to_pem(), &bundle);
        assert_eq!(theirs, is_trusted(&forged, &bundle), "{shown}");
    });
}

/// `certificate` with another issuer, signed anew by `key`.
fn reissue(certificate: &Certificate, issuer: &Certificate, key: &SigningKey) -> Certificate {
    let from = *certificate.details().issuer.unwrap().as_bytes();
    let bytes = certificate.to_bytes();
    let place = bytes.windows(32).position(|window| window == from).unwrap();
    let mut details = bytes[..place + 32].to_vec();
    details[place..].copy_from_slice(issuer.fingerprint().as_bytes());
    // The details are the first field: a tag, and a length of one or two bytes.
    let head = if details[1] < 0x80 { 2 } else { 3 };
    let signature = key.sign(&details[head..]);
    Certificate::from_bytes(&[&details[..], &[0x12, 64], signature.as_bytes()].concat()).unwrap()
}

#[test]
fn neither_trusts_what_a_flipped_bit_says() {
    let Some(tool) = Tool::find() else { return };
    let authority = create(
        AuthorityRequest::new("ours"),
        SigningKey::generate().unwrap(),
    );
    let bundle = authority.certificate().to_pem();
    for_each(
        (any_wanted(), any::<prop::sample::Index>(), 0..8_u8),
        |(wanted, place, bit)| {
            let request = wanted.request(PublicKey::from_bytes([9; 32]));
            let certificate = finish(authority.sign(request, Timestamp::now())).unwrap();
            let mut bytes = certificate.to_bytes();
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            let ours = Certificate::from_bytes(&bytes).is_ok_and(|one| is_trusted(&one, &bundle));
            assert!(!ours, "bit {bit} of byte {place}: {wanted:?}");
            // The tool overlooks bits of a number beyond 32: the same certificate in a
            // second spelling, which we refuse.
            let other = block(&bytes);
            let theirs =
                tool.trusts(&other, &bundle) && tool.print(&other) != printed(&certificate);
            assert!(!theirs, "bit {bit} of byte {place}: {wanted:?}");
        },
    );
}

/// A certificate block around any bytes.
fn block(bytes: &[u8]) -> String {
    let ending = pem_rfc7468::LineEnding::LF;
    pem_rfc7468::encode_string("NEBULA CERTIFICATE", ending, bytes).unwrap()
}

#[test]
fn a_host_can_keep_its_key_whoever_made_it_and_whoever_signs() {
    let Some(tool) = Tool::find() else { return };
    tool.succeeds(&["ca", "-name", "theirs"]);
    let ours = HostKey::generate().unwrap();
    tool.write("ours.pub", &ours.public_key().to_host_pem());
    tool.succeeds(&[
        "sign",
        "-name",
        "a",
        "-ip",
        "10.0.0.1/8",
        "-in-pub",
        "ours.pub",
        "-out-crt",
        "ours.crt",
    ]);
    let certificate = Certificate::from_pem(&tool.read("ours.crt")).unwrap();
    assert_eq!(certificate.details().public_key, ours.public_key());

    tool.succeeds(&["keygen", "-out-key", "theirs.key", "-out-pub", "theirs.pub"]);
    let public = PublicKey::from_host_pem(&tool.read("theirs.pub")).unwrap();
    let private = HostKey::from_pem(&tool.read("theirs.key")).unwrap();
    assert_eq!(private.public_key(), public);
    assert_eq!(public.to_host_pem(), tool.read("theirs.pub"));
    assert_eq!(private.to_pem().as_str(), tool.read("theirs.key"));
    let request = HostRequest::new("b", public, "10.0.0.2/8".parse().unwrap());
    let certificate = finish(load(&tool).sign(request, Timestamp::now())).unwrap();
    assert!(tool.trusts(&certificate.to_pem(), &tool.read("ca.crt")));
}

#[test]
fn keys_of_authorities_move_between_both_unchanged() {
    let Some(tool) = Tool::find() else { return };
    tool.succeeds(&["ca", "-name", "theirs"]);
    let theirs = tool.read("ca.key");
    assert_eq!(
        SigningKey::from_pem(&theirs).unwrap().to_pem().as_str(),
        theirs
    );
    assert_eq!(load(&tool).certificate().details().name, "theirs");
}

#[test]
fn without_a_lifetime_both_end_one_second_before_the_authority() {
    let Some(tool) = Tool::find() else { return };
    tool.succeeds(&["ca", "-name", "theirs"]);
    tool.succeeds(&["sign", "-name", "a", "-ip", "10.0.0.1/8"]);
    let theirs = Certificate::from_pem(&tool.read("a.crt")).unwrap();
    let request = HostRequest::new(
        "a",
        theirs.details().public_key,
        theirs.details().networks[0],
    );
    let ours = finish(load(&tool).sign(request, Timestamp::now())).unwrap();
    assert_eq!(ours.details().not_after, theirs.details().not_after);
}

#[test]
fn both_read_several_authorities_and_pick_the_right_one() {
    let Some(tool) = Tool::find() else { return };
    let authorities: Vec<Authority> = (0..3)
        .map(|n| {
            create(
                AuthorityRequest::new(format!("ca {n}")),
                SigningKey::from_seed(&[n; 32]),
            )
        })
        .collect();
    let bundle: String = authorities
        .iter()
        .map(|one| one.certificate().to_pem())
        .collect();
    let request = HostRequest::new(
        "a",
        PublicKey::from_bytes([9; 32]),
        "10.0.0.1/8".parse().unwrap(),
    );
    let certificate = finish(authorities[2].sign(request, Timestamp::now())).unwrap();
    assert!(is_trusted(&certificate, &bundle));
    assert!(tool.trusts(&certificate.to_pem(), &bundle));
    let others = authorities[0].certificate().to_pem();
    assert!(!is_trusted(&certificate, &others));
    assert!(!tool.trusts(&certificate.to_pem(), &others));
}
