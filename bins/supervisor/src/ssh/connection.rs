use std::collections::HashMap;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::Certificate;
use russh::server::{Auth, ChannelOpenHandle, Handle, Handler, Msg, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, Pty, Sig};
use tempfile::TempDir;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::MOST_CHANNELS;
use super::command::Wanted;
use super::dial::{self, Target};
use super::flow::{Flow, Word};
use super::listen::{Asked, Listeners};
use super::output::Output;
use super::session::{Refused, Session};
use super::terminal::Size;
use super::trust::{NotTrusted, Rights, Trust};
use crate::workspace::Workspace;

/// One client.
#[derive(Debug)]
pub(super) struct Connection {
    workspace: Arc<Workspace>,
    trust: Arc<Trust>,
    rights: watch::Sender<Option<Rights>>,
    flow: Arc<Flow>,
    /// For channels; a session keeps its own.
    places: Arc<Semaphore>,
    sessions: HashMap<ChannelId, (Session, OwnedSemaphorePermit)>,
    listeners: Option<Listeners>,
    agent: Option<Agent>,
}

/// Where programs find the client's agent. It goes with the connection.
#[derive(Debug)]
struct Agent {
    socket: PathBuf,
    _dir: TempDir,
}

type Done = Result<(), russh::Error>;
type Client = russh::server::Session;

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
            flow: Arc::default(),
            places: Arc::new(Semaphore::new(MOST_CHANNELS)),
            sessions: HashMap::new(),
            listeners: None,
            agent: None,
        }
    }

    fn decide(&self, trusted: Result<Rights, NotTrusted>) -> Auth {
        match trusted {
            Ok(rights) => {
                self.rights.send_replace(Some(rights));
                Auth::Accept
            }
            Err(why) => {
                tracing::info!(%why, "an SSH client is refused");
                Auth::reject()
            }
        }
    }

    fn may(&self, what: impl Fn(Rights) -> bool) -> Result<(), Refused> {
        match self.rights.borrow().is_some_and(what) {
            true => Ok(()),
            false => Err(Refused),
        }
    }

    /// Asks a session for something, and tells the client what came of it.
    fn ask(
        &mut self,
        id: ChannelId,
        client: &mut Client,
        request: impl FnOnce(&mut Session, &Workspace) -> Result<(), Refused>,
    ) -> Done {
        let session = self.sessions.get_mut(&id);
        let granted = session.map_or(Err(Refused), |(session, _)| {
            request(session, &self.workspace)
        });
        match granted {
            Ok(()) => client.channel_success(id),
            Err(Refused) => client.channel_failure(id),
        }
    }

    /// A place for another channel. Sessions that are over make room.
    fn place(&mut self) -> Option<OwnedSemaphorePermit> {
        self.sessions.retain(|_, (session, _)| !session.is_over());
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Leads a new channel to `target`, once that is known to be there.
    async fn dial(
        &mut self,
        target: Option<Target>,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
    ) {
        let allowed = self.may(|rights| rights.forward_ports);
        let (Ok(()), Some(target)) = (allowed, target) else {
            reply
                .reject(ChannelOpenFailure::AdministrativelyProhibited)
                .await;
            return;
        };
        let Some(place) = self.place() else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return;
        };
        let (workspace, flow) = (Arc::clone(&self.workspace), Arc::clone(&self.flow));
        tokio::spawn(async move {
            let content = &workspace.config.content_dir;
            dial::open(target, content, channel, reply, flow, place).await;
        });
    }

    fn listeners(&mut self, handle: Handle) -> &mut Listeners {
        let (flow, places) = (&self.flow, &self.places);
        self.listeners
            .get_or_insert_with(|| Listeners::new(handle, Arc::clone(flow), Arc::clone(places)))
    }

    /// Where the client's agent is found; it is put there if it is not.
    fn agent(&mut self, handle: Handle) -> io::Result<PathBuf> {
        if let Some(agent) = &self.agent {
            return Ok(agent.socket.clone());
        }
        let dir = tempfile::Builder::new()
            .prefix("ssh-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()?;
        let socket = dir.path().join("agent");
        self.listeners(handle).unix(Asked::Agent, &socket)?;
        let agent = Agent {
            socket: socket.clone(),
            _dir: dir,
        };
        self.agent = Some(agent);
        Ok(socket)
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
        client: &mut Client,
    ) -> Done {
        let Some(place) = self.place() else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        let id = channel.id();
        // What comes in is taken from `data` below: nobody is to wait for a channel that is not read.
        let (_, output) = channel.split();
        let flow = Arc::clone(&self.flow);
        let output = Output::new(output, &flow);
        let session = Session::new(output, client.handle(), flow);
        self.sessions.insert(id, (session, place));
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Client,
    ) -> Done {
        let port = u16::try_from(port).ok().filter(|port| *port != 0);
        let target = port.map(|port| Target::Tcp(host.to_owned(), port));
        self.dial(target, channel, reply).await;
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _: &mut Client,
    ) -> Done {
        let target = Some(Target::Unix(path.to_owned()));
        self.dial(target, channel, reply).await;
        Ok(())
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], _: &mut Client) -> Done {
        if let Some((session, _)) = self.sessions.get(&id) {
            session.receive(data);
        }
        self.flow.pace(id, data.len()).await;
        Ok(())
    }

    fn adjust_window(&mut self, id: ChannelId, target: u32) -> u32 {
        self.flow.next_target(id, target)
    }

    async fn channel_eof(&mut self, id: ChannelId, _: &mut Client) -> Done {
        if let Some((session, _)) = self.sessions.get_mut(&id) {
            session.end_of_input();
        }
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Client) -> Done {
        self.sessions.remove(&id);
        self.flow.obey(id, Word::Go); // there will be another of this number
        Ok(())
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        client: &mut Client,
    ) -> Done {
        self.ask(id, client, |it, _| it.set_variable(name, value))
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
        client: &mut Client,
    ) -> Done {
        let size = Size {
            columns,
            rows,
            width,
            height,
        };
        let may = self.may(|rights| rights.terminal);
        self.ask(id, client, |it, _| {
            may.and_then(|()| it.open_terminal(term, size, modes))
        })
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        client: &mut Client,
    ) -> Done {
        let size = Size {
            columns,
            rows,
            width,
            height,
        };
        self.ask(id, client, |it, _| it.resize(size))
    }

    async fn agent_request(
        &mut self,
        id: ChannelId,
        client: &mut Client,
    ) -> Result<bool, Self::Error> {
        if self.may(|rights| rights.forward_agent).is_err() {
            return Ok(false);
        }
        let socket = self.agent(client.handle()).map_err(Refused::from);
        let session = self.sessions.get_mut(&id).ok_or(Refused);
        Ok(socket
            .and_then(|socket| session?.0.use_agent(&socket))
            .is_ok())
    }

    /// Nobody has windows to show in a workspace; a request without an answer would take that of the next.
    async fn x11_request(
        &mut self,
        id: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        client: &mut Client,
    ) -> Done {
        client.channel_failure(id)
    }

    async fn shell_request(&mut self, id: ChannelId, client: &mut Client) -> Done {
        self.ask(id, client, |it, workspace| {
            it.start(workspace, &Wanted::Shell)
        })
    }

    async fn exec_request(&mut self, id: ChannelId, line: &[u8], client: &mut Client) -> Done {
        let wanted = Wanted::Command(line.to_vec());
        self.ask(id, client, |it, workspace| it.start(workspace, &wanted))
    }

    async fn subsystem_request(&mut self, id: ChannelId, name: &str, client: &mut Client) -> Done {
        self.ask(id, client, |it, workspace| match name {
            "sftp" => it.start(workspace, &Wanted::Sftp),
            _ => Err(Refused),
        })
    }

    async fn signal(&mut self, id: ChannelId, signal: Sig, client: &mut Client) -> Done {
        if let Some(word) = Word::of(&signal) {
            self.flow.obey(id, word);
            return client.channel_success(id);
        }
        self.ask(id, client, |it, _| it.signal(&signal))
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        client: &mut Client,
    ) -> Result<bool, Self::Error> {
        let wanted = u16::try_from(*port);
        let (Ok(()), Ok(wanted)) = (self.may(|rights| rights.forward_ports), wanted) else {
            return Ok(false);
        };
        let listening = self.listeners(client.handle()).tcp(address, wanted).await;
        if let Ok(chosen) = &listening {
            *port = u32::from(*chosen);
        }
        Ok(listening.map_err(Refused::from).is_ok())
    }

    async fn cancel_tcpip_forward(
        &mut self,
        address: &str,
        port: u32,
        _: &mut Client,
    ) -> Result<bool, Self::Error> {
        let asked = u16::try_from(port).map(|port| Asked::Tcp(address.to_owned(), port));
        let listeners = self.listeners.as_mut();
        Ok(asked.is_ok_and(|asked| listeners.is_some_and(|it| it.cancel(&asked))))
    }

    async fn streamlocal_forward(
        &mut self,
        path: &str,
        client: &mut Client,
    ) -> Result<bool, Self::Error> {
        if self.may(|rights| rights.forward_ports).is_err() {
            return Ok(false);
        }
        let file = self.workspace.config.content_dir.join(path);
        let listeners = self.listeners(client.handle());
        let listening = listeners.unix(Asked::Unix(path.to_owned()), &file);
        Ok(listening.map_err(Refused::from).is_ok())
    }

    async fn cancel_streamlocal_forward(
        &mut self,
        path: &str,
        _: &mut Client,
    ) -> Result<bool, Self::Error> {
        let asked = Asked::Unix(path.to_owned());
        let listeners = self.listeners.as_mut();
        Ok(listeners.is_some_and(|it| it.cancel(&asked)))
    }
}
