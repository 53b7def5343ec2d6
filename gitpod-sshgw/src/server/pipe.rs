//! One channel of the client, and its twin in the workspace.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig, client, server};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::flow::Flow;
use super::session::{CLIENT_ADDRESS, Phase, Session};
use super::waiting::{Stuck, Waiting};
use crate::policy::ChannelAsk;
use crate::upstream::Upstream;

/// Sends on what comes from either side, in the order in which it comes, until one
/// side closes its channel.
pub(crate) async fn pipe(
    session: &Arc<Session>,
    client: ClientEnd,
    (workspace, workspace_flow): (Channel<client::Msg>, Arc<Flow>),
    replies: Option<mpsc::UnboundedSender<bool>>,
) {
    let ClientEnd {
        from: from_client,
        to: to_client,
        waiting,
    } = client;
    let (from_workspace, to_workspace) = workspace.split();
    let ends = Ends {
        session,
        to_client,
        to_workspace,
        workspace_flow,
        replies,
        awaited: AtomicUsize::new(0),
        has_terminal: AtomicUsize::new(0),
    };
    if ends.replies.is_some() {
        drop(ends.tell_where_the_client_is().await); // who is gone need not be told
    }
    let (told, full) = mpsc::unbounded_channel();
    tokio::select! {
        () = ends.upwards(from_client, waiting) => {}
        () = ends.downwards(from_workspace, told) => {}
        () = ends.hold_back(full) => {}
        () = ends.tell_of_shutdown() => {}
    }
    // Who has closed already ignores this, and so does who is gone.
    drop(ends.to_workspace.close().await);
    drop(ends.to_client.close().await);
}

/// The client's end of a channel, and what came from there that was not sent on.
#[derive(Debug)]
pub(crate) struct ClientEnd {
    pub(crate) from: ChannelReadHalf,
    pub(crate) to: ChannelWriteHalf<server::Msg>,
    pub(crate) waiting: Waiting,
}

impl ClientEnd {
    pub(crate) fn new(session: &Session, channel: Channel<server::Msg>) -> Self {
        let (from, to) = channel.split();
        let pool = session.shared.pool.clone();
        let waiting = Waiting::new(Arc::clone(&session.flow), to.id(), pool);
        Self { from, to, waiting }
    }

    /// Runs `work`, and keeps what the client says meanwhile.
    pub(crate) async fn meanwhile<T>(
        &mut self,
        session: &Session,
        work: impl Future<Output = T>,
    ) -> Result<T, Stuck> {
        self.waiting.meanwhile(work, &mut self.from, session).await
    }
}

/// Both ends of a pipe, to write to.
struct Ends<'a> {
    session: &'a Arc<Session>,
    to_client: ChannelWriteHalf<server::Msg>,
    to_workspace: ChannelWriteHalf<client::Msg>,
    workspace_flow: Arc<Flow>,
    /// Where the answers to requests are waited for, in the order of requests.
    replies: Option<mpsc::UnboundedSender<bool>>,
    /// Requests that the workspace has not answered. It may not answer others.
    awaited: AtomicUsize,
    has_terminal: AtomicUsize,
}

