//! Who gets in.

use std::os::unix::fs::PermissionsExt;
use std::{fs, io::Read};

use crate::client::{Ssh, make_key};
use crate::support::Place;

#[tokio::test]
async fn certificate_of_the_authority_and_known_key_get_in_and_no_other_name() {
    let ssh = Ssh::start().await;
    assert!(ssh.lets_in(&[]).await);
    for user in ["root", "Gitpod", "gitpod2"] {
        assert!(!ssh.lets_in(&["-l", user]).await, "{user:?}");
    }
    let plain = format!("IdentityFile={}", ssh.path("plain").display());
    fs::remove_file(ssh.path("key-cert.pub")).unwrap();
    assert!(!ssh.lets_in(&[]).await, "a key without certificate");
    assert!(ssh.lets_in(&["-o", &plain]).await);
}

#[tokio::test]
async fn socket_and_host_key_are_private_and_there_when_it_is_ready() {
    let ssh = Ssh::start().await;
    for name in ["ssh.sock", "ssh_host_key.pub"] {
        let mode = fs::metadata(ssh.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let line = fs::read_to_string(ssh.path("ssh_host_key.pub")).unwrap();
    assert!(
        line.starts_with("ssh-ed25519 AAAA") && line.ends_with('\n'),
        "{line}"
    );
    let paths = [ssh.path("ssh.sock"), ssh.path("ssh_host_key.pub")];
    assert!(ssh.running.stop().await.success());
    assert!(paths.iter().all(|path| !path.exists()));
}

#[tokio::test]
async fn attack_46_certificate_of_another_authority() {
    let ssh = Ssh::start().await;
    make_key(&ssh.path("other"));
    ssh.certify(&ssh.path("other"), &[]);
    assert!(!ssh.lets_in(&[]).await);
    // Nor one that the key has signed for itself.
    ssh.certify(&ssh.path("key"), &[]);
    assert!(!ssh.lets_in(&[]).await);
}

#[tokio::test]
async fn attack_46_certificate_that_is_wrong_in_one_point() {
    let ssh = Ssh::start().await;
    for (wrong, arguments) in [
        ("expired", vec!["-V", "-2h:-1h"]),
        ("not valid yet", vec!["-V", "+1h:+2h"]),
        ("for somebody else", vec!["-n", "root"]),
        (
            "for somebody with a longer name",
            vec!["-n", "gitpod2,xgitpod"],
        ),
        ("for a host", vec!["-h"]),
        ("with a forced command", vec!["-O", "force-command=true"]),
        ("from one address", vec!["-O", "source-address=127.0.0.0/8"]),
        (
            "with an unknown option",
            vec!["-O", "critical:x@example.com=1"],
        ),
    ] {
        ssh.certify(&ssh.path("ca"), &arguments);
        assert!(!ssh.lets_in(&[]).await, "{wrong}");
    }
    ssh.certify(&ssh.path("ca"), &["-O", "extension:x@example.com=1"]);
    assert!(
        ssh.lets_in(&[]).await,
        "an unknown extension may be ignored"
    );
}

#[tokio::test]
async fn attack_46_certificate_of_nobody_is_not_one_of_everybody() {
    let ssh = Ssh::start().await;
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-I", "x", "-s"])
        .args([ssh.path("ca"), ssh.path("key.pub")])
        .output()
        .unwrap();
    assert!(made.status.success());
    assert!(!ssh.lets_in(&[]).await);
}

#[tokio::test]
async fn attack_46_authority_with_other_algorithms_is_refused_at_start() {
    let place = Place::new("");
    let dir = place.dir.path().to_owned();
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ecdsa", "-N", "", "-f"])
        .arg(dir.join("ca"))
        .status()
        .unwrap();
    assert!(made.success());
    for (ssh, fix) in [
        (
            serde_json::json!({"user_ca": fs::read_to_string(dir.join("ca.pub")).unwrap()}),
            "ssh-ed25519",
        ),
        (
            serde_json::json!({"user_ca": "ssh-ed25519 x"}),
            "`ssh.user_ca` is no public key",
        ),
        (serde_json::json!({}), "lets nobody in"),
    ] {
        let mut ssh = ssh;
        ssh["socket"] = dir.join("ssh.sock").to_str().into();
        ssh["host_key_file"] = dir.join("host").to_str().into();
        let place = Place::new("").with("ssh", ssh);
        let mut refused = place.spawn();
        let mut text = String::new();
        refused
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(refused.wait().unwrap().code(), Some(1));
        assert!(text.contains(fix), "{text}");
    }
}
