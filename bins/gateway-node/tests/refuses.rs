//! The real program where it cannot be a host: it says why, and what to do.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::json;
use support::testing::{Authority, Program};

#[test]
fn host_that_cannot_join_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let _ = Authority::new().write(dir.path(), "tls", "gateway.test");
    let program = || env!("CARGO_BIN_EXE_gateway-node").as_ref();
    let good = json!({
        "server": {"addr": "127.0.0.1:1", "name": "gateway.test", "ca": dir.path().join("ca.crt")},
        "stateDir": dir.path().join("state"),
    });
    let mut no_token = Program::run(program(), dir.path(), &good);
    assert_eq!(no_token.wait().code(), Some(1));
    assert!(
        no_token
            .log()
            .contains("write the token of `gateway-server host add`"),
        "{}",
        no_token.log()
    );

    let mut no_authority = good.clone();
    no_authority["server"]["ca"] = "/nonexistent".into();
    let mut no_authority = Program::run(program(), dir.path(), &no_authority);
    assert_eq!(no_authority.wait().code(), Some(1));
    assert!(
        no_authority.log().contains("cannot read /nonexistent"),
        "{}",
        no_authority.log()
    );

    // A server that is away is waited for, and a signal ends that.
    let mut waiting = good;
    let token = dir.path().join("token");
    std::fs::write(&token, "gwt_x").unwrap();
    waiting["tokenFile"] = json!(token);
    let waiting = Program::run(program(), dir.path(), &waiting);
    let _ = waiting.logged("that it waits", |line| line["message"] == "cannot join yet");
    assert!(waiting.stop().success());
}
