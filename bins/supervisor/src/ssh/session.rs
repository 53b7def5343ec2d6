use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use russh::Sig;
use russh::server::Handle;
use rustix::process::Signal;

use super::channel::{Open, lifetime};
use super::command::Wanted;
use super::environment::{CLIENT, MOST_VARIABLES, client_in, is_terminal_name, may_set};
use super::flow::Flow;
use super::inbound::{Inlet, inbound};
use super::leader::Controlling;
use super::modes::Mode;
use super::output::Output;
use super::program::{self, Streams};
use super::terminal::{Size, Terminal};
use crate::workspace::{RunState, Workspace};

/// A session channel: first it is told what it needs, then what to run.
#[derive(Debug)]
pub(super) enum Session {
    Preparing(Box<Preparing>),
    Running(Running),
    /// What was wanted could not be started.
    Failed,
}

#[derive(Debug)]
pub(super) struct Preparing {
    output: Output,
    handle: Handle,
    flow: Arc<Flow>,
    variables: Vec<(String, String)>,
    client: Option<SocketAddr>,
    terminal: Option<Terminal>,
}

#[derive(Debug)]
pub(super) struct Running {
    pid: u32,
    /// Absent once the client has said that it sends no more.
    input: Option<Inlet>,
    terminal: Option<OwnedFd>,
    open: Open,
}

/// A request that cannot be granted.
#[derive(Debug)]
pub(super) struct Refused;

impl From<io::Error> for Refused {
    fn from(why: io::Error) -> Self {
        tracing::warn!(%why, "a request of an SSH client fails");
        Self
    }
}

impl Session {
    pub(super) fn new(output: Output, handle: Handle, flow: Arc<Flow>) -> Self {
        Self::Preparing(Box::new(Preparing {
            output,
            handle,
            flow,
            variables: Vec::new(),
            client: None,
            terminal: None,
        }))
    }

    /// Whether its program has ended and everything has been told.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Preparing(_) => false,
            Self::Running(running) => running.open.is_over(),
            Self::Failed => true,
        }
    }

    fn preparing(&mut self) -> Result<&mut Preparing, Refused> {
        match self {
            Self::Preparing(session) => Ok(session),
            Self::Running(_) | Self::Failed => Err(Refused),
        }
    }

    pub(super) fn set_variable(&mut self, name: &str, value: &str) -> Result<(), Refused> {
        let session = self.preparing()?;
        if name == CLIENT {
            session.client = Some(client_in(value).ok_or(Refused)?);
            return Ok(());
        }
        if session.variables.len() >= MOST_VARIABLES || !may_set(name, value) {
            return Err(Refused);
        }
        session.variables.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// Tells the program where to find the client's agent.
    pub(super) fn use_agent(&mut self, socket: &Path) -> Result<(), Refused> {
        let socket = socket.to_string_lossy().into_owned();
        let variables = &mut self.preparing()?.variables;
        variables.push(("SSH_AUTH_SOCK".to_owned(), socket));
        Ok(())
    }

    pub(super) fn open_terminal(
        &mut self,
        term: &str,
        size: Size,
        modes: &[Mode],
    ) -> Result<(), Refused> {
        let session = self.preparing()?;
        if session.terminal.is_some() {
            return Err(Refused);
        }
        let term = if is_terminal_name(term) { term } else { "dumb" };
        session.terminal = Some(Terminal::open(term, size, modes)?);
        Ok(())
    }

    /// Runs what is wanted.
    pub(super) fn start(&mut self, workspace: &Workspace, wanted: &Wanted) -> Result<(), Refused> {
        if *workspace.run_state.borrow() == RunState::Stopping {
            return Err(Refused);
        }
        self.preparing()?;
        if let Self::Preparing(session) = std::mem::replace(self, Self::Failed) {
            *self = Self::Running((*session).start(workspace, wanted)?);
        }
        Ok(())
    }

    /// Hands on what the client sends.
    pub(super) fn receive(&self, data: &[u8]) {
        if let Self::Running(Running {
            input: Some(input), ..
        }) = self
        {
            input.push(Bytes::copy_from_slice(data));
        }
    }

    pub(super) fn end_of_input(&mut self) {
        if let Self::Running(running) = self {
            running.input = None;
        }
    }

    pub(super) fn resize(&self, size: Size) -> Result<(), Refused> {
        let terminal = match self {
            Self::Preparing(session) => session.terminal.as_ref().map(|it| &it.near),
            Self::Running(running) => running.terminal.as_ref(),
            Self::Failed => None,
        };
        Ok(size.set(terminal.ok_or(Refused)?)?)
    }

    pub(super) fn signal(&self, signal: &Sig) -> Result<(), Refused> {
        match self {
            // Once it is over, the number may be another's.
            Self::Running(running) if !running.open.is_over() => {
                program::send(running.pid, known(signal).ok_or(Refused)?);
                Ok(())
            }
            _ => Err(Refused),
        }
    }
}

