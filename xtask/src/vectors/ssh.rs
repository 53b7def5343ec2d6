//! Cases of gitpod-sshgw.

#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value that lacks a key gives null, and does not panic"
)]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gitpod_routing::{Admission, MemoryProvider, OwnerToken, RunState, WorkspaceInfo};
use gitpod_sshgw::{
    Accepted, AuthAttempts, Authenticate, Authenticated, Credential, LoginParts, NameForm,
    OwnerAuthenticator, Refusal, Reply, Rules, SessionTarget, SignedKey, preferred_host_key,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::outcome::Outcome;

/// Replays one case; `None` if its group is not supported yet.
pub(crate) fn replay(group: &str, fixtures: &Value, case: &Value) -> Option<Outcome> {
    let input = &case["input"];
    let got = match group {
        "ssh-username" => split(input),
        "host-key-choice" => choose(input),
        "ssh-auth" => log_in(fixtures, input),
        _ => return None,
    };
    Some(match got {
        Ok(got) => compare(&case["expect"], &got),
        Err(why) => Outcome::Skipped(why),
    })
}

/// The parts of `expect` that the case names.
fn compare(expect: &Value, got: &Value) -> Outcome {
    let names = expect.as_object().map(Map::keys).into_iter().flatten();
    let got: Value = names
        .map(|name| (name.clone(), got[name].clone()))
        .collect::<Map<_, _>>()
        .into();
    match got == *expect {
        true => Outcome::Same,
        false => Outcome::Differs {
            expected: expect.clone(),
            got,
        },
    }
}

fn split(input: &Value) -> Result<Value, String> {
    let name = text(input, "username")?;
    let none = LoginParts::split(name, NameForm::MayCarryToken);
    let others = LoginParts::split(name, NameForm::IdOnly);
    Ok(json!({
        "none_method": {
            "workspace_id": none.workspace,
            "debug": none.target == SessionTarget::Debug,
            "owner_token": none.token,
            "login_form": none.token.is_some(),
        },
        "other_methods": {
            "workspace_id": others.workspace,
            "debug": others.target == SessionTarget::Debug,
        },
    }))
}

fn choose(input: &Value) -> Result<Value, String> {
    let types = input["host_key_types_in_order"].as_array();
    let types = types.ok_or("input has no `host_key_types_in_order`")?;
    let types: Vec<&str> = types.iter().filter_map(Value::as_str).collect();
    Ok(json!({ "chosen_index": preferred_host_key(&types) }))
}

fn log_in(fixtures: &Value, input: &Value) -> Result<Value, String> {
    let known = ["username", "attempts", "workspaces"];
    let keys = input.as_object().map(Map::keys).into_iter().flatten();
    if let Some(unknown) = keys.map(String::as_str).find(|key| !known.contains(key)) {
        return Err(format!("`{unknown}` of the input is not known here"));
    }
    let gate = gate(fixtures, input)?;
    let (mut attempts, mut replies, mut session) = (AuthAttempts::new(), Vec::new(), None);
    for attempt in input["attempts"].as_array().into_iter().flatten() {
        let name = match attempt["username"].as_str() {
            Some(another) => another, // a client may change it between requests
            None => text(input, "username")?,
        };
        let (reply, entered) = try_once(&gate, &mut attempts, name, attempt)?;
        replies.push(reply.to_string());
        session = entered;
        if reply.ends() {
            break;
        }
    }
    Ok(result_of(&replies, session.as_ref(), &attempts))
}

fn try_once(
    gate: &Authenticate,
    attempts: &mut AuthAttempts,
    name: &str,
    attempt: &Value,
) -> Result<(Reply, Option<Authenticated>), String> {
    let key = attempt["key"].as_str().map(public_key).unwrap_or_default();
    let credential = match text(attempt, "method")? {
        "none" => Credential::None,
        "password" => Credential::Password(text(attempt, "password")?.as_bytes()),
        "publickey-query" => Credential::OfferedKey(&key),
        "publickey" => Credential::SignedKey(SignedKey::verified(&key)),
        "hostbased" | "keyboard-interactive" | "gssapi-with-mic" => {
            return Ok((attempts.answer_unknown_method(), None));
        }
        other => return Err(format!("method `{other}` is not known here")),
    };
    let result = ready(gate.attempt(name, credential))?;
    Ok((attempts.answer(&credential, &result), entered(result)))
}

fn entered(result: Result<Accepted, Refusal>) -> Option<Authenticated> {
    match result {
        Ok(Accepted::LoggedIn(session)) => Some(session),
        _ => None,
    }
}

fn result_of(
    replies: &[String],
    session: Option<&Authenticated>,
    attempts: &AuthAttempts,
) -> Value {
    let metric = match session {
        Some(_) => json!("authenticated (outcome decided by the workspace connection)"),
        None => json!({ "status": "failed", "error_type": attempts.code().as_str() }),
    };
    let session = session.map(|session| {
        json!({
            "workspace_id": session.info().id.as_str(),
            "debug": session.target() == SessionTarget::Debug,
        })
    });
    json!({ "replies": replies, "attempt_metric": metric, "session": session })
}

fn gate(fixtures: &Value, input: &Value) -> Result<Authenticate, String> {
    let provider = MemoryProvider::new();
    for name in input["workspaces"].as_array().into_iter().flatten() {
        let name = name.as_str().ok_or("a name in `workspaces` is no text")?;
        provider.insert(workspace(&fixtures["fixtures"]["workspaces"][name])?);
    }
    Ok(
        Authenticate::new(Arc::new(provider), Arc::new(OwnerAuthenticator::new()))
            .with_rules(Rules::Reference),
    )
}

fn workspace(fixture: &Value) -> Result<WorkspaceInfo, String> {
    let unusable = |_| format!("workspace {} has an unusable id", fixture["workspace_id"]);
    let id = text(fixture, "workspace_id")?.parse().map_err(unusable)?;
    let instance = text(fixture, "instance_id")?.parse().map_err(unusable)?;
    let mut info = WorkspaceInfo::new(id, instance, OwnerToken::new(text(fixture, "owner_token")?));
    if fixture["running"] != json!(false) {
        info.state = RunState::Running;
    }
    if fixture["admission"] == "everyone" {
        info.admission = Admission::Everyone;
    }
    let lines = fixture["ssh_keys"].as_array().into_iter().flatten();
    info.ssh_public_keys = lines.filter_map(Value::as_str).map(line).collect();
    Ok(info)
}

/// `key:NAME` stands for the line of a key; other text is the line itself.
fn line(text: &str) -> Arc<str> {
    match text.strip_prefix("key:") {
        Some(name) => format!("ssh-ed25519 {}", STANDARD.encode(public_key(name))).into(),
        None => text.into(),
    }
}

/// The key whose seed is the hash of its name, in its SSH encoding.
fn public_key(name: &str) -> Vec<u8> {
    let seed = Sha256::digest(name).into();
    let key = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
    [&b"\0\0\0\x0bssh-ed25519\0\0\0\x20"[..], key.as_bytes()].concat()
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    let text = value[key].as_str();
    text.ok_or_else(|| format!("`{key}` is missing, or no text"))
}

/// What a future gives that awaits nothing.
fn ready<T>(future: impl Future<Output = T>) -> Result<T, String> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err("a provider in memory made us wait".to_owned()),
    }
}