impl Ends<'_> {
    /// For `SSH_CLIENT` of the program to come; a server that knows nothing of it ignores it.
    async fn tell_where_the_client_is(&self) -> Sent {
        let peer = self.session.peer;
        let address = format!("{} {}", peer.ip().to_canonical(), peer.port());
        self.to_workspace
            .set_env(false, CLIENT_ADDRESS, address)
            .await
    }

    /// Until the client closes its channel, or is gone.
    async fn upwards(&self, mut from_client: ChannelReadHalf, mut waiting: Waiting) {
        let mut program = Program::NotYet;
        while let Some(message) = waiting.next(&mut from_client).await {
            if matches!(message, ChannelMsg::Close) {
                return;
            }
            let sending = self.send_up(message, &mut program);
            let sent = waiting.meanwhile(sending, &mut from_client, self.session);
            if !matches!(sent.await, Ok(Ok(()))) {
                return;
            }
        }
    }

    async fn send_up(&self, message: ChannelMsg, program: &mut Program) -> Sent {
        match message {
            ChannelMsg::Data { data } => {
                self.session.traffic.went_up(data.len());
                self.to_workspace.data_bytes(data).await
            }
            ChannelMsg::ExtendedData { data, ext } => {
                self.session.traffic.went_up(data.len());
                self.to_workspace.extended_data_bytes(ext, data).await
            }
            ChannelMsg::Eof => self.to_workspace.eof().await,
            // Boxed: there are few, and every channel would have room for one.
            request => Box::pin(self.request(request, program)).await,
        }
    }

    async fn request(&self, request: ChannelMsg, program: &mut Program) -> Sent {
        let to = &self.to_workspace;
        match request {
            ChannelMsg::WindowChange {
                col_width,
                row_height,
                pix_width,
                pix_height,
            } => {
                to.window_change(col_width, row_height, pix_width, pix_height)
                    .await
            }
            ChannelMsg::Signal { signal } => to.signal(signal).await,
            ChannelMsg::SetEnv {
                variable_name,
                variable_value,
                ..
            } => match self.session.allows(&ChannelAsk::Variable(&variable_name)) {
                true => to.set_env(false, variable_name, variable_value).await,
                false => Ok(()),
            },
            _ if *program == Program::Started => Ok(()),
            request => self.set_up(request, program).await,
        }
    }

    /// What must be asked before a program runs, and is answered.
    async fn set_up(&self, request: ChannelMsg, program: &mut Program) -> Sent {
        match asks_for(&request) {
            None => return Ok(()), // no request
            Some(ask) if !self.session.allows(&ask) => {
                self.reply(false);
                return Ok(());
            }
            Some(_) => {}
        }
        self.awaited.fetch_add(1, Ordering::Relaxed);
        let to = &self.to_workspace;
        match request {
            ChannelMsg::RequestPty {
                term,
                col_width: columns,
                row_height: rows,
                pix_width: width,
                pix_height: height,
                terminal_modes,
                ..
            } => {
                self.has_terminal.store(1, Ordering::Relaxed);
                to.request_pty(true, &term, columns, rows, width, height, &terminal_modes)
                    .await
            }
            ChannelMsg::AgentForward { .. } => {
                self.session.forwards.lend_agent();
                to.agent_forward(true).await
            }
            ChannelMsg::RequestX11 {
                single_connection,
                x11_authentication_protocol: protocol,
                x11_authentication_cookie: cookie,
                x11_screen_number: screen,
                ..
            } => {
                self.session.forwards.lend_display();
                to.request_x11(true, single_connection, protocol, cookie, screen)
                    .await
            }
            ChannelMsg::RequestShell { .. } => {
                *program = Program::Started;
                to.request_shell(true).await
            }
            ChannelMsg::Exec { command, .. } => {
                *program = Program::Started;
                to.exec(true, command).await
            }
            ChannelMsg::RequestSubsystem { name, .. } => {
                *program = Program::Started;
                to.request_subsystem(true, name).await
            }
            _ => Ok(()),
        }
    }

    /// Until the workspace closes its channel, or is gone.
    async fn downwards(
        &self,
        mut from_workspace: ChannelReadHalf,
        told: mpsc::UnboundedSender<bool>,
    ) {
        let flow = Arc::clone(&self.workspace_flow);
        let pool = self.session.shared.pool.clone();
        let mut waiting = Waiting::new(flow, self.to_workspace.id(), pool);
        if self.workspace_flow.has_holds() {
            waiting.tell(told);
        }
        while let Some(message) = waiting.next(&mut from_workspace).await {
            if matches!(message, ChannelMsg::Close) {
                return;
            }
            let sending = self.send_down(message);
            let sent = waiting.meanwhile(sending, &mut from_workspace, self.session);
            if !matches!(sent.await, Ok(Ok(()))) {
                return;
            }
        }
        // The workspace's server is gone. Whoever knows why shall say so first.
        self.session.nudge.notify_one();
        sleep(WORD).await;
    }

    /// Tells the workspace to say no more in this channel, while it is `full`. Never returns.
    async fn hold_back(&self, mut full: mpsc::UnboundedReceiver<bool>) {
        while let Some(is_full) = full.recv().await {
            let word = if is_full {
                Upstream::HOLD
            } else {
                Upstream::GO
            };
            let signal = Sig::Custom(word.to_owned());
            drop(self.to_workspace.signal(signal).await); // who is gone says no more either
        }
        std::future::pending().await
    }

    async fn send_down(&self, message: ChannelMsg) -> Sent {
        match message {
            ChannelMsg::Data { data } => {
                self.session.traffic.went_down(data.len());
                self.to_client.data_bytes(data).await
            }
            ChannelMsg::ExtendedData { data, ext } => {
                self.session.traffic.went_down(data.len());
                self.to_client.extended_data_bytes(ext, data).await
            }
            ChannelMsg::Eof => self.to_client.eof().await,
            ChannelMsg::ExitStatus { exit_status } => self.to_client.exit_status(exit_status).await,
            ChannelMsg::Success => self.answered(true),
            ChannelMsg::Failure => self.answered(false),
            other => Box::pin(self.tell_client(other)).await,
        }
    }

    /// What a channel's writing half does not say itself.
    async fn tell_client(&self, message: ChannelMsg) -> Sent {
        let Some(login) = self.session.login() else {
            return Ok(());
        };
        let id = self.to_client.id();
        let told = match message {
            ChannelMsg::ExitSignal {
                signal_name,
                core_dumped,
                error_message,
                lang_tag,
            } => {
                login
                    .client
                    .exit_signal_request(id, signal_name, core_dumped, error_message, lang_tag)
                    .await
            }
            ChannelMsg::XonXoff { client_can_do } => {
                login.client.xon_xoff_request(id, client_can_do).await
            }
            _ => Ok(()),
        };
        told.map_err(|()| russh::Error::SendError)
    }

    fn answered(&self, success: bool) -> Sent {
        let awaited = &self.awaited;
        let one_less = |waiting: usize| waiting.checked_sub(1);
        let asked = awaited.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        if asked.is_ok() {
            self.reply(success);
        }
        Ok(())
    }

    fn reply(&self, success: bool) {
        if let Some(replies) = &self.replies {
            let _ = replies.send(success); // nobody waits any more
        }
    }

    /// Tells whoever sits at a terminal that the gateway will go. Never returns.
    async fn tell_of_shutdown(&self) {
        let mut phase = self.session.phase.clone();
        let parting = phase.wait_for(|phase| *phase != Phase::Open).await;
        let parting = parting.map_or(Phase::Open, |phase| *phase);
        if let Phase::Draining(parting) = parting
            && self.has_terminal.load(Ordering::Relaxed) == 1
        {
            let text = parting.at_terminal(self.session.shared.limits.drain);
            drop(self.to_client.extended_data_bytes(STDERR, text).await);
        }
        std::future::pending().await
    }
}

type Sent = Result<(), russh::Error>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Program {
    NotYet,
    Started,
}

fn asks_for(request: &ChannelMsg) -> Option<ChannelAsk<'_>> {
    Some(match request {
        ChannelMsg::RequestPty { .. } => ChannelAsk::Terminal,
        ChannelMsg::AgentForward { .. } => ChannelAsk::Agent,
        ChannelMsg::RequestX11 { .. } => ChannelAsk::Display,
        ChannelMsg::RequestShell { .. } => ChannelAsk::Shell,
        ChannelMsg::Exec { command, .. } => ChannelAsk::Command(command),
        ChannelMsg::RequestSubsystem { name, .. } => ChannelAsk::Subsystem(name),
        _ => return None,
    })
}

/// How long a client hears nothing, so that it can be told why.
const WORD: Duration = Duration::from_secs(2);

/// Extended data of this type is what a program says on its standard error.
pub(crate) const STDERR: u32 = 1;
