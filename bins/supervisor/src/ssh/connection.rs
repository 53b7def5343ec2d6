use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::Certificate;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, Pty, Sig};
use tokio::sync::watch;

use super::command::Wanted;
use super::output::Output;
use super::session::{Refused, Session};
use super::terminal::Size;
use super::trust::{NotTrusted, Rights, Trust};
use super::{MOST_CHANNELS, MOST_SESSIONS};
use crate::workspace::Workspace;

/// One client.
#[derive(Debug)]
pub(super) struct Connection {
    workspace: Arc<Workspace>,
    trust: Arc<Trust>,
    rights: watch::Sender<Option<Rights>>,
    channels: HashMap<ChannelId, Session>,
}

type Done = Result<(), russh::Error>;

impl Connection {
    /// `rights` tells when the client has logged in.
    pub(super) fn new(
        workspace: Arc<Workspace>,
        trust: Arc<Trust>,
        rights: watch::Sender<Option<Rights>>,
    ) -> Self {
        Self {
            workspace,
            trust,
            rights,
            channels: HashMap::new(),
        }
    }

    fn decide(&self, trusted: Result<Rights, NotTrusted>) -> Auth {
        match trusted {
            Ok(rights) => {
                self.rights.send_replace(Some(rights));
                Auth::Accept
            }
            Err(why) => {
                tracing::warn!(%why, "an SSH client is refused");
                Auth::reject()
            }
        }
    }

    fn may(&self, what: impl Fn(Rights) -> bool) -> bool {
        self.rights.borrow().is_some_and(what)
    }

    fn with_session(
        &mut self,
        id: ChannelId,
        session: &mut russh::server::Session,
        request: impl FnOnce(&mut Session) -> Result<(), Refused>,
    ) -> Done {
        let granted = self.channels.get_mut(&id).map_or(Err(Refused), request);
        match granted {
            Ok(()) => session.channel_success(id),
            Err(Refused) => session.channel_failure(id),
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.decide(self.trust.key(user, key.public_key)))
    }

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        certificate: &Certificate,
    ) -> Result<Auth, Self::Error> {
        Ok(self.decide(self.trust.certificate(user, certificate, now())))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut russh::server::Session,
    ) -> Done {
        if self.channels.len() >= MOST_SESSIONS.min(MOST_CHANNELS) {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        let id = channel.id();
        // What comes in is taken from `data` below: nobody is to wait for a channel that is not read.
        let (_, output) = channel.split();
        let output = Output::new(output, session.handle());
        let new = Session::new(Arc::clone(&self.workspace), output);
        self.channels.insert(id, new);
        reply.accept().await;
        Ok(())
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], _: &mut russh::server::Session) -> Done {
        if let Some(input) = self.channels.get(&id).and_then(Session::input) {
            input.push(data);
            input.room().await;
        }
        Ok(())
    }

    async fn channel_eof(&mut self, id: ChannelId, _: &mut russh::server::Session) -> Done {
        if let Some(session) = self.channels.get_mut(&id) {
            session.end_of_input();
        }
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut russh::server::Session) -> Done {
        self.channels.remove(&id);
        Ok(())
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        session: &mut russh::server::Session,
    ) -> Done {
        self.with_session(id, session, |it| it.set_variable(name, value))
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        modes: &[(Pty, u32)],
        session: &mut russh::server::Session,
    ) -> Done {
        let size = Size {
            columns,
            rows,
            width,
            height,
        };
        let may = self.may(|rights| rights.terminal);
        self.with_session(id, session, |it| match may {
            true => it.open_terminal(term, size, modes),
            false => Err(Refused),
        })
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        session: &mut russh::server::Session,
    ) -> Done {
        let size = Size {
            columns,
            rows,
            width,
            height,
        };
        self.with_session(id, session, |it| it.resize(size))
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut russh::server::Session) -> Done {
        self.with_session(id, session, |it| it.start(&Wanted::Shell))
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        line: &[u8],
        session: &mut russh::server::Session,
    ) -> Done {
        let wanted = Wanted::Command(line.to_vec());
        self.with_session(id, session, |it| it.start(&wanted))
    }

    async fn signal(
        &mut self,
        id: ChannelId,
        signal: Sig,
        session: &mut russh::server::Session,
    ) -> Done {
        self.with_session(id, session, |it| {
            it.signal(&signal);
            Ok(())
        })
    }
}
