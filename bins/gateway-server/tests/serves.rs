//! The real program: operators through its socket, hosts over TLS.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gitpod_gateway::{
    Certificate, ConfigBundle, EnrollRequest, EnrollmentToken, HostCall, HostKey, SigningKey,
    TrustBundle, Wanted,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use support::testing::{Answer, Authority, Program, https_request};

fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_gateway-server").into()
}

const NAME: &str = "gateway.example.com";

struct Server {
    dir: tempfile::TempDir,
    authority: Authority,
    program: Program,
}

impl Server {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let _ = authority.write(dir.path(), "tls", NAME);
        let program = Program::run(&program(), dir.path(), &config(dir.path()));
        Self {
            dir,
            authority,
            program,
        }
    }

    fn restart(self) -> Self {
        let Self {
            dir,
            authority,
            program: running,
        } = self;
        assert!(running.stop().success());
        let program = Program::run(&program(), dir.path(), &config(dir.path()));
        Self {
            dir,
            authority,
            program,
        }
    }

    fn ask(&self, path: &str, request: &impl serde::Serialize) -> Answer {
        let body = serde_json::to_string(request).unwrap();
        let headers = [("content-type", "application/json")];
        https_request(
            self.program.address("hosts"),
            &self.authority,
            NAME,
            ("POST", path),
            &headers,
            &body,
        )
    }

    fn host(&self, arguments: &[&str]) -> Output {
        Command::new(program())
            .arg("host")
            .args(arguments)
            .env("GATEWAY_STATE_DIR", self.dir.path().join("state"))
            .output()
            .unwrap()
    }

    fn host_json(&self, arguments: &[&str]) -> Value {
        let _ = self
            .program
            .logged("operators", |line| line["what"] == "operators");
        let output = self.host(arguments);
        assert!(
            output.status.success(),
            "{output:?}\n{}",
            self.program.log()
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn config(dir: &Path) -> Value {
    json!({
        "listen": {"addr": "127.0.0.1:0", "tls": {"crt": dir.join("tls.crt"), "key": dir.join("tls.key")}},
        "stateDir": dir.join("state"),
        "network": {"name": "test", "cidr": "10.128.0.0/16"},
        "prometheus": {"addr": "127.0.0.1:0"},
        "health": {"addr": "127.0.0.1:0"},
    })
}

fn bundle(answer: &Answer) -> ConfigBundle {
    assert_eq!(answer.status(), 200, "{}", answer.0);
    serde_json::from_str(answer.body()).unwrap()
}

fn reason(answer: &Answer) -> (u16, String) {
    let value: Value = serde_json::from_str(answer.body()).unwrap_or_default();
    let reason = value["error"]["reason"].as_str().unwrap_or_default();
    (answer.status(), reason.to_owned())
}

#[test]
fn host_is_added_joins_renews_and_is_blocked_across_a_restart() {
    let server = Server::start();
    let added = server.host_json(&["add", "env-1", "--kind", "environment"]);
    let token = added["token"].as_str().unwrap();
    let (host_key, request_key) = (
        HostKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
    );
    let request = EnrollRequest::new(&EnrollmentToken::shown(token), &host_key, &request_key);
    let joined = bundle(&server.ask("/v1/enroll", &request));
    let stranger = EnrollRequest::new(
        &EnrollmentToken::shown(token),
        &HostKey::generate().unwrap(),
        &request_key,
    );
    assert_eq!(
        reason(&server.ask("/v1/enroll", &stranger)),
        (401, "TOKEN_SPENT".to_owned())
    );

    let trusted = TrustBundle::from_pem(&joined.authorities).unwrap();
    let first = Certificate::from_pem(&joined.certificate.unwrap()).unwrap();
    assert_eq!(
        trusted
            .verify(&first, Timestamp::now())
            .unwrap()
            .details()
            .name,
        "env-1"
    );

    // Keys and records are for its user only, and hold no token and no key of a host.
    let state = server.dir.path().join("state");
    for name in ["ca.key", "ca.crt", "network.json", "admin.sock"] {
        let mode = state.join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let kept = std::fs::read_to_string(state.join("network.json")).unwrap();
    for secret in [token, host_key.to_pem().lines().nth(1).unwrap()] {
        assert!(!kept.contains(secret) && !server.program.log().contains(secret));
    }

    // The same authority goes on after a restart, and so does the host.
    let server = server.restart();
    let call = |wants| HostCall::new("env-1", wants, &host_key, &request_key, Timestamp::now());
    let renewed = bundle(&server.ask("/v1/call", &call(Wanted::Certificate)));
    let second = Certificate::from_pem(&renewed.certificate.unwrap()).unwrap();
    assert!(trusted.verify(&second, Timestamp::now()).is_ok());
    assert_eq!(
        bundle(&server.ask("/v1/call", &call(Wanted::Config))).certificate,
        None
    );

    assert_eq!(
        server.host_json(&["block", "env-1"])["host"]["state"],
        "blocked"
    );
    assert_eq!(
        reason(&server.ask("/v1/call", &call(Wanted::Config))),
        (401, "BAD_SIGNATURE".to_owned())
    );
    let listed = server.host_json(&["list"]);
    assert_eq!(listed["hosts"][0]["name"], "env-1");
    assert_eq!(listed["hosts"][0]["state"], "blocked");
}

#[test]
fn what_cannot_be_is_refused_with_a_word_for_people_and_one_for_programs() {
    let server = Server::start();
    let _ = server.host_json(&["list"]);
    for (arguments, expected) in [
        (
            &["add", "Env", "--kind", "environment"][..],
            "no host can be called",
        ),
        (
            &["add", "light", "--kind", "lighthouse"],
            "needs an endpoint",
        ),
        (&["block", "nobody"], "there is no host nobody"),
    ] {
        let output = server.host(arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && told.contains(expected),
            "{told}"
        );
    }
    let malformed = server.ask("/v1/enroll", &json!({"token": 1}));
    assert_eq!(reason(&malformed), (400, "MALFORMED".to_owned()));
    let large = server.ask("/v1/enroll", &"x".repeat(100_000));
    assert_eq!(large.status(), 400);
    // What operators may is not there for hosts.
    assert_eq!(server.ask("/v1/hosts", &Value::Null).status(), 404);
    let metrics =
        support::testing::request(server.program.address("metrics"), "x", "/metrics", &[]);
    assert_eq!(metrics.status(), 200);
}

#[test]
fn another_network_on_the_same_state_is_refused() {
    let server = Server::start();
    let _ = server.host_json(&["list"]);
    let mut other = config(server.dir.path());
    other["network"]["cidr"] = "10.9.0.0/16".into();
    let Server {
        dir,
        authority: _authority,
        program: running,
    } = server;
    assert!(running.stop().success());
    let mut refused = Program::run(&program(), dir.path(), &other);
    assert_eq!(refused.wait().code(), Some(1));
    assert!(
        refused.log().contains("network.cidr is 10.9.0.0/16"),
        "{}",
        refused.log()
    );
}
