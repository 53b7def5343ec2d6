//! Joining, and keeping up with the network.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, bail};
use gitpod_gateway::{
    ConfigBundle, EnrollRequest, EnrollmentToken, HostCall, NodeOptions, Wanted, render,
};
use jiff::Timestamp;
use serde_json::Value;
use support::ask::{Answer, Client};

use crate::keep::{Keys, Membership};
use crate::nebula::Nebula;

/// This host, as a member of its network.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) client: Client,
    pub(crate) dir: PathBuf,
    pub(crate) keys: Keys,
    pub(crate) options: NodeOptions,
    pub(crate) nebula: Nebula,
    pub(crate) now: Arc<RwLock<Membership>>,
}

/// Lets the host join with the token in `file`.
pub(crate) async fn join(
    client: &Client,
    dir: &Path,
    keys: Keys,
    file: Option<&Path>,
) -> anyhow::Result<(Keys, Membership)> {
    let Some(file) = file else {
        bail!(
            "this host has not joined yet: write the token of `gateway-server host add` to a file, and name that in tokenFile"
        );
    };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the token in {}", file.display()))?;
    let token = EnrollmentToken::shown(&text);
    let mut keys = keys;
    let mut wait = Duration::from_secs(1);
    loop {
        let request = EnrollRequest::new(&token, &keys.host, &keys.request);
        match client
            .post("/v1/enroll", &serde_json::to_value(&request)?)
            .await
        {
            Ok(answer) if answer.status.is_success() => {
                let bundle: ConfigBundle = serde_json::from_value(answer.value)?;
                let certificate = bundle.certificate.clone();
                let certificate = certificate.context("the server gave no certificate")?;
                let membership = Membership {
                    certificate,
                    bundle,
                };
                membership.store(dir)?;
                tracing::info!(
                    host = membership.bundle.host,
                    network = membership.bundle.network,
                    "joined"
                );
                return Ok((keys, membership));
            }
            Ok(answer) if reason(&answer) == "KEY_BLOCKED" => {
                tracing::warn!("the keys of this host are blocked; it makes new ones");
                keys = Keys::renew(dir)?;
                continue;
            }
            Ok(answer) if !answer.status.is_server_error() => {
                bail!("the server refuses this host: {}", message(&answer))
            }
            Ok(answer) => tracing::warn!(why = message(&answer), ?wait, "cannot join yet"),
            Err(why) => tracing::warn!(why = %format!("{why:#}"), ?wait, "cannot join yet"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(30));
    }
}

impl Member {
    /// Asks again and again what has changed, and for new certificates in time.
    pub(crate) async fn follow(self) {
        loop {
            let (wait, wants) = self.next(Timestamp::now());
            // Apart from each other, so that a thousand hosts do not all ask at once.
            tokio::time::sleep(wait.mul_f64(rand::random_range(0.9..=1.0))).await;
            let wants = match self.next(Timestamp::now()) {
                (_, Wanted::Certificate) => Wanted::Certificate,
                _ => wants,
            };
            if let Err(why) = self.ask(wants).await {
                tracing::warn!(why = %format!("{why:#}"), "the network cannot be kept up with");
            }
        }
    }

    /// How long to wait, and what to ask for then.
    fn next(&self, now: Timestamp) -> (Duration, Wanted) {
        let member = self.now.read().unwrap_or_else(PoisonError::into_inner);
        let left = |end: Timestamp| Duration::try_from(end.duration_since(now)).unwrap_or_default();
        metrics::gauge!("gitpod_gateway_node_certificate_seconds_left")
            .set(left(member.bundle.not_after).as_secs_f64());
        let poll = Duration::from_secs(member.bundle.poll_seconds.max(1));
        match left(member.bundle.renew_after) {
            // A renewal that failed is tried again with the next look.
            due if due.is_zero() => (poll, Wanted::Certificate),
            due if due < poll => (due, Wanted::Certificate),
            _ => (poll, Wanted::Config),
        }
    }

    async fn ask(&self, wants: Wanted) -> anyhow::Result<()> {
        let last = self
            .now
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let host = &last.bundle.host;
        let call = HostCall::new(
            host,
            wants,
            &self.keys.host,
            &self.keys.request,
            Timestamp::now(),
        );
        let answer = self
            .client
            .post("/v1/call", &serde_json::to_value(&call)?)
            .await?;
        if !answer.status.is_success() {
            bail!("the server refuses: {}", message(&answer));
        }
        let bundle: ConfigBundle = serde_json::from_value(answer.value)?;
        if bundle.revision < last.bundle.revision {
            bail!(
                "the server tells of an older network than before (revision {} after {}): nothing is taken over",
                bundle.revision,
                last.bundle.revision
            );
        }
        let certificate = bundle
            .certificate
            .clone()
            .unwrap_or_else(|| last.certificate.clone());
        let next = Membership {
            certificate,
            bundle,
        };
        let (before, after) = (self.rendered(&last), self.rendered(&next));
        if before != after {
            self.nebula.configure(&after).await?;
            let certificate = last.certificate != next.certificate;
            tracing::info!(
                revision = next.bundle.revision,
                certificate,
                "took over what has changed"
            );
        }
        next.store(&self.dir)?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// What nebula is to read.
    pub(crate) fn rendered(&self, membership: &Membership) -> Value {
        render(
            &membership.bundle,
            &membership.certificate,
            &self.keys.host,
            &self.options,
        )
    }
}

fn reason(answer: &Answer) -> &str {
    let reason = answer.value.pointer("/error/reason");
    reason.and_then(Value::as_str).unwrap_or_default()
}

fn message(answer: &Answer) -> String {
    let message = answer
        .value
        .pointer("/error/message")
        .and_then(Value::as_str);
    message.map_or_else(|| answer.status.to_string(), str::to_owned)
}
