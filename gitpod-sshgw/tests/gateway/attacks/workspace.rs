//! Workspaces that want to reach clients, or are not what they seem.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use gitpod_routing::MemoryProvider;
use gitpod_sshgw::{
    Authenticate, Authenticated, Gateway, OwnerAuthenticator, PrivateKey, SshLimits, Upstream,
    UpstreamConnector, UpstreamError, UpstreamLogin, UserCa,
};
use tokio::time::timeout;

use crate::peer::{Hostile, connect};
use crate::support::{ID, Served, Sshd, info, run, served_with, whoami};

/// A gateway whose workspaces are reached with `connector`.
async fn served_by(connector: impl UpstreamConnector) -> Served {
    let connector = Arc::new(connector);
    served_with(SshLimits::default(), |gateway| {
        let workspaces = MemoryProvider::new();
        let key = PrivateKey::generate().unwrap();
        workspaces.insert(info(ID, &key).running_at([10, 0, 0, 7].into()));
        let owner = Arc::new(OwnerAuthenticator::new());
        let authenticate = Authenticate::new(Arc::new(workspaces), owner);
        let keys = [PrivateKey::generate().unwrap()];
        drop(gateway);
        Gateway::new(authenticate, connector).with_host_keys(keys)
    })
    .await
}

#[tokio::test]
async fn attack_43_a_workspace_opens_nothing_towards_a_client_that_did_not_ask() {
    let hostile = Hostile::new();
    let served = served_by(hostile.clone()).await;
    let (mut handle, client) = connect(&served).await;
    let login = handle.authenticate_password(ID, "s3cret").await.unwrap();
    assert!(login.success());
    let mut channel = handle.channel_open_session().await.unwrap();
    channel.exec(true, "anything").await.unwrap();
    let ended = async { while channel.wait().await.is_some() {} };
    timeout(Duration::from_secs(20), ended).await.unwrap();
    let attempts = hostile.attempts.lock().unwrap().clone();
    assert_eq!(attempts.len(), 6);
    assert!(attempts.iter().all(|(_, done)| !done), "{attempts:?}");
    assert_eq!(client.opened.load(Ordering::Relaxed), 0);
}

/// Logs in to an sshd with what a test says.

#[derive(Debug)]
struct Differently(Sshd, UpstreamLogin);

#[async_trait]
impl UpstreamConnector for Differently {
    async fn connect(&self, _: &Authenticated) -> Result<Upstream, UpstreamError> {
        Ok(Upstream::new(self.0.dial(), self.1.clone()))
    }
}

async fn refused_by_workspace(sshd: Sshd, login: UpstreamLogin) {
    let served = served_by(Differently(sshd, login)).await;
    let mut ssh = served.ssh_as(&format!("{ID}#s3cret"), &["-o", "PubkeyAuthentication=no"]);
    let ran = run(ssh.arg("echo entered")).await;
    assert_eq!((ran.stdout.as_str(), ran.code), ("", Some(1)), "{ran:?}");
    assert!(ran.stderr.contains("cannot be entered"), "{ran:?}");
}

#[tokio::test]
async fn attack_44_a_workspace_with_another_host_key_is_not_logged_in_to() {
    let dir = tempfile::tempdir().unwrap();
    let sshd = Sshd::new(dir.path());
    let another = PrivateKey::generate().unwrap().public_key().clone();
    let certificate = sshd.ca.certify(&whoami(), SystemTime::now()).unwrap();
    let login = UpstreamLogin::new(whoami(), certificate, another);
    refused_by_workspace(sshd, login).await;
}

#[tokio::test]
async fn attack_46_certificates_of_another_ca_time_or_name_open_no_workspace() {
    let hour = Duration::from_secs(3600);
    let (now, user) = (SystemTime::now(), whoami());
    let foreign = UserCa::new(PrivateKey::generate().unwrap());
    for wrong in ["ca", "expired", "future", "name", "plain key"] {
        let dir = tempfile::tempdir().unwrap();
        let sshd = Sshd::new(dir.path());
        let host_key = sshd.host_key.clone();
        let certificate = match wrong {
            "ca" => foreign.certify(&user, now),
            "expired" => sshd.ca.certify(&user, now - hour),
            "future" => sshd.ca.certify(&user, now + hour),
            _ => sshd.ca.certify("somebody", now),
        };
        let certificate = certificate.unwrap();
        let login = match wrong {
            "plain key" => UpstreamLogin::new(user.clone(), certificate.key().clone(), host_key),
            _ => UpstreamLogin::new(user.clone(), certificate, host_key),
        };
        refused_by_workspace(sshd, login).await;
    }
}