impl Preparing {
    fn start(mut self, workspace: &Workspace, wanted: &Wanted) -> io::Result<Running> {
        let terminal = self.terminal.take();
        self.variables
            .extend(connection_variables(self.client, terminal.as_ref()));
        let controlling = match &terminal {
            Some(_) => Controlling::Terminal,
            None => Controlling::Nothing,
        };
        let mut command = wanted.command(workspace, controlling, &self.variables);
        let streams = match &terminal {
            Some(terminal) => Streams::terminal(&mut command, terminal)?,
            None => Streams::pipes(&mut command)?,
        };
        let child = workspace.children.start(&mut command)?;
        program::let_go(&mut command);
        let pid = child.pid;
        tracing::info!(pid, "a program was started for an SSH client");
        let ((input, outlet), (open, closed)) = (inbound(self.output.id(), &self.flow), lifetime());
        let client = (self.output, self.handle);
        tokio::spawn(program::carry(
            child,
            streams,
            outlet,
            client,
            closed,
            workspace.told_to_stop(),
        ));
        Ok(Running {
            pid,
            input: Some(input),
            terminal: terminal.map(|terminal| terminal.near),
            open,
        })
    }
}

/// What programs look at to find out that they are used from afar, and by whom. An address that is not known is what OpenSSH
/// writes then; that of the server is nothing that a workspace could use.
fn connection_variables(
    client: Option<SocketAddr>,
    terminal: Option<&Terminal>,
) -> Vec<(String, String)> {
    let client = client.map_or_else(
        || "UNKNOWN 65535".to_owned(),
        |client| format!("{} {}", client.ip(), client.port()),
    );
    let mut variables = vec![
        ("SSH_CONNECTION", format!("{client} UNKNOWN 65535")),
        ("SSH_CLIENT", format!("{client} 65535")),
    ];
    if let Some(terminal) = terminal {
        variables.push(("SSH_TTY", terminal.path.to_string_lossy().into_owned()));
        variables.push(("TERM", terminal.term.clone()));
    }
    let owned = |(name, value): (&str, String)| (name.to_owned(), value);
    variables.into_iter().map(owned).collect()
}

fn known(signal: &Sig) -> Option<Signal> {
    Some(match signal {
        Sig::ABRT => Signal::ABORT,
        Sig::ALRM => Signal::ALARM,
        Sig::FPE => Signal::FPE,
        Sig::HUP => Signal::HUP,
        Sig::ILL => Signal::ILL,
        Sig::INT => Signal::INT,
        Sig::KILL => Signal::KILL,
        Sig::PIPE => Signal::PIPE,
        Sig::QUIT => Signal::QUIT,
        Sig::SEGV => Signal::SEGV,
        Sig::TERM => Signal::TERM,
        Sig::USR1 => Signal::USR1,
        Sig::Custom(name) if name == "USR2" => Signal::USR2,
        Sig::Custom(_) => return None,
    })
}
