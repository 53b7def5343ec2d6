//! Tells a known user why her workspace does not answer.

use gitpod_routing::RunState;
use russh::ChannelMsg;
use tokio::sync::mpsc;

use super::pipe::{ClientEnd, STDERR};
use super::session::Session;
use crate::upstream::UpstreamError;

/// Why the workspace of `session` cannot be reached now, as far as that is known
/// without trying.
pub(crate) fn why_not(session: &Session) -> Option<String> {
    if let Some(why) = session.hold.failure() {
        return Some(why.to_owned());
    }
    let info = session.proof()?.info();
    let (id, command) = (&info.id, &session.shared.start_command);
    match info.state {
        RunState::Running => None,
        RunState::Starting => Some(format!("workspace {id} is starting; try again in a moment")),
        RunState::Stopping => Some(format!(
            "workspace {id} is stopping; once it has stopped, start it with: {command} {id}"
        )),
        _ => Some(format!(
            "workspace {id} is stopped; start it with: {command} {id}"
        )),
    }
}

/// That trying did not help.
pub(crate) fn unreachable(session: &Session, why: &UpstreamError) -> String {
    let id = session.login().map(|login| &login.proof.info().id);
    match id {
        Some(id) => format!("workspace {id} cannot be entered: {why}; try again in a moment"),
        None => why.to_string(),
    }
}

/// Runs instead of a program: says `text` on its standard error, and fails.
pub(crate) async fn explain(
    client: ClientEnd,
    replies: Option<mpsc::UnboundedSender<bool>>,
    text: &str,
) {
    let ClientEnd {
        from: mut from_client,
        to: to_client,
        mut waiting,
    } = client;
    let reply = |success| replies.as_ref().is_some_and(|to| to.send(success).is_ok());
    let mut end_of_line = "\n";
    while let Some(message) = waiting.next(&mut from_client).await {
        let started = match message {
            ChannelMsg::RequestPty { .. } => {
                end_of_line = "\r\n";
                reply(true);
                false
            }
            ChannelMsg::RequestShell { .. }
            | ChannelMsg::Exec { .. }
            | ChannelMsg::RequestSubsystem { .. } => reply(true),
            ChannelMsg::AgentForward { .. } | ChannelMsg::RequestX11 { .. } => {
                reply(false);
                false
            }
            ChannelMsg::Close => return,
            _ => false,
        };
        if started {
            break;
        }
    }
    let line = format!("{text}{end_of_line}");
    drop(to_client.extended_data_bytes(STDERR, line).await);
    drop(to_client.exit_status(1).await);
    drop(to_client.eof().await);
    drop(to_client.close().await);
}
