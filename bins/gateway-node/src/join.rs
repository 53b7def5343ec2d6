//! Joining.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use gitpod_gateway::{ConfigBundle, EnrollRequest, EnrollmentToken};
use serde_json::Value;
use support::ask::{Answer, Client};

use crate::keep::{Keys, Membership};

/// What came of a try.
pub(crate) enum Joined {
    /// The host is a member.
    Member(Box<Membership>),
    /// Trying again may help; with what the server said.
    NotYet(String),
    /// With other keys it might be.
    KeysBlocked,
}

/// Lets the host join with the token in `file`, however long the server is away.
pub(crate) async fn join(
    client: &Client,
    dir: &Path,
    mut keys: Keys,
    file: Option<&Path>,
) -> anyhow::Result<(Keys, Membership)> {
    let Some(file) = file else {
        bail!(
            "this host has not joined yet: write the token of `gateway-server host add` to a file, and name \
             that in tokenFile"
        );
    };
    let token = read_token(file)?;
    let mut wait = FIRST_WAIT;
    loop {
        match join_once(client, &keys, &token).await? {
            Joined::Member(membership) => {
                membership.store(dir)?;
                return Ok((keys, *membership));
            }
            Joined::NotYet(why) => tracing::warn!(why, ?wait, "cannot join yet"),
            Joined::KeysBlocked => {
                tracing::warn!("the keys of this host are blocked; it makes new ones");
                keys = Keys::renew(dir)?;
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// One try. An error is the server's last word.
pub(crate) async fn join_once(
    client: &Client,
    keys: &Keys,
    token: &EnrollmentToken,
) -> anyhow::Result<Joined> {
    let request = EnrollRequest::new(token, &keys.host, &keys.request);
    let request = serde_json::to_value(&request)?;
    let answer = match client.post("/v1/enroll", &request).await {
        Ok(answer) => answer,
        Err(why) => return Ok(Joined::NotYet(format!("{why:#}"))),
    };
    if reason(&answer) == "KEY_BLOCKED" {
        return Ok(Joined::KeysBlocked);
    }
    if answer.status.is_server_error() {
        return Ok(Joined::NotYet(message(&answer)));
    }
    if !answer.status.is_success() {
        bail!("the server refuses this host: {}", message(&answer));
    }
    let bundle: ConfigBundle = serde_json::from_value(answer.value)?;
    let certificate = bundle.certificate.clone();
    let certificate = certificate.context("the server gave no certificate")?;
    tracing::info!(host = bundle.host, network = bundle.network, "joined");
    Ok(Joined::Member(Box::new(Membership {
        certificate,
        bundle,
        joined_with: token.hash(),
    })))
}

pub(crate) fn read_token(file: &Path) -> anyhow::Result<EnrollmentToken> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the token in {}", file.display()))?;
    Ok(EnrollmentToken::shown(&text))
}

/// What the server said, for programs.
pub(crate) fn reason(answer: &Answer) -> &str {
    let reason = answer.value.pointer("/error/reason");
    reason.and_then(Value::as_str).unwrap_or_default()
}

/// What the server said, for people.
pub(crate) fn message(answer: &Answer) -> String {
    let message = answer
        .value
        .pointer("/error/message")
        .and_then(Value::as_str);
    message.map_or_else(|| answer.status.to_string(), str::to_owned)
}
