use std::sync::Arc;

use bytes::Bytes;
use russh::server::{Handle, Msg};
use russh::{ChannelId, ChannelWriteHalf, Sig};

use super::flow::Flow;
use crate::children::Exit;

/// What goes to a client on one channel, at the pace at which the client reads it.
#[derive(Debug)]
pub(super) struct Output {
    channel: ChannelWriteHalf<Msg>,
    flow: Arc<Flow>,
}

/// Which of the streams of a program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stream {
    Out,
    Error,
}

/// The connection is gone.
#[derive(Debug)]
pub(super) struct Gone;

impl Output {
    pub(super) fn new(channel: ChannelWriteHalf<Msg>, flow: &Arc<Flow>) -> Self {
        Self {
            channel,
            flow: Arc::clone(flow),
        }
    }

    pub(super) fn id(&self) -> ChannelId {
        self.channel.id()
    }

    /// Sends `bytes`, once the client has room for them: until then it may take any time.
    pub(super) async fn send(&self, stream: Stream, bytes: Bytes) -> Result<(), Gone> {
        self.flow.wanted(self.id()).await;
        let sent = match stream {
            Stream::Out => self.channel.data_bytes(bytes).await,
            Stream::Error => self.channel.extended_data_bytes(STDERR, bytes).await,
        };
        sent.map_err(|_| Gone)
    }

    /// Says how a program ended, and closes the channel. Everything that it wrote must have been sent.
    pub(super) async fn exited(&self, exit: Exit, handle: &Handle) -> Result<(), Gone> {
        let id = self.id();
        let told = match exit {
            Exit::Code(code) => handle.exit_status_request(id, code.cast_unsigned()).await,
            Exit::Signal(number) => {
                let (message, language) = (String::new(), String::new());
                handle
                    .exit_signal_request(id, name_of(number), false, message, language)
                    .await
            }
        };
        told.map_err(|()| Gone)?;
        self.eof().await?;
        self.close().await
    }

    /// Says that nothing more comes.
    pub(super) async fn eof(&self) -> Result<(), Gone> {
        self.channel.eof().await.map_err(|_| Gone)
    }

    pub(super) async fn close(&self) -> Result<(), Gone> {
        self.channel.close().await.map_err(|_| Gone)
    }
}

const STDERR: u32 = 1; // RFC 4254, section 5.2

/// The name of a signal, as RFC 4254, section 6.10, writes it.
fn name_of(number: i32) -> Sig {
    match number {
        1 => Sig::HUP,
        2 => Sig::INT,
        3 => Sig::QUIT,
        4 => Sig::ILL,
        6 => Sig::ABRT,
        8 => Sig::FPE,
        9 => Sig::KILL,
        10 => Sig::USR1,
        11 => Sig::SEGV,
        12 => Sig::Custom("USR2".to_owned()),
        13 => Sig::PIPE,
        14 => Sig::ALRM,
        15 => Sig::TERM,
        other => Sig::Custom(format!("SIG{other}@gitpod.io")),
    }
}
