//! Keeping up with the network.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::bail;
use gitpod_gateway::{ConfigBundle, HostCall, NodeOptions, Wanted, render};
use jiff::Timestamp;
use serde_json::Value;
use support::ask::Client;

use crate::join::{Joined, join_once, message, read_token, reason};
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
    /// Where the operator writes tokens.
    pub(crate) token_file: Option<PathBuf>,
    /// Hash of the last token that was of no use.
    pub(crate) refused: String,
    pub(crate) now: Arc<RwLock<Membership>>,
}

impl Member {
    /// Asks again and again what has changed, and for new certificates in time.
    pub(crate) async fn follow(mut self) {
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

    async fn ask(&mut self, wants: Wanted) -> anyhow::Result<()> {
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
            if matches!(reason(&answer), "BAD_SIGNATURE" | "HOST_BLOCKED") {
                self.join_anew(&last).await?;
            }
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
        let certificate = bundle.certificate.clone();
        let next = Membership {
            certificate: certificate.unwrap_or_else(|| last.certificate.clone()),
            bundle,
            joined_with: last.joined_with.clone(),
        };
        self.take_over(&last, next).await
    }

    /// A host that is blocked, or was forgotten, tries a token that it has not tried yet.
    async fn join_anew(&mut self, last: &Membership) -> anyhow::Result<()> {
        let token = self.token_file.as_deref().map(read_token).transpose()?;
        let tried = [last.joined_with.clone(), self.refused.clone()];
        let Some(token) = token.filter(|token| !tried.contains(&token.hash())) else {
            return Ok(());
        };
        self.keys = Keys::renew(&self.dir)?;
        match join_once(&self.client, &self.keys, &token).await {
            Ok(Joined::Member(next)) => self.take_over(last, *next).await,
            Ok(Joined::NotYet(why)) => bail!("cannot join anew yet: {why}"),
            Ok(Joined::KeysBlocked) => Ok(()), // new ones are made the next time
            Err(why) => {
                self.refused = token.hash();
                Err(why)
            }
        }
    }

    async fn take_over(&self, last: &Membership, next: Membership) -> anyhow::Result<()> {
        let (before, after) = (self.rendered(last), self.rendered(&next));
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
