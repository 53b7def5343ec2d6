use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use russh::Sig;
use rustix::process::Signal;

use super::channel::{Open, lifetime};
use super::command::Wanted;
use super::environment::{MOST_VARIABLES, is_terminal_name, may_set};
use super::inbound::{Inlet, inbound};
use super::leader::Controlling;
use super::modes::Mode;
use super::output::Output;
use super::program::{self, Streams};
use super::terminal::{Size, Terminal};
use crate::workspace::{RunState, Workspace};

/// A session channel: first it is told what it needs, then what to run.
#[derive(Debug)]
pub(super) struct Session {
    workspace: Arc<Workspace>,
    state: State,
}

#[derive(Debug)]
enum State {
    Preparing(Box<Preparing>),
    Running(Running),
}

#[derive(Debug)]
struct Preparing {
    output: Output,
    variables: Vec<(String, String)>,
    terminal: Option<Terminal>,
}

#[derive(Debug)]
struct Running {
    pid: u32,
    /// Absent once the client has said that it sends no more.
    input: Option<Inlet>,
    terminal: Option<OwnedFd>,
    _open: Open,
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
    pub(super) fn new(workspace: Arc<Workspace>, output: Output) -> Self {
        let preparing = Preparing {
            output,
            variables: Vec::new(),
            terminal: None,
        };
        Self {
            workspace,
            state: State::Preparing(Box::new(preparing)),
        }
    }

    pub(super) fn set_variable(&mut self, name: &str, value: &str) -> Result<(), Refused> {
        let State::Preparing(session) = &mut self.state else {
            return Err(Refused);
        };
        if session.variables.len() >= MOST_VARIABLES || !may_set(name, value) {
            return Err(Refused);
        }
        session.variables.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    pub(super) fn open_terminal(
        &mut self,
        term: &str,
        size: Size,
        modes: &[Mode],
    ) -> Result<(), Refused> {
        let State::Preparing(session) = &mut self.state else {
            return Err(Refused);
        };
        if session.terminal.is_some() {
            return Err(Refused);
        }
        let term = if is_terminal_name(term) { term } else { "dumb" };
        session.terminal = Some(Terminal::open(term, size, modes)?);
        Ok(())
    }

    /// Runs what is wanted.
    pub(super) fn start(&mut self, wanted: &Wanted) -> Result<(), Refused> {
        let stopping = *self.workspace.run_state.borrow() == RunState::Stopping;
        if stopping || matches!(self.state, State::Running(_)) {
            return Err(Refused);
        }
        let State::Preparing(session) = &mut self.state else {
            return Err(Refused);
        };
        let terminal = session.terminal.take();
        let mut variables = std::mem::take(&mut session.variables);
        variables.extend(connection_variables(terminal.as_ref()));
        let controlling = match &terminal {
            Some(_) => Controlling::Terminal,
            None => Controlling::Nothing,
        };
        let mut command = wanted.command(&self.workspace, controlling, &variables);
        let streams = match &terminal {
            Some(terminal) => Streams::terminal(&mut command, terminal)?,
            None => Streams::pipes(&mut command)?,
        };
        let child = self.workspace.children.start(&mut command)?;
        program::let_go(&mut command);
        tracing::info!(pid = child.pid, "a program was started for an SSH client");
        let ((input, outlet), (open, closed)) = (inbound(), lifetime());
        let running = Running {
            pid: child.pid,
            input: Some(input),
            terminal: terminal.map(|terminal| terminal.near),
            _open: open,
        };
        if let State::Preparing(session) =
            std::mem::replace(&mut self.state, State::Running(running))
        {
            tokio::spawn(program::carry(
                child,
                streams,
                outlet,
                session.output,
                closed,
            ));
        }
        Ok(())
    }

    /// Where what the client sends goes.
    pub(super) fn input(&self) -> Option<&Inlet> {
        match &self.state {
            State::Running(running) => running.input.as_ref(),
            State::Preparing(_) => None,
        }
    }

    pub(super) fn end_of_input(&mut self) {
        if let State::Running(running) = &mut self.state {
            running.input = None;
        }
    }

    pub(super) fn resize(&self, size: Size) -> Result<(), Refused> {
        match &self.state {
            State::Running(Running {
                terminal: Some(terminal),
                ..
            }) => Ok(size.set(terminal)?),
            State::Preparing(session) => match &session.terminal {
                Some(terminal) => Ok(size.set(&terminal.near)?),
                None => Err(Refused),
            },
            State::Running(_) => Err(Refused),
        }
    }

    pub(super) fn signal(&self, signal: &Sig) {
        if let (State::Running(running), Some(signal)) = (&self.state, known(signal)) {
            program::send(running.pid, signal);
        }
    }
}

/// What programs look at to find out that they are used from afar. There are no addresses, so it says what OpenSSH says then.
fn connection_variables(terminal: Option<&Terminal>) -> Vec<(String, String)> {
    let mut variables = vec![
        ("SSH_CONNECTION", "UNKNOWN 65535 UNKNOWN 65535".to_owned()),
        ("SSH_CLIENT", "UNKNOWN 65535 65535".to_owned()),
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
