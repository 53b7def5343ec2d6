//! Our own implementations pass the suites, and wrong ones do not.
#![cfg(all(feature = "testing", feature = "server"))]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use async_trait::async_trait;
use gitpod_routing::{Admission, OwnerToken, WorkspaceInfo};
use gitpod_sshgw::{
    Authenticated, AuthenticatorError, ChannelAsk, ChannelPolicy, Credential, IgnoreSessions,
    LoginName, MemorySessions, MemoryUpstream, NoForwards, OwnerAuthenticator, PrivateKey,
    SshAuthenticator, Upstream, UpstreamConnector, UpstreamError, UpstreamLogin, UsualChannels,
    Verdict, Violation, check_authenticator, check_channel_policy, check_session_observer,
    check_upstream_connector,
};
use tokio::io::AsyncWriteExt as _;

fn workspace(id: &str) -> Arc<WorkspaceInfo> {
    let token = OwnerToken::new("s3cret");
    Arc::new(WorkspaceInfo::new(
        id.parse().unwrap(),
        "instance".parse().unwrap(),
        token,
    ))
}

fn login() -> UpstreamLogin {
    let key = PrivateKey::generate().unwrap();
    let host_key = key.public_key().clone();
    UpstreamLogin::new("gitpod", key, host_key)
}

#[tokio::test]
async fn owner_authenticator_keeps_the_contract() {
    check_authenticator(&OwnerAuthenticator::new())
        .await
        .unwrap();
}

#[tokio::test]
async fn authenticator_that_opens_shared_workspaces_breaks_a_rule() {
    #[derive(Debug)]
    struct Sharing;

    #[async_trait]
    impl SshAuthenticator for Sharing {
        async fn decide(
            &self,
            _: &LoginName,
            _: &Credential<'_>,
            info: &WorkspaceInfo,
        ) -> Result<Verdict, AuthenticatorError> {
            Ok(match info.admission {
                Admission::Everyone => Verdict::Admit,
                _ => Verdict::Continue,
            })
        }
    }

    let why = check_authenticator(&Sharing).await.unwrap_err();
    assert!(
        matches!(why, Violation::Rule("nothing admits nobody")),
        "{why:?}"
    );
}

/// Has a server that greets on each connection.
#[derive(Debug)]
struct Greeting(MemoryUpstream);

#[async_trait]
impl UpstreamConnector for Greeting {
    async fn connect(&self, to: &Authenticated) -> Result<Upstream, UpstreamError> {
        let connection = self.0.connect(to).await?;
        let (id, mut server) = self.0.accept().unwrap();
        assert_eq!(id, to.info().id);
        server.write_all(b"SSH-2.0-test\r\n").await.unwrap();
        tokio::spawn(async move {
            let _open = server;
            std::future::pending::<()>().await;
        });
        Ok(connection)
    }
}

#[tokio::test]
async fn upstream_in_memory_keeps_the_contract() {
    let (here, elsewhere) = (
        workspace("pink-panda-ns35kd21"),
        workspace("teal-otter-7f3k9q2m"),
    );
    let upstream = MemoryUpstream::new(login());
    upstream.serve(here.id.clone());
    check_upstream_connector(&Greeting(upstream), here, elsewhere)
        .await
        .unwrap();
}

#[tokio::test]
async fn upstream_that_reaches_any_workspace_breaks_a_rule() {
    let (here, elsewhere) = (
        workspace("pink-panda-ns35kd21"),
        workspace("teal-otter-7f3k9q2m"),
    );
    let upstream = MemoryUpstream::new(login());
    upstream.serve(here.id.clone());
    upstream.serve(elsewhere.id.clone());
    let checked = check_upstream_connector(&Greeting(upstream), here, elsewhere).await;
    assert!(matches!(checked, Err(Violation::Rule(_))), "{checked:?}");
}

#[test]
fn policies_keep_the_contract() {
    check_channel_policy(&UsualChannels::new()).unwrap();
    check_channel_policy(&NoForwards::new()).unwrap();
}

#[test]
fn a_policy_that_allows_everything_breaks_a_rule() {
    #[derive(Debug)]
    struct Anything;

    impl ChannelPolicy for Anything {
        fn allows(&self, _: &Authenticated, _: &ChannelAsk<'_>) -> bool {
            true
        }
    }

    let why = check_channel_policy(&Anything).unwrap_err();
    assert!(matches!(why, Violation::Rule(_)), "{why:?}");
}

#[test]
fn observers_keep_the_contract() {
    check_session_observer(&IgnoreSessions::new()).unwrap();
    check_session_observer(&MemorySessions::new()).unwrap();
}
